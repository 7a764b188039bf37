//! The cluster's metadata: which brokers there are, what topics, who leads their partitions, how they are configured.
//!
//! It is a fold over [`record::MetadataRecord`]s ([`image::Image`]). The [`machine::Controller`] decides them, one
//! request or tick after another; the shell writes them to the metadata log, and answers once they are committed.

mod brokers;
pub mod config_table;
pub mod configs;
mod elect;
pub mod image;
pub mod machine;
pub mod partition;
mod partitions;
mod placement;
pub mod plan;
pub mod record;
pub mod request;
mod sessions;
pub mod snapshot;

pub(crate) use brokers::MAX_BROKERS;

#[cfg(test)]
mod tests;
