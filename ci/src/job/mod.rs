//! What subcommands do, apart from how they are called: the gate does the same with other sizes.

pub mod catalogue;
pub mod confirm;
pub mod costs;
pub mod explain;
pub mod files;
pub mod gate;
pub mod journal;
pub mod limits;
pub mod meta;
pub mod metrics;
pub mod nodes;
pub mod open_files;
pub mod pace;
pub mod planted;
pub mod progress;
pub mod rebalance;
pub mod results;
pub mod settings;
pub mod sweep;
pub mod target;
