//! What happened in a run: one ordered list of events, from which everything else is judged.

pub mod event;
pub mod file;
pub mod mutate;
pub mod synth;
pub mod value;

pub use event::{
    AppStep, Call, Delivery, Event, GroupEvent, GroupStep, Kind, Origin, Outcome, Phase, RecordId, Reply, Tape, TpId,
};
