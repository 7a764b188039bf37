//! A served broker, asked over loopback.

mod produce_fetch;
