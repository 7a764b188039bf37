//! A served broker, asked over loopback.

mod admin;
mod api;
mod cluster;
mod compact;
mod consumer_groups;
mod groups;
mod hostile;
mod idempotent;
mod many;
mod order;
mod produce_fetch;
mod quirks;
mod restart;
mod roles;
mod snapshots;
