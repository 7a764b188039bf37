//! What happened in a run: one ordered list of events, from which everything else is judged.

pub mod event;
pub mod file;
pub mod mutate;
mod origin;
pub mod synth;
pub mod value;

pub use event::{
    AppStep, Call, Delivery, Event, GroupEvent, GroupStep, Kind, Outcome, Phase, RecordId, Reply, Tape, TpId,
};
pub use origin::Origin;
