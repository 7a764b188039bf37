//! The events of a history: calls and returns of clients, records delivered, facts of nodes, strikes and heals.
//!
//! The same shapes serve simulated and real brokers. An event is small, because a history may have tens of millions.

use std::cell::RefCell;
use std::rc::Rc;

use broker::fact::Fact;
use broker::ids::{NodeId, Offset, Timestamp, TopicPartition};

use super::Origin;

/// A partition of this run, as a dense number: its row in the run's list of partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct TpId(pub u32);

/// What identifies a record in its own value: who sent it, in which life, as which of its records to this partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct RecordId {
    /// The producer's number in the run, from 0.
    pub producer: u32,
    /// How often that producer had been restarted.
    pub incarnation: u16,
    /// 0, 1, 2, ... for each (producer, incarnation, partition).
    pub seq: u64,
}

/// One entry of a history.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// World time in nanoseconds since the run began: one clock for all, whatever the nodes' clocks say.
    pub at: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

/// What an event is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// A client asks for something. `op` is unique in the run and pairs it with its return.
    Call {
        /// The operation's number.
        op: u64,
        /// Which client.
        client: u32,
        /// How often that client had been restarted.
        incarnation: u16,
        /// What it asks.
        call: Call,
    },
    /// The client's operation ended. One that never returns counts as [`Outcome::Info`] at time infinity.
    Return {
        /// The operation's number.
        op: u64,
        /// Whether it happened.
        outcome: Outcome,
        /// Kafka's error code, 0 for none; negative for a failure that is no Kafka error (see the outcome table).
        code: i16,
        /// What came back.
        reply: Reply,
    },
    /// A record was handed to the application inside poll `op`, before that poll returned.
    Deliver(Delivery),
    /// Something happened to a client as a member of a consumer group.
    Group(GroupEvent),
    /// A node states a fact.
    Fact {
        /// Which node.
        node: NodeId,
        /// How often it had been started before.
        incarnation: u32,
        /// Which partition it speaks of, if one.
        tp: Option<TpId>,
        /// The statement.
        fact: Fact,
    },
    /// A host's process ended: by a strike, by itself, or at power loss.
    Down {
        /// Which host (the run's list of hosts).
        host: String,
        /// The node that ran there; `None` for a host of clients.
        #[serde(default)]
        node: Option<NodeId>,
        /// True if unsynced data was lost with it.
        power: bool,
        /// Why.
        why: String,
    },
    /// A host's data disk was taken away; the next process there begins with an empty one.
    Wiped {
        /// Which host.
        host: String,
        /// The node that runs there; `None` for a host of clients.
        node: Option<NodeId>,
    },
    /// A host's process began.
    Up {
        /// Which host.
        host: String,
        /// The node that runs there; `None` for a host of clients.
        #[serde(default)]
        node: Option<NodeId>,
        /// How often it had been started before.
        incarnation: u32,
    },
    /// A client is gone with its process, or has stopped: what it has open will never return, and counts as
    /// [`Outcome::Info`]. Noted for each client of a host that goes down, and for each that comes to its own end.
    Quit {
        /// Which client.
        client: u32,
        /// In which life.
        incarnation: u16,
    },
    /// A fault struck.
    Strike {
        /// Its number in the plan.
        strike: u32,
        /// The fault's name.
        fault: String,
        /// What it hit and how, resolved.
        on: String,
        /// Whether it and all that struck before it leave a majority of several brokers untouched.
        #[serde(default)]
        minority: bool,
    },
    /// A fault was cured.
    Heal {
        /// Its number in the plan.
        strike: u32,
    },
    /// A phase begins.
    Phase {
        /// Which.
        phase: Phase,
    },
    /// An application states what it has done.
    App {
        /// Which, of the run's.
        app: u32,
        /// What.
        #[serde(flatten)]
        what: AppStep,
    },
}

