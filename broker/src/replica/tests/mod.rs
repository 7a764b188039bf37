//! The state machines against naive models, one by one and together.

mod leader;
mod leader_model;
mod lives;
mod log;
mod world;
