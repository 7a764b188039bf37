//! Everything that shakes the event log and judges it: worlds, faults, clients, workloads, histories, invariants.
//!
//! Only `sim/` knows which network simulator lies beneath; only `sim/` may name it.

#[cfg(not(tokio_unstable))]
compile_error!(
    "a simulation needs RUSTFLAGS=\"--cfg tokio_unstable\" (see .cargo/config.toml): without it tokio's own randomness \
     is not seeded and a panic inside a run is swallowed. An exported RUSTFLAGS overrides the config file: add it there."
);

pub mod app;
pub mod bench;
pub mod client;
pub mod contract;
pub mod fault;
pub mod group_load;
pub mod history;
pub mod hunt;
pub mod invariant;
pub mod judge;
pub mod order;
pub mod plan;
pub mod property;
pub mod recipe;
pub mod report;
pub mod run;
pub mod scenario;
pub mod seed;
pub mod shrink;
pub mod sim;
pub mod sweep;
pub mod verdict;
pub mod workload;
