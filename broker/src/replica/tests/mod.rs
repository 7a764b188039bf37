//! The state machines against naive models, one by one and together.

mod leader;
mod lives;
mod log;
mod world;