/// What an application states of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum AppStep {
    /// It has opened its store, and so many effects are on record there, which it states next.
    Opened {
        /// Rows of its ledger of effects, numbered from 0.
        rows: u64,
    },
    /// It has done what a record asks for. Stated when that is durable, and again by each later life.
    Effect {
        /// The row of its ledger that says so.
        row: u64,
        /// The record.
        of: Origin,
    },
    /// It has given a record up; a letter that says so is acknowledged in the dead-letter topic.
    Buried {
        /// The record.
        of: Origin,
    },
    /// It takes a record that was given up to hand again.
    Redriven {
        /// The record.
        of: Origin,
    },
    /// Not its own word: the final read has found its letter about a record in the dead-letter topic.
    Letter {
        /// The record.
        of: Origin,
    },
}

/// The phases of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Topics are made, clients connect.
    WarmUp,
    /// Load without faults.
    Steady,
    /// Load with faults.
    Strikes,
    /// Every fault is cured, every host is up.
    Heal,
    /// No new load; what is open must end, by a deadline.
    Drain,
    /// Every partition is read from its start.
    FinalRead,
    /// The brokers have stopped; their files are read byte for byte.
    Audit,
}

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum Call {
    /// Send one record.
    Send {
        /// Where to.
        tp: TpId,
        /// Which record.
        id: RecordId,
        /// CRC-32C over its key, value, headers and timestamp.
        checksum: u32,
        /// Its create time.
        timestamp: Timestamp,
        /// 0, 1 or -1 (all).
        acks: i16,
    },
    /// Fetch from a partition at a position.
    Poll {
        /// Where from.
        tp: TpId,
        /// The next offset the consumer wants.
        position: Offset,
    },
    /// Begin reading a partition at a position (also a seek): resets the consumer's cursor.
    Assign {
        /// Where from.
        tp: TpId,
        /// The first offset wanted.
        position: Offset,
        /// Whether it begins (or moves) the final read.
        last: bool,
    },
    /// ListOffsets.
    ListOffsets {
        /// Of which partition.
        tp: TpId,
        /// -1 latest, -2 earliest, -3 max timestamp, else a timestamp in ms.
        query: i64,
    },
    /// DeleteRecords: drop everything below `before`.
    DeleteRecords {
        /// Of which partition.
        tp: TpId,
        /// One past the last offset to drop.
        before: Offset,
    },
    /// OffsetCommit: of one partition, by a member in a generation.
    Commit {
        /// The group's number in the run.
        group: u32,
        /// Of which partition.
        tp: TpId,
        /// The next offset to read.
        offset: Offset,
        /// The generation stated.
        generation: i32,
    },
    /// OffsetFetch: where a group left off in one partition.
    FetchOffset {
        /// The group's number in the run.
        group: u32,
        /// Of which partition.
        tp: TpId,
    },
    /// Any other administrative request, by Kafka API key.
    Admin {
        /// The API key.
        api: i16,
    },
}

/// Whether an operation happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did.
    Ok,
    /// It surely did not.
    Fail,
    /// Unknown: it may have happened, or may happen yet.
    Info,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Nothing more than the outcome.
    None,
    /// The record is at `offset` (-1 with acks=0).
    Sent {
        /// Where it is.
        offset: Offset,
    },
    /// The poll delivered this many records and moved the consumer here.
    Polled {
        /// Records delivered.
        records: u32,
        /// The next offset wanted.
        position: Offset,
        /// The high watermark the broker stated.
        high: Offset,
    },
    /// ListOffsets found this.
    Listed {
        /// The offset, -1 for none.
        offset: Offset,
        /// Its timestamp, -1 for none.
        timestamp: Timestamp,
    },
    /// OffsetFetch found this.
    Offset {
        /// The next offset to read; -1 if none was committed.
        offset: Offset,
    },
    /// OffsetCommit: done, after an attempt of which nothing was heard; that one may land yet.
    Repeated,
}

/// What happened to a client as a member of a group, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct GroupEvent {
    /// Which client.
    pub client: u32,
    /// How often it had been restarted.
    pub incarnation: u16,
    /// The group's number in the run.
    pub group: u32,
    /// The generation it is in; -1 if in none (any more).
    pub generation: i32,
    /// What.
    #[serde(flatten)]
    pub what: GroupStep,
}

