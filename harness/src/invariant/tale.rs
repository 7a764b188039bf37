//! Tiny histories for tests: one partition `p0` mostly, one producer, a millisecond between events.

use broker::controller::record::TopicId;
use broker::fact::{BatchMark, Fact};
use broker::ids::{NodeId, Offset, TopicPartition};

use super::{Checked, Checker, Rules};
use crate::contract::Contract;
use crate::history::{
    AppStep, Call, Delivery, Event, GroupEvent, GroupStep, Kind, Origin, Outcome, Phase, RecordId, Reply, TpId,
};

/// The partition of these tales.
pub const TP: TpId = TpId(0);

/// A history in the making.
pub struct Tale {
    /// What it will be judged by.
    pub rules: Rules,
    /// The events so far.
    pub events: Vec<Event>,
    at: u64,
    ops: u64,
}

/// The record `seq` of producer 0.
pub fn id(seq: u64) -> RecordId {
    RecordId { producer: 0, incarnation: 0, seq }
}

/// The checksum that these tales give to record `seq`.
pub fn checksum(seq: u64) -> u32 {
    u32::try_from(seq).unwrap_or(0) + 1000
}

/// The partition as facts name it.
pub fn tp() -> TopicPartition {
    TopicPartition::new("p", 0)
}

/// A batch of records `base` to `last`.
pub fn mark(base: Offset, last: Offset) -> BatchMark {
    BatchMark { base, last, crc: u32::try_from(base).unwrap_or(0) + 7 }
}

impl Tale {
    /// Under a contract.
    pub fn new(contract: Contract) -> Self {
        Self { rules: Rules::new(contract, 2), events: Vec::new(), at: 0, ops: 0 }
    }

    /// Time goes on by so many milliseconds.
    pub fn wait(&mut self, ms: u64) -> &mut Self {
        self.at += ms * 1_000_000;
        self
    }

    /// Something happens, a millisecond after what was before.
    pub fn note(&mut self, kind: Kind) -> &mut Self {
        self.at += 1_000_000;
        self.events.push(Event { at: self.at, kind });
        self
    }

    /// A client calls.
    pub fn call(&mut self, client: u32, call: Call) -> u64 {
        let op = self.ops;
        self.ops += 1;
        self.note(Kind::Call { op, client, incarnation: 0, call });
        op
    }

    /// A call returns.
    pub fn returns(&mut self, op: u64, outcome: Outcome, reply: Reply) -> &mut Self {
        self.note(Kind::Return { op, outcome, code: 0, reply })
    }

    /// Producer 0 (client 0) sends its record `seq`.
    pub fn send(&mut self, seq: u64) -> u64 {
        let acks = self.rules.contract.acks;
        let timestamp = i64::try_from(seq).unwrap_or(0) * 10;
        self.call(0, Call::Send { tp: TP, id: id(seq), checksum: checksum(seq), timestamp, acks })
    }

    /// That send is acknowledged.
    pub fn ack(&mut self, op: u64, offset: Offset) -> &mut Self {
        self.returns(op, Outcome::Ok, Reply::Sent { offset })
    }

    /// Records 0 to `n` - 1 are sent and acknowledged at the offsets of the same numbers.
    pub fn sent(&mut self, n: u64) -> &mut Self {
        for seq in 0..n {
            let op = self.send(seq);
            self.ack(op, i64::try_from(seq).unwrap_or(0));
        }
        self
    }

    /// A phase begins.
    pub fn phase(&mut self, phase: Phase) -> &mut Self {
        self.note(Kind::Phase { phase })
    }

    /// A record is delivered in `op`; record `seq` of producer 0, if any.
    pub fn deliver(&mut self, op: u64, client: u32, offset: Offset, seq: Option<u64>) -> &mut Self {
        let last = matches!(self.phase_now(), Some(Phase::FinalRead));
        let timestamp = i64::try_from(seq.unwrap_or(0)).unwrap_or(0) * 10;
        let checksum = seq.map_or(5, checksum);
        let id = seq.map(id);
        self.note(Kind::Deliver(Delivery { op, client, tp: TP, offset, id, checksum, timestamp, epoch: 0, last }))
    }

    /// A client polls at `position` and is given these (offset, seq); it goes on after the last.
    pub fn poll(&mut self, client: u32, position: Offset, records: &[(Offset, u64)]) -> &mut Self {
        let op = self.call(client, Call::Poll { tp: TP, position });
        for (offset, seq) in records {
            self.deliver(op, client, *offset, Some(*seq));
        }
        let position = records.last().map_or(position, |(offset, _)| offset + 1);
        let count = u32::try_from(records.len()).unwrap_or(0);
        self.returns(op, Outcome::Ok, Reply::Polled { records: count, position, high: position })
    }

