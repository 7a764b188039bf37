//! The cluster's metadata: what topics there are, who leads their partitions, how they are configured.
//!
//! It is a fold over [`record::MetadataRecord`]s. Requests are planned as records against the image of all records so
//! far; a record counts once it is durable. One writer for now; a quorum will be many logs of the same records.

pub mod config_table;
pub mod configs;
pub mod image;
pub mod plan;
pub mod record;

#[cfg(test)]
mod tests;
