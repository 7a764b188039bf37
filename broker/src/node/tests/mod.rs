//! A served broker, asked over loopback.

mod api;
mod hostile;
mod order;
mod produce_fetch;
mod quirks;
mod restart;
