//! What the runner and the clients of a run share: which phase it is, and who has finished what.
//!
//! Clients look at it between calls. It is no channel: nobody waits on it, so that it moves no task by itself.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;

use broker::ids::{Offset, TopicPartition};

use crate::history::{Phase, Tape};
use crate::order::Orders;
use crate::scenario::Setup;
use crate::seed::Seed;

/// The shared state of one run.
pub struct Stage {
    /// What the run is made of.
    pub setup: Setup,
    /// Randomness for workloads; each client splits its own branch.
    pub seed: Seed,
    /// Where events are noted.
    pub tape: Tape,
    /// Every partition of the run.
    pub partitions: Vec<TopicPartition>,
    /// Bootstrap address of the brokers.
    pub bootstrap: Vec<String>,
    /// What the run's administrator is asked.
    pub orders: Orders,
    /// By topic: how many partitions it has at present.
    sizes: RefCell<Vec<i32>>,
    /// The group whose members are to stay away.
    away: Cell<Option<u32>>,
    phase: Cell<Phase>,
    ready: Cell<bool>,
    open_sends: Cell<u64>,
    probed: RefCell<BTreeMap<u32, bool>>,
    final_ends: RefCell<BTreeMap<usize, Offset>>,
    final_polls: Cell<u64>,
    final_read_done: Cell<bool>,
}

impl Stage {
    /// The stage of a run about to begin.
    pub fn new(setup: Setup, seed: Seed, tape: Tape, bootstrap: Vec<String>, orders: Orders) -> Self {
        let partitions = setup.partitions();
        let sizes = RefCell::new(setup.topics.iter().map(|t| t.partitions).collect());
        Self {
            setup,
            seed,
            tape,
            partitions,
            bootstrap,
            orders,
            sizes,
            away: Cell::new(None),
            phase: Cell::new(Phase::WarmUp),
            ready: Cell::new(false),
            open_sends: Cell::new(0),
            probed: RefCell::default(),
            final_ends: RefCell::default(),
            final_polls: Cell::new(0),
            final_read_done: Cell::new(false),
        }
    }

    /// The places in the list of partitions of those that a topic has at present.
    pub fn live_of(&self, topic: usize) -> Range<usize> {
        let place = |count: i32| usize::try_from(count).unwrap_or(0);
        let before = self.setup.topics[..topic].iter().map(|t| place(t.partitions + t.grows)).sum();
        before..before + place(self.sizes.borrow()[topic])
    }

    /// The places of all partitions that there are at present.
    pub fn live(&self) -> Vec<usize> {
        (0..self.setup.topics.len()).flat_map(|topic| self.live_of(topic)).collect()
    }

    /// The places of those that the load's producers write.
    pub fn fed(&self) -> Vec<usize> {
        (0..self.setup.inputs()).flat_map(|topic| self.live_of(topic)).collect()
    }

    /// How many partitions a topic would have with one more, if it may have that.
    pub fn next_size(&self, topic: usize) -> Option<i32> {
        let (size, spec) = (self.sizes.borrow()[topic] + 1, &self.setup.topics[topic]);
        (size <= spec.partitions + spec.grows).then_some(size)
    }

    /// A topic has so many partitions now. Too late for this run, they stay empty and unread.
    pub fn grown(&self, topic: usize, size: i32) {
        if self.phase() < Phase::Drain {
            self.sizes.borrow_mut()[topic] = size;
        }
    }

    /// The members of `group` are to stay away as long as what is returned is kept: however that ends, they come again.
    pub fn send_away(&self, group: u32) -> impl Drop + use<'_> {
        struct Back<'a>(&'a Cell<Option<u32>>);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                self.0.set(None);
            }
        }
        self.away.set(Some(group));
        Back(&self.away)
    }

    /// Whether the members of `group` are to stay away.
    pub fn is_away(&self, group: u32) -> bool {
        self.away.get() == Some(group)
    }

    /// The phase it is.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.set(phase);
    }

    /// Whether the topics exist and clients may begin.
    pub fn ready(&self) -> bool {
        self.ready.get()
    }

    /// The topics exist.
    pub fn set_ready(&self) {
        self.ready.set(true);
    }

    /// A producer has handed a record to its client, or has got its answer.
    pub fn sends_open(&self, change: i64) {
        self.open_sends.set(self.open_sends.get().saturating_add_signed(change));
    }

    /// Producer `n` has had a new record acknowledged on every partition since the drain began.
    pub fn probed(&self, producer: u32) {
        self.probed.borrow_mut().insert(producer, true);
    }

    /// Whether every producer has drained and probed.
    pub(super) fn drained(&self) -> bool {
        self.probed.borrow().len() >= self.setup.load.producers as usize
    }

    /// The final read has reached offset `end` of partition number `tp`.
    pub fn final_end(&self, tp: usize, end: Offset) {
        self.final_ends.borrow_mut().insert(tp, end);
        if self.final_ends.borrow().len() == self.live().len() {
            self.final_read_done.set(true);
        }
    }

    /// The final read has moved on.
    pub fn final_poll(&self) {
        self.final_polls.set(self.final_polls.get() + 1);
    }

    pub(super) fn final_polls(&self) -> u64 {
        self.final_polls.get()
    }

    /// Whether the final read has already ended for that partition.
    pub fn final_read_of(&self, tp: usize) -> bool {
        self.final_ends.borrow().contains_key(&tp)
    }

    pub(super) fn final_read_done(&self) -> bool {
        self.final_read_done.get()
    }
}
