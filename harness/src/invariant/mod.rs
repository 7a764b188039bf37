//! Invariants: folds over a history that find broken promises. One file each; this is their table.
//!
//! Ids are those of the catalogue: W white-box (from facts that nodes state), B black-box (from what clients saw),
//! A of applications, L liveness, M about the history itself. Jepsen's name stands beside ours where there is one.

mod ack_in_place;
mod acked_durable;
mod acked_kept;
mod all_settled;
mod at_least_once;
mod caught_up;
mod checker;
mod committed_found;
mod compacted_view;
mod compaction;
mod coordinators;
mod copies;
mod cursor;
mod damage;
mod deadline;
mod decided;
mod exercised;
mod fail_absent;
mod fencing;
mod findings;
mod generation_fencing;
mod generations;
mod genuine;
mod in_sync;
mod key_order;
mod kinds;
mod lag_bound;
mod leader_complete;
pub mod ledger;
mod list_offsets;
mod log_matching;
mod lookups;
pub mod members;
mod no_partial;
mod no_regress;
mod offsets;
mod once;
mod one_leader;
mod one_value;
mod order;
mod ownership;
mod producers;
mod progress;
mod read_stays;
mod readable;
mod real_time;
mod rebalances;
mod recovery;
mod registers;
mod replayed;
mod retention;
mod round_trip;
mod standing;
mod stored_whole;
mod takeover;
#[cfg(test)]
mod tale;
mod well_formed;

pub use checker::{Checked, Checker, Rules};
pub use findings::{Findings, Tell};
pub use generations::{Generations, Seen};
pub use kinds::Kinds;
pub use ledger::Ledger;

use crate::contract::Contract;
use crate::history::Event;
use crate::verdict::Promise;

/// How far a contract holds an invariant up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// Nothing excuses a breach.
    Enforced,
    /// Some losses are permitted and merely counted; which ones, the invariant says case by case.
    ExpectedLoss,
    /// The contract promises nothing of the kind.
    No,
}

/// What an invariant may look at besides the event.
pub struct View<'a> {
    /// World time now, in nanoseconds.
    pub at: u64,
    /// Everything known so far, this event included.
    pub ledger: &'a Ledger,
    /// What is promised.
    pub rules: &'a Rules,
}

/// A fold over a history.
pub trait Invariant {
    /// Looks at one event of a kind the row wants.
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings);

    /// The history is over.
    fn end(&mut self, _view: &View<'_>, _out: &mut Findings) {}

    /// How often the promise was put to the test.
    fn evidence(&self) -> u64;
}

/// One row of the table.
pub struct Row {
    /// Its id, as `B3`.
    pub id: &'static str,
    /// Jepsen's name for its breach.
    pub jepsen: Option<&'static str>,
    /// What kind of promise it guards.
    pub promise: Promise,
    /// What it says, in one line.
    pub about: &'static str,
    /// Whether it needs facts, which only simulated nodes state.
    pub white_box: bool,
    /// The events it looks at.
    pub wants: Kinds,
    /// How far a contract holds it up.
    pub applies: fn(&Contract) -> Applies,
    /// Whether a run under this contract that never put it to the test is vacuous.
    pub must: fn(&Contract) -> bool,
    /// A fresh fold.
    pub make: fn() -> Box<dyn Invariant>,
}

/// For rows that every contract enforces in full.
pub(crate) fn always(_: &Contract) -> Applies {
    Applies::Enforced
}

/// For rows that every run must have put to the test.
pub(crate) fn every_run(_: &Contract) -> bool {
    true
}

/// For rows whose occasion may not come up in a sound run.
pub(crate) fn no_run(_: &Contract) -> bool {
    false
}

/// All invariants, in the order in which they see an event: the well-formedness of the history comes first.
pub const ALL: &[Row] = &[
    well_formed::ROW,
    log_matching::ROW,
    stored_whole::ROW,
    acked_durable::ROW,
    leader_complete::ROW,
    offsets::ROW,
    in_sync::ROW,
    decided::ROW,
    one_leader::ROW,
    retention::ROW,
    compaction::ROW,
    recovery::ROW,
    no_partial::ROW,
    lookups::ROW,
    producers::EPOCHS,
    producers::REBUILT,
    one_value::ROW,
    ack_in_place::ROW,
    acked_kept::ROW,
    fail_absent::ROW,
    read_stays::ROW,
    compacted_view::ROW,
    order::ROW,
    genuine::ROW,
    copies::ROW,
    at_least_once::ROW,
    replayed::ROW,
    cursor::ROW,
    no_regress::ROW,
    committed_found::ROW,
    fencing::ROW,
    generation_fencing::ROW,
    ownership::ROW,
    once::ROW,
    key_order::ROW,
    all_settled::ROW,
    lag_bound::ROW,
    list_offsets::ROW,
    real_time::ROW,
    round_trip::ROW,
    readable::ROW,
    caught_up::ROW,
    progress::ROW,
    rebalances::ROW,
    standing::IN_SYNC,
    standing::LEADERS,
    takeover::ROW,
    deadline::ROW,
    exercised::ROW,
];

/// The row with this id.
pub fn find(id: &str) -> Option<&'static Row> {
    ALL.iter().find(|row| row.id == id)
}
