//! The coordinator's groups: cases by name, and random lives beside a naive model.

mod cases;
mod consumer_cases;
mod consumer_lives;
mod lives;
mod records;
mod refusals;
mod world;
