//! A served broker, asked over loopback.

mod api;
mod cluster;
mod hostile;
mod idempotent;
mod order;
mod produce_fetch;
mod quirks;
mod restart;
