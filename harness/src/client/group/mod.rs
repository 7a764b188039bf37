//! Consumer groups as the client sees them: how partitions are shared out, how one joins, and a consumer around both.

pub mod assign;
pub mod config;
pub mod consumer;
mod keeper;
pub mod member;
mod offsets;
pub mod operator;
mod places;
mod placing;
pub mod protocol;
mod requests;
pub mod watch;