    /// The final read, by client 9 from offset 0, finds these (offset, seq).
    pub fn final_read(&mut self, records: &[(Offset, u64)]) -> &mut Self {
        self.phase(Phase::FinalRead).assign(9, 0).poll(9, 0, records)
    }

    /// A client begins to read at `position`.
    pub fn assign(&mut self, client: u32, position: Offset) -> &mut Self {
        let last = matches!(self.phase_now(), Some(Phase::FinalRead));
        let op = self.call(client, Call::Assign { tp: TP, position, last });
        self.returns(op, Outcome::Ok, Reply::None)
    }

    /// Node 0 states a fact.
    pub fn fact(&mut self, fact: Fact) -> &mut Self {
        self.note(Kind::Fact { node: NodeId(0), incarnation: 0, tp: Some(TP), fact })
    }

    /// A node states a fact of its first life.
    pub fn fact_of(&mut self, node: i32, fact: Fact) -> &mut Self {
        let tp = fact.tp().map(|_| TP);
        self.note(Kind::Fact { node: NodeId(node), incarnation: 0, tp, fact })
    }

    /// Node 0 appends a batch.
    pub fn append(&mut self, batch: BatchMark) -> &mut Self {
        self.fact(Fact::Appended { tp: tp(), batch, epoch: 0, max_timestamp: 0 })
    }

    /// Node 0 has synced everything below `upto`.
    pub fn flush(&mut self, upto: Offset) -> &mut Self {
        self.fact(Fact::Flushed { tp: tp(), upto })
    }

    /// Node 0 states its offsets: log start, high watermark, log end.
    pub fn marks(&mut self, log_start: Offset, high: Offset, end: Offset) -> &mut Self {
        self.fact(Fact::Watermarks { tp: tp(), log_start, stable: high, high, end, epoch: 0 })
    }

    /// Node 0 goes down.
    pub fn down(&mut self, power: bool) -> &mut Self {
        self.note(Kind::Down { host: "b0".into(), node: Some(NodeId(0)), power, why: "strike".into() })
    }

    /// Node 0 has recovered its log up to `log_end`, having found these batches.
    pub fn recover(&mut self, log_end: Offset, tail: &[BatchMark]) -> &mut Self {
        let tail = tail.to_vec();
        self.fact(Fact::Recovered { tp: tp(), log_start: 0, log_end, recovery_point: 0, tail, synced: true })
    }

    /// The auditor has found these batches, and nothing wrong.
    pub fn audit(&mut self, batches: &[BatchMark]) -> &mut Self {
        self.fact(audited(batches))
    }

    /// Something happens to a client as a member of group 0, in `generation`.
    pub fn step(&mut self, client: u32, generation: i32, what: GroupStep) -> &mut Self {
        self.note(Kind::Group(GroupEvent { client, incarnation: 0, group: 0, generation, what }))
    }

    /// A client enters a generation, which is on record then.
    pub fn joins(&mut self, client: u32, generation: i32) -> &mut Self {
        self.step(client, generation, GroupStep::Entered { leads: false, instance: None });
        self.step(client, generation, GroupStep::Synced)
    }

    /// A member is given the partition, and begins it at `position`.
    pub fn assigned(&mut self, client: u32, generation: i32, position: Offset) -> &mut Self {
        self.step(client, generation, GroupStep::Assigned { tp: TP, position }).assign(client, position)
    }

    /// A member has processed the partition up to `position`.
    pub fn processed(&mut self, client: u32, generation: i32, position: Offset) -> &mut Self {
        self.step(client, generation, GroupStep::Processed { tp: TP, position })
    }

    /// A member commits, and that is accepted.
    pub fn commits(&mut self, client: u32, generation: i32, offset: Offset) -> &mut Self {
        let op = self.call(client, Call::Commit { group: 0, tp: TP, offset, generation });
        self.returns(op, Outcome::Ok, Reply::None)
    }

    /// A client asks for group 0's offset, and is told this.
    pub fn looks_up(&mut self, client: u32, offset: Offset) -> &mut Self {
        let op = self.call(client, Call::FetchOffset { group: 0, tp: TP });
        self.returns(op, Outcome::Ok, Reply::Offset { offset })
    }

    /// Application 0 states something.
    pub fn app(&mut self, what: AppStep) -> &mut Self {
        self.note(Kind::App { app: 0, what })
    }

    /// Application 0 has done what record `seq` asks for, and says so in that row.
    pub fn effect(&mut self, row: u64, seq: u64) -> &mut Self {
        self.app(AppStep::Effect { row, of: origin(seq) })
    }

    fn phase_now(&self) -> Option<Phase> {
        self.events.iter().rev().find_map(|e| match e.kind {
            Kind::Phase { phase } => Some(phase),
            _ => None,
        })
    }

