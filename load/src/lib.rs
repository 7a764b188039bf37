//! Load on a live event log, measured honestly: what a broker does beside what the machine can do, and a word where the figure
//! is the generator's rather than the broker's.
//!
//! It knows brokers by their protocol only, ours included. Nothing here is simulated, and nothing that is depends on it.

pub mod arrivals;
pub mod backlog;
pub mod clock;
pub mod cluster;
pub mod codecs;
pub mod compared;
pub mod driver;
pub mod events;
pub mod hlog;
pub mod kafka;
pub mod limits;
pub mod machine;
pub mod omb;
pub mod outcome;
pub mod over;
pub mod peer;
#[cfg(feature = "peers")]
pub mod peers;
pub mod placement;
pub mod receive;
pub mod recorder;
pub mod rounds;
pub mod run;
pub mod search;
pub mod send;
pub mod silence;
pub mod spec;
pub mod stamp;
pub mod statistics;
pub mod steady;
pub mod tally;
pub mod target;
pub mod threads;
pub mod usl;
pub mod workloads;
