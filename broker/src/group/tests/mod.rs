//! The coordinator's groups: cases by name, and random lives beside a naive model.

mod cases;
mod lives;
mod records;
mod refusals;
mod world;
