//! Who is told of a member's life as it happens, and the one that writes it into a run's history.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use broker::ids::{Offset, TopicPartition};

use crate::client::CallError;
use crate::history::{Call, GroupEvent, GroupStep, Kind, Outcome, Reply, Tape};

/// A step of a member's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is in a new generation; whether it leads, and its `group.instance.id`.
    Entered(bool, Option<Arc<str>>),
    /// It was told what it is to own in this generation.
    Synced,
    /// A heartbeat was accepted: it is a member in this epoch, and knows what it is to own in it (KIP-848).
    Told,
    /// It owns this and begins to read it there.
    Assigned(TopicPartition, Offset),
    /// It has processed this up to there.
    Processed(TopicPartition, Offset),
    /// It has given this up.
    Revoked(TopicPartition),
    /// It has learned that this is its own no more.
    Lost(TopicPartition),
    /// It has learned that it is a member no more, and owned nothing.
    Out,
    /// It has left.
    Left,
    /// An operator has set the group to begin there.
    Rewound(TopicPartition, Offset),
}

/// Who is told.
pub trait Watch {
    /// A step, in `generation` (-1 if it is in none any more).
    fn step(&self, generation: i32, step: Step);
    /// Offsets are being committed. Returns what [`Watch::committed`] is told with.
    fn commits(&self, generation: i32, offsets: &BTreeMap<TopicPartition, Offset>) -> u64;
    /// What came of it; if it succeeded, whether an attempt before that one may land yet.
    fn committed(&self, commit: u64, end: Result<bool, CallError>);
    /// Committed offsets are being asked for. Returns what [`Watch::fetched`] is told with.
    fn asks(&self, partitions: &BTreeSet<TopicPartition>) -> u64;
    /// What came of it: an offset for each, -1 where none was committed.
    fn fetched(&self, fetch: u64, end: Result<&BTreeMap<TopicPartition, Offset>, CallError>);
}

/// Writes a member's life into the history of a run.
pub struct OnTape {
    tape: Tape,
    client: u32,
    incarnation: u16,
    group: u32,
    /// The operations of what is under way, by partition.
    open: RefCell<BTreeMap<u64, Vec<(TopicPartition, u64)>>>,
}

impl OnTape {
    /// For client number `client` in its life `incarnation`, as a member of group number `group`.
    pub fn new(tape: Tape, client: u32, incarnation: u16, group: u32) -> Self {
        Self { tape, client, incarnation, group, open: RefCell::default() }
    }

    fn call(&self, call: Call) -> u64 {
        self.tape.call(self.client, self.incarnation, call)
    }

    /// Remembers the operations of one request; they are known by the first of them.
    fn opened(&self, ops: Vec<(TopicPartition, u64)>) -> u64 {
        let first = ops.first().map_or(u64::MAX, |(_, op)| *op);
        self.open.borrow_mut().insert(first, ops);
        first
    }

    fn returned(&self, first: u64, end: impl Fn(&TopicPartition) -> (Outcome, i16, Reply)) {
        let ops = self.open.borrow_mut().remove(&first).unwrap_or_default();
        for (tp, op) in ops {
            let (outcome, code, reply) = end(&tp);
            self.tape.note(Kind::Return { op, outcome, code, reply });
        }
    }
}

impl Watch for OnTape {
    fn step(&self, generation: i32, step: Step) {
        let tp = |tp: &TopicPartition| self.tape.tp(tp);
        let what = match step {
            Step::Entered(leads, instance) => {
                let instance = instance.map(|name| crc32c::crc32c(name.as_bytes()));
                GroupStep::Entered { leads, instance }
            }
            Step::Synced => GroupStep::Synced,
            Step::Told => GroupStep::Told,
            Step::Assigned(of, position) => GroupStep::Assigned { tp: tp(&of), position },
            Step::Processed(of, position) => GroupStep::Processed { tp: tp(&of), position },
            Step::Revoked(of) => GroupStep::Revoked { tp: tp(&of) },
            Step::Lost(of) => GroupStep::Lost { tp: tp(&of) },
            Step::Out => GroupStep::Out,
            Step::Left => GroupStep::Left,
            Step::Rewound(of, position) => GroupStep::Rewound { tp: tp(&of), position },
        };
        let (client, incarnation, group) = (self.client, self.incarnation, self.group);
        self.tape.note(Kind::Group(GroupEvent { client, incarnation, group, generation, what }));
    }

    fn commits(&self, generation: i32, offsets: &BTreeMap<TopicPartition, Offset>) -> u64 {
        let group = self.group;
        let op = |(tp, offset): (&TopicPartition, &Offset)| {
            let call = Call::Commit { group, tp: self.tape.tp(tp), offset: *offset, generation };
            (tp.clone(), self.call(call))
        };
        self.opened(offsets.iter().map(op).collect())
    }

    fn committed(&self, commit: u64, end: Result<bool, CallError>) {
        self.returned(commit, |_| match end {
            Ok(true) => (Outcome::Ok, 0, Reply::Repeated),
            Ok(false) => (Outcome::Ok, 0, Reply::None),
            Err(e) => (e.outcome, e.code, Reply::None),
        });
    }

    fn asks(&self, partitions: &BTreeSet<TopicPartition>) -> u64 {
        let group = self.group;
        let op = |tp: &TopicPartition| (tp.clone(), self.call(Call::FetchOffset { group, tp: self.tape.tp(tp) }));
        self.opened(partitions.iter().map(op).collect())
    }

    fn fetched(&self, fetch: u64, end: Result<&BTreeMap<TopicPartition, Offset>, CallError>) {
        self.returned(fetch, |tp| match end {
            Ok(offsets) => {
                let offset = offsets.get(tp).copied().unwrap_or(-1);
                (Outcome::Ok, 0, Reply::Offset { offset })
            }
            Err(e) => (e.outcome, e.code, Reply::None),
        });
    }
}
