//! Consumer groups as the client sees them: how partitions are shared out, how one joins, and a consumer around both.

pub mod assign;
pub mod member;
pub mod protocol;