/// A step of a member's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum GroupStep {
    /// The coordinator has let it into the generation.
    Entered {
        /// Whether it leads: it shares the partitions out.
        leads: bool,
        /// For a static member a number of its `group.instance.id`; equal ones have equal numbers.
        #[serde(default)]
        instance: Option<u32>,
    },
    /// It was told what it is to own in this generation, which is on record: no other one is ever counted the same.
    Synced,
    /// It owns a partition from now on, and begins to read it.
    Assigned {
        /// Which.
        tp: TpId,
        /// The first offset wanted.
        position: Offset,
    },
    /// It has processed everything of a partition that it was handed below this offset.
    Processed {
        /// Which.
        tp: TpId,
        /// The next offset to process.
        position: Offset,
    },
    /// It has given a partition up: it will neither read nor commit it.
    Revoked {
        /// Which.
        tp: TpId,
    },
    /// It has learned that a partition is not its own any more; it may have been another's for a while, and it may not have
    /// begun to read it.
    Lost {
        /// Which.
        tp: TpId,
    },
    /// It has learned that it is a member no more, and held nothing that it could lose.
    Out,
    /// It has left the group.
    Left,
    /// Not a member: an operator has set the group, which has none, to begin there.
    Rewound {
        /// Which.
        tp: TpId,
        /// The next offset to process.
        position: Offset,
    },
    /// A heartbeat of its was accepted: it is a member in this epoch, and knows what it is to own in it (KIP-848). The epochs of
    /// such a group's members need not be the same.
    Told,
}

/// One record handed to an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Delivery {
    /// The poll it came in.
    pub op: u64,
    /// The consuming client.
    pub client: u32,
    /// Where from.
    pub tp: TpId,
    /// Its offset.
    pub offset: Offset,
    /// Who the value says sent it; `None` if the value is not one of ours, or is damaged.
    pub id: Option<RecordId>,
    /// CRC-32C over the key, value, headers and timestamp as delivered.
    pub checksum: u32,
    /// Its timestamp as delivered.
    pub timestamp: Timestamp,
    /// The leader epoch of its batch.
    pub epoch: i32,
    /// Whether it was read in the final read from the log's start.
    pub last: bool,
}

/// Where events are noted, in order, until the step loop drains them. Cheap to clone; one thread only.
#[derive(Clone)]
pub struct Tape {
    clock: Rc<dyn Fn() -> u64>,
    events: Rc<RefCell<Vec<Event>>>,
    ops: Rc<std::cell::Cell<u64>>,
    partitions: Rc<RefCell<Partitions>>,
}

/// The run's partitions, in the order in which they were first named.
type Partitions = indexmap::IndexSet<TopicPartition, rustc_hash::FxBuildHasher>;

impl Tape {
    /// A tape that stamps events by `clock` (nanoseconds of world time).
    pub fn new(clock: impl Fn() -> u64 + 'static) -> Self {
        Self { clock: Rc::new(clock), events: Rc::default(), ops: Rc::default(), partitions: Rc::default() }
    }

    /// The number of a partition in this run; a new one is given the next.
    pub fn tp(&self, tp: &TopicPartition) -> TpId {
        let mut partitions = self.partitions.borrow_mut();
        let number = partitions.get_index_of(tp).unwrap_or_else(|| partitions.insert_full(tp.clone()).0);
        TpId(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// Every partition named so far; a [`TpId`] is a place in this list.
    pub fn partitions(&self) -> Vec<TopicPartition> {
        self.partitions.borrow().iter().cloned().collect()
    }

    /// Notes that `kind` happens now.
    pub fn note(&self, kind: Kind) {
        let at = (self.clock)();
        self.events.borrow_mut().push(Event { at, kind });
    }

    /// Notes a call and returns its operation number.
    pub fn call(&self, client: u32, incarnation: u16, call: Call) -> u64 {
        let op = self.ops.get();
        self.ops.set(op + 1);
        self.note(Kind::Call { op, client, incarnation, call });
        op
    }

    /// World time now, in nanoseconds.
    pub fn now(&self) -> u64 {
        (self.clock)()
    }

    /// Moves everything noted since the last call to the end of `into`.
    pub fn drain(&self, into: &mut Vec<Event>) {
        into.append(&mut self.events.borrow_mut());
    }
}
