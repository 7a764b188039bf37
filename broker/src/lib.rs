//! The system under test: a partitioned, durable event log that speaks the Kafka protocol.
//!
//! Everything that decides is a plain state machine; sockets, files, clocks and chance are reached only through
//! [`env::Env`], so the code that a simulator explores is the code that runs live. See ARCHITECTURE.md for the map.

pub mod api;
pub mod config;
pub mod controller;
pub mod env;
pub mod fact;
pub mod group;
pub mod ids;
pub mod log;
pub mod node;
pub mod planted;
pub mod quorum;
pub mod record;
pub mod replica;
pub mod wire;