    /// What one invariant makes of it.
    pub fn check(&self, invariant: &str) -> Checked {
        let mut checker = Checker::only(self.rules.clone(), &[invariant]);
        self.events.iter().for_each(|e| checker.see(e));
        checker.end(self.at)
    }

    /// The invariant was put to the test and found nothing at all.
    pub fn holds(&self, invariant: &str) {
        let checked = self.check(invariant);
        assert!(checked.findings.is_empty(), "{:#?}", checked.findings);
        assert!(checked.of(invariant).is_some_and(|e| e.count > 0), "{invariant} was not put to the test");
    }

    /// The invariant finds so many violations, and tells of them.
    pub fn breaks(&self, invariant: &str, violations: u64) {
        let checked = self.check(invariant);
        let found = checked.of(invariant).map(|e| e.violations);
        assert_eq!(found, Some(violations), "{:#?}", checked.findings);
        assert!(checked.findings.iter().all(|f| f.invariant == invariant && !f.what.is_empty()));
        assert!(checked.findings.iter().any(|f| !f.story.is_empty()), "no story: {:#?}", checked.findings);
    }

    /// The invariant finds nothing broken, and counts so many losses that the contract permits.
    pub fn excuses(&self, invariant: &str, expected: u64) {
        let checked = self.check(invariant);
        let found = checked.of(invariant).map(|e| (e.violations, e.expected));
        assert_eq!(found, Some((0, expected)), "{:#?}", checked.findings);
    }
}

/// An audit that has found these batches, and nothing wrong.
pub fn audited(batches: &[BatchMark]) -> Fact {
    Fact::Audited {
        tp: tp(),
        log_start: batches.first().map_or(0, |b| b.base),
        log_end: batches.last().map_or(0, |b| b.last + 1),
        batches: batches.to_vec(),
        bad_crc: Vec::new(),
        torn_bytes: 0,
        bad_lookups: Vec::new(),
    }
}

/// A follower's copy of a batch.
pub fn replicated(batch: BatchMark) -> Fact {
    Fact::Replicated { tp: tp(), batch, epoch: 0 }
}

/// Offsets of a copy that begins at 0.
pub fn marks(high: Offset, end: Offset, epoch: i32) -> Fact {
    Fact::Watermarks { tp: tp(), log_start: 0, stable: high, high, end, epoch }
}

fn nodes(of: &[i32]) -> Vec<NodeId> {
    of.iter().copied().map(NodeId).collect()
}

/// A node leads in `epoch`, from `end`, with these in sync.
pub fn leads(epoch: i32, end: Offset, in_sync: &[i32]) -> Fact {
    Fact::Leads { tp: tp(), epoch, partition_epoch: epoch, end, in_sync: nodes(in_sync) }
}

/// A leader's in-sync set, committed and at most.
pub fn in_sync(epoch: i32, partition_epoch: i32, in_sync: &[i32], maximal: &[i32]) -> Fact {
    Fact::InSync { tp: tp(), epoch, partition_epoch, in_sync: nodes(in_sync), maximal: nodes(maximal) }
}

/// The controller's decision.
pub fn decided(partition_epoch: i32, leader: Option<i32>, leader_epoch: i32, in_sync: &[i32]) -> Fact {
    let (leader, in_sync) = (leader.map(NodeId), nodes(in_sync));
    let topic = TopicId(uuid::Uuid::nil());
    Fact::Decided { tp: tp(), topic, partition_epoch, leader, leader_epoch, in_sync, elr: Vec::new(), unclean: false }
}

/// A node holds a replica of a topic with that identity.
pub fn holds(topic: u128) -> Fact {
    Fact::Holds { tp: tp(), topic: TopicId(uuid::Uuid::from_u128(topic)) }
}

/// A contract of three brokers, three replicas and two in sync.
pub fn three() -> Contract {
    Contract { brokers: 3, replication: 3, min_insync: 2, ..Contract::default() }
}

/// A contract of one consumer group.
pub fn grouped() -> Contract {
    Contract { groups: 1, ..Contract::default() }
}

/// A contract of one application.
pub fn apps() -> Contract {
    Contract { apps: 1, ..Contract::default() }
}

/// Record `seq` as an application knows it: at the offset of the same number, with one of two keys.
pub fn origin(seq: u64) -> Origin {
    Origin { tp: TP, offset: i64::try_from(seq).unwrap_or(0), id: id(seq), key: u32::try_from(seq % 2).ok() }
}

/// A contract under which the power may go and flushing is left to the system.
pub fn lazy() -> Contract {
    Contract { flush: broker::config::FlushPolicy::Never, power_loss: true, ..Contract::default() }
}
