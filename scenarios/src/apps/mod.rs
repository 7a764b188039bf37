//! Applications under test: what people build on a log, with state in a database on their host's disk.

pub(crate) mod store;
