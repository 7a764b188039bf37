//! The quorum on a hand-driven network: directed cases, and random lives under the Raft properties.

mod calm;
mod cases;
mod checks;
mod lives;
mod log;
mod steps;
mod world;
