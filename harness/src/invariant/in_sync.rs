//! W6: the high watermark does not pass what any member of the maximal in-sync set has (KIP-497); the set holds its leader
//! and only brokers of the cluster; and whoever is let in has all that is committed (KIP-903), as has whoever is eligible
//! to lead without being in it (KIP-966).

use std::collections::{BTreeMap, BTreeSet};

use broker::fact::Fact;
use broker::ids::{LeaderEpoch, NodeId, Offset, PartitionEpoch};

use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View};
use crate::contract::Contract;
use crate::history::{Event, Kind, TpId};
use crate::invariant::ledger::{Log, Part, time};

pub(super) const ROW: Row = Row {
    id: "W6",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "every in-sync replica has all that is below the high watermark",
    white_box: true,
    wants: Kinds::WATERMARKS
        .and(Kinds::LEADS)
        .and(Kinds::IN_SYNC)
        .and(Kinds::DECIDED)
        .and(Kinds::REGISTERED)
        .and(Kinds::DELETED)
        .and(Kinds::DROPPED)
        .and(Kinds::UP)
        .and(Kinds::WIPED),
    applies: |contract| if contract.replication > 1 { Applies::Enforced } else { Applies::No },
    must: |contract| contract.replication > 1,
    make: || Box::new(InSync::default()),
};

/// What a leader said last.
#[derive(Default)]
struct Leader {
    epoch: LeaderEpoch,
    maximal: Vec<NodeId>,
    high: Offset,
}

/// What is known to be decided last of a partition. Its leader may know before the controller says so, whose disk need not
/// be as quick as its word.
struct Last {
    partition_epoch: PartitionEpoch,
    leader: Option<NodeId>,
    in_sync: Vec<NodeId>,
}

impl Last {
    fn of(leader: NodeId, partition_epoch: PartitionEpoch, in_sync: &[NodeId]) -> Self {
        Self { partition_epoch, leader: Some(leader), in_sync: in_sync.to_vec() }
    }
}

#[derive(Default)]
struct InSync {
    judged: u64,
    leaders: BTreeMap<(TpId, NodeId), Leader>,
    decided: BTreeMap<TpId, Last>,
    /// The partition epoch of which it was told last who is eligible.
    eligible: BTreeMap<TpId, PartitionEpoch>,
    /// Nodes that had a replica, until others were given it: their leader need not know yet that they do not count.
    dropped: BTreeSet<(TpId, NodeId)>,
    /// Nodes whose present life is registered.
    registered: BTreeSet<NodeId>,
    /// Who should not have been let in, by what a controller says, until all it says in that breath is heard.
    held: Vec<Held>,
}

/// A member that a controller lets in though it lacks what is committed. What was decided before it registered anew and what
/// its registration decides, which takes it out again, a controller may tell of in one breath.
struct Held {
    at: u64,
    by: NodeId,
    tp: TpId,
    member: NodeId,
    what: String,
    fact: String,
}

impl Held {
    fn report(self, view: &View<'_>, out: &mut Findings) {
        let Self { at, by, tp, what, fact, .. } = self;
        violation(at, by, tp, &what, &fact, view, out);
    }
}

fn violation(at: u64, node: NodeId, tp: TpId, what: &str, fact: &str, view: &View<'_>, out: &mut Findings) {
    out.violation(at, Some(tp), 1, || {
        Tell::new(format!("{node}, partition {}: {what}", view.ledger.name(tp)))
            .and(view.ledger.window(0, at))
            .then(format!("{}: {fact}", time(at)))
    });
}

/// How a member's copy falls short of `high` while its node is up.
fn short(part: &Part, member: NodeId, high: Offset) -> Option<String> {
    let up = part.log(member).is_none_or(|log| log.down.is_none());
    if up { lacks(part, member, high) } else { None }
}

/// What a copy lacks of what is below `high`. One that agrees with the last committed batch has all before it: that is
/// W1's matter. Where some copy was compacted, batches say nothing.
fn lacks(part: &Part, member: NodeId, high: Offset) -> Option<String> {
    let Some(log) = part.log(member) else { return (high > 0).then(|| "has nothing".into()) };
    if log.end < high {
        return Some(format!("ends at {}", log.end));
    }
    let last = part.committed.partition_point(|batch| batch.base < high).checked_sub(1);
    let last = last.and_then(|n| part.committed.get(n)).filter(|last| last.base >= log.start.max(part.compacted))?;
    (log.batch_at(last.base) != Some(last)).then(|| format!("holds another batch at {}", last.base))
}

/// Whether a member had fetched up to `high` before a power loss took it: its leader may count on what it was told.
fn had(part: &Part, member: NodeId, high: Offset) -> bool {
    let by_power = |log: &Log| log.cuts.iter().any(|cut| cut.power) || log.down.is_some_and(|(_, power)| power);
    part.log(member).is_some_and(|log| log.peak >= high && by_power(log))
}

impl InSync {
    fn fact(&mut self, at: u64, key: (TpId, NodeId), part: &Part, fact: &Fact, contract: &Contract) -> Option<String> {
        let brokers = contract.brokers;
        match fact {
            Fact::Leads { epoch, partition_epoch, in_sync, .. } => {
                self.leaders.insert(key, Leader { epoch: *epoch, maximal: in_sync.clone(), high: 0 });
                let lets_in = self.lets_in(key.0, part, Last::of(key.1, *partition_epoch, in_sync));
                self.set(key.1, in_sync, in_sync, brokers).or(lets_in.map(|(_, what)| what))
            }
            Fact::InSync { epoch, partition_epoch, in_sync, maximal, .. } => {
                let leader = self.leaders.entry(key).or_default();
                (leader.epoch, leader.maximal) = (*epoch, maximal.clone());
                let lets_in = self.lets_in(key.0, part, Last::of(key.1, *partition_epoch, in_sync));
                self.set(key.1, in_sync, maximal, brokers).or(lets_in.map(|(_, what)| what))
            }
            Fact::Watermarks { high, epoch, .. } => self.rises(key, part, *epoch, *high),
            Fact::Decided { partition_epoch, leader, in_sync, elr, .. } => {
                let now = Last { partition_epoch: *partition_epoch, leader: *leader, in_sync: in_sync.clone() };
                // One that was elected uncleanly is trusted from then on, also if it dies before it knows.
                let elr = if contract.unclean && part.is_unsettled() { &[][..] } else { elr };
                self.held.retain(|held| (held.tp, held.by) != key || in_sync.contains(&held.member));
                let eligible = self.eligible(key.0, part, &now, elr);
                if let Some((member, what)) = self.lets_in(key.0, part, now) {
                    self.held.push(Held { at, by: key.1, tp: key.0, member, what, fact: format!("{fact:?}") });
                }
                eligible
            }
            Fact::Deleted { .. } => {
                self.decided.remove(&key.0);
                self.eligible.remove(&key.0);
                self.leaders.remove(&key);
                self.dropped.remove(&key);
                None
            }
            Fact::Dropped { .. } => {
                self.dropped.insert(key);
                None
            }
            _ => None,
        }
    }

    fn set(&mut self, leader: NodeId, in_sync: &[NodeId], maximal: &[NodeId], brokers: u32) -> Option<String> {
        self.judged += 1;
        let stranger = maximal.iter().find(|node| u32::try_from(node.0).map_or(true, |n| n >= brokers));
        let outside = in_sync.iter().find(|node| !maximal.contains(node));
        let twice = (1..maximal.len()).find(|n| maximal[..*n].contains(&maximal[*n])).map(|n| &maximal[n]);
        match (in_sync.contains(&leader), stranger.or(outside).or(twice)) {
            (false, _) => Some(format!("the leader itself is not among its in-sync set {in_sync:?}")),
            (true, Some(node)) => Some(format!("{node} does not belong in {in_sync:?}, at most {maximal:?}")),
            (true, None) => None,
        }
    }

    fn rises(&mut self, key: (TpId, NodeId), part: &Part, epoch: LeaderEpoch, high: Offset) -> Option<String> {
        let leader = self.leaders.get_mut(&key).filter(|leader| leader.epoch == epoch && high > leader.high)?;
        leader.high = high;
        self.judged += 1;
        let gone = |m| self.dropped.contains(&(key.0, m)) && part.log(m).is_none();
        let short = |m| short(part, m, high).filter(|_| !had(part, m, high) && !gone(m));
        let behind = leader.maximal.iter().find_map(|m| short(*m).map(|what| (m, what)))?;
        Some(format!("its high watermark rises to {high}, and {} of its in-sync set {}", behind.0, behind.1))
    }

    /// A controller that starts again tells all that was ever decided once more, and one whose disk is slow tells late:
    /// that is no news.
    fn is_news(&self, tp: TpId, now: &Last) -> bool {
        self.decided.get(&tp).is_none_or(|last| last.partition_epoch < now.partition_epoch)
    }

    fn eligible(&mut self, tp: TpId, part: &Part, now: &Last, elr: &[NodeId]) -> Option<String> {
        // The leader may have told of the set before, but not of who is eligible.
        let last = self.decided.get(&tp).map_or(-1, |last| last.partition_epoch);
        let told = self.eligible.insert(tp, now.partition_epoch).unwrap_or(-1);
        if told.max(last - 1) < now.partition_epoch { self.is_eligible(part, elr) } else { None }
    }

    /// Whoever a leader lets in; whom an election finds there is W4's and W8's matter.
    fn lets_in(&mut self, tp: TpId, part: &Part, now: Last) -> Option<(NodeId, String)> {
        if !self.is_news(tp, &now) {
            return None;
        }
        let (leader, in_sync) = (now.leader, now.in_sync.clone());
        let last = self.decided.insert(tp, now).filter(|last| last.leader == leader && leader.is_some())?;
        let new = in_sync.iter().filter(|node| !last.in_sync.contains(node) && self.registered.contains(node));
        let committed = part.committed_end();
        let behind = new.copied().find_map(|m| {
            self.judged += 1;
            short(part, m, committed).map(|what| (m, what))
        })?;
        let (member, lacks) = behind;
        Some((member, format!("{member} is let into the in-sync set; it {lacks}, committed is up to {committed}")))
    }

    /// Whoever may lead while nobody is in sync, up or down: nothing is committed without it (KIP-966).
    fn is_eligible(&mut self, part: &Part, elr: &[NodeId]) -> Option<String> {
        let committed = part.committed_end();
        let behind = elr.iter().find_map(|m| {
            self.judged += 1;
            let lacks = lacks(part, *m, committed).filter(|_| !had(part, *m, committed));
            lacks.map(|what| (m, what))
        })?;
        Some(format!("{} is eligible to lead; it {}, committed is up to {committed}", behind.0, behind.1))
    }
}

impl Invariant for InSync {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        for held in self.held.extract_if(.., |held| held.at < event.at) {
            held.report(view, out);
        }
        match &event.kind {
            // What a leader asks for while the last life of a member ends in the loss of its disk, it cannot know to be wrong.
            Kind::Up { node: Some(node), .. } | Kind::Wiped { node: Some(node), .. } => {
                self.registered.remove(node);
            }
            Kind::Fact { node, fact: Fact::Registered { .. }, .. } => {
                self.registered.insert(*node);
            }
            Kind::Fact { node, tp: Some(tp), fact, .. } => {
                let Some(part) = view.ledger.part(*tp) else { return };
                if let Some(what) = self.fact(event.at, (*tp, *node), part, fact, &view.rules.contract) {
                    violation(event.at, *node, *tp, &what, &format!("{fact:?}"), view, out);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        self.held.drain(..).for_each(|held| held.report(view, out));
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::{BatchMark, Fact};
    use broker::ids::NodeId;

    use super::super::tale::{Tale, decided, in_sync, leads, mark, marks, replicated, three, tp};
    use crate::contract::Contract;
    use crate::history::Kind;

    fn tale() -> Tale {
        let mut tale = Tale::new(three());
        tale.fact_of(0, leads(0, 0, &[0, 1, 2])).append(mark(0, 1));
        tale.fact_of(1, replicated(mark(0, 1)));
        tale
    }

    #[test]
    fn the_high_watermark_waits_for_the_slowest() {
        let mut tale = tale();
        tale.fact_of(2, replicated(mark(0, 1))).fact_of(0, marks(2, 2, 0));
        tale.holds("W6");
    }

    #[test]
    fn it_does_not() {
        let mut tale = tale();
        tale.fact_of(0, marks(2, 2, 0));
        tale.breaks("W6", 1);
    }

    #[test]
    fn one_that_gave_its_replica_away_is_counted_until_its_leader_knows() {
        let mut tale = tale();
        tale.fact_of(2, replicated(mark(0, 1))).fact_of(2, Fact::Dropped { tp: tp() }).fact_of(0, marks(2, 2, 0));
        tale.holds("W6");
        // It begins anew, with nothing.
        let marks = tale.events.pop();
        tale.fact_of(2, Fact::Follows { tp: tp(), epoch: 0, leader: Some(NodeId(0)) });
        tale.events.extend(marks);
        tale.breaks("W6", 1);
    }

    #[test]
    fn it_counts_a_shrink_that_is_only_proposed() {
        let mut tale = tale();
        tale.fact_of(0, in_sync(0, 1, &[0, 1], &[0, 1, 2])).fact_of(0, marks(2, 2, 0));
        tale.breaks("W6", 1);
        tale.fact_of(0, in_sync(0, 1, &[0, 1], &[0, 1]));
        let at = tale.events.len() - 1;
        tale.events.swap(at - 1, at);
        let (a, b) = (tale.events[at - 1].at, tale.events[at].at);
        (tale.events[at - 1].at, tale.events[at].at) = (b, a);
        tale.holds("W6");
    }

    #[test]
    fn it_counts_a_member_whose_log_parts_from_its_leaders() {
        let mut tale = Tale::new(three());
        let other = BatchMark { crc: 1, ..mark(0, 1) };
        tale.fact_of(0, leads(0, 0, &[0, 1])).append(mark(0, 1)).fact_of(1, replicated(mark(0, 1)));
        tale.fact_of(0, marks(2, 2, 0));
        tale.holds("W6");
        let mut tale = Tale::new(three());
        tale.fact_of(0, leads(0, 0, &[0, 1])).append(mark(0, 1)).fact_of(1, replicated(other));
        tale.fact_of(0, marks(2, 2, 0));
        tale.breaks("W6", 1);
    }

    #[test]
    fn copies_that_were_compacted_each_for_itself_are_not_alike() {
        let mut tale = Tale::new(Contract { compaction: true, ..three() });
        let (batches, other) = (vec![mark(0, 1)], BatchMark { crc: 1, ..mark(0, 1) });
        tale.fact_of(0, leads(0, 0, &[0, 1])).append(mark(0, 1)).fact_of(1, replicated(other));
        tale.fact_of(0, Fact::Cleaned { tp: tp(), base: 0, next: 2, upto: 2, high: 2, records: 1, batches });
        tale.fact_of(0, marks(2, 2, 0));
        tale.holds("W6");
        tale.append(mark(2, 2)).fact_of(0, marks(3, 3, 0));
        tale.breaks("W6", 1);
    }

    fn eligible(mut fact: Fact) -> Fact {
        if let Fact::Decided { elr, .. } = &mut fact {
            elr.push(NodeId(2));
        }
        fact
    }

    #[test]
    fn one_stays_eligible_while_more_is_committed() {
        let mut tale = tale();
        tale.fact_of(2, replicated(mark(0, 1))).fact_of(0, marks(2, 2, 0));
        tale.note(Kind::Down { host: "b2".into(), node: Some(NodeId(2)), power: false, why: "strike".into() });
        tale.fact_of(0, eligible(decided(1, Some(0), 0, &[0])));
        tale.holds("W6");
        tale.fact_of(0, in_sync(0, 2, &[0, 1], &[0, 1])).append(mark(2, 2)).fact_of(1, replicated(mark(2, 2)));
        tale.fact_of(0, marks(3, 3, 0)).fact_of(0, eligible(decided(2, Some(0), 0, &[0, 1])));
        tale.breaks("W6", 1);
    }

    #[test]
    fn an_unclean_leader_dies_before_it_has_led() {
        let mut tale = tale();
        tale.rules.contract.unclean = true;
        let mut unclean = decided(1, Some(2), 1, &[2]);
        if let Fact::Decided { unclean, .. } = &mut unclean {
            *unclean = true;
        }
        tale.fact_of(0, in_sync(0, 0, &[0, 1], &[0, 1])).fact_of(0, marks(2, 2, 0)).fact_of(1, unclean);
        let chosen = tale.events.pop();
        tale.events.extend(chosen.clone());
        tale.fact_of(1, eligible(decided(2, None, 2, &[])));
        tale.holds("W6");
        tale.events.retain(|event| Some(event) != chosen.as_ref());
        tale.breaks("W6", 1);
    }

    #[test]
    fn a_wiped_replica_is_let_in() {
        let mut tale = tale();
        tale.fact_of(2, replicated(mark(0, 1))).fact_of(0, marks(2, 2, 0)).fact_of(0, decided(1, Some(0), 0, &[0, 1]));
        tale.note(Kind::Wiped { host: "b2".into(), node: Some(NodeId(2)) });
        tale.fact_of(2, Fact::Registered { broker_epoch: 9 }).fact_of(0, decided(2, Some(0), 0, &[0, 1, 2]));
        tale.breaks("W6", 1);
    }

    #[test]
    fn what_a_follower_believes_committed_before_it_has_cut_its_log_is_not() {
        let mut tale = Tale::new(Contract { unclean: true, ..three() });
        tale.fact_of(0, leads(0, 0, &[0, 1, 2])).append(mark(0, 0)).append(mark(1, 1));
        tale.fact_of(0, decided(1, Some(1), 1, &[1, 2])).fact_of(1, leads(1, 0, &[1, 2]));
        // An ex-leader comes back, with the high watermark it had.
        tale.fact_of(0, marks(2, 2, 1)).fact_of(0, Fact::Truncated { tp: tp(), log_end: 0 });
        tale.fact_of(0, Fact::Registered { broker_epoch: 9 }).fact_of(0, decided(2, Some(1), 1, &[0, 1, 2]));
        tale.holds("W6");
    }

    #[test]
    fn a_replica_is_let_in_that_was_wiped_after_it_was_asked_for() {
        let mut tale = tale();
        tale.fact_of(2, Fact::Registered { broker_epoch: 8 }).fact_of(2, replicated(mark(0, 1)));
        tale.fact_of(0, marks(2, 2, 0)).fact_of(0, decided(1, Some(0), 0, &[0, 1]));
        tale.note(Kind::Wiped { host: "b2".into(), node: Some(NodeId(2)) });
        tale.fact_of(0, decided(2, Some(0), 0, &[0, 1, 2]));
        tale.holds("W6");
    }

    #[test]
    fn a_replica_is_let_in_that_registers_before_that_is_told() {
        let mut tale = tale();
        tale.fact_of(2, replicated(mark(0, 1))).fact_of(0, marks(2, 2, 0)).fact_of(0, decided(1, Some(0), 0, &[0, 1]));
        tale.note(Kind::Wiped { host: "b2".into(), node: Some(NodeId(2)) });
        tale.fact_of(2, Fact::Registered { broker_epoch: 9 });
        tale.fact_of(0, decided(2, Some(0), 0, &[0, 1, 2])).fact_of(0, decided(3, Some(0), 0, &[0, 1]));
        let breath = tale.events.len() - 2;
        tale.events[breath + 1].at = tale.events[breath].at;
        tale.holds("W6");
        // It is taken out again only later.
        tale.events[breath + 1].at += 1;
        tale.breaks("W6", 1);
    }

    /// As [`a_wiped_replica_is_let_in`], and the controller is slow to say so.
    #[test]
    fn a_leader_lets_a_wiped_replica_in() {
        let mut tale = tale();
        tale.fact_of(2, replicated(mark(0, 1))).fact_of(0, marks(2, 2, 0)).fact_of(0, in_sync(0, 1, &[0, 1], &[0, 1]));
        tale.note(Kind::Wiped { host: "b2".into(), node: Some(NodeId(2)) });
        tale.fact_of(2, Fact::Registered { broker_epoch: 9 }).fact_of(0, in_sync(0, 2, &[0, 1, 2], &[0, 1, 2]));
        tale.breaks("W6", 1);
    }

    #[test]
    fn what_its_leader_knows_already_is_no_news() {
        let mut tale = tale();
        tale.fact_of(2, replicated(mark(0, 1))).fact_of(0, marks(2, 2, 0)).fact_of(0, decided(1, Some(0), 0, &[0, 1]));
        tale.fact_of(2, Fact::Registered { broker_epoch: 9 }).fact_of(0, in_sync(0, 2, &[0, 1, 2], &[0, 1, 2]));
        tale.fact_of(0, in_sync(0, 3, &[0, 1], &[0, 1])).append(mark(2, 2)).fact_of(1, replicated(mark(2, 2)));
        tale.fact_of(0, marks(3, 3, 0)).fact_of(0, decided(2, Some(0), 0, &[0, 1, 2]));
        tale.holds("W6");
    }

    #[test]
    fn what_was_decided_long_ago_is_told_again() {
        let mut tale = tale();
        tale.fact_of(0, decided(1, Some(0), 0, &[0, 1, 2])).fact_of(0, decided(2, Some(0), 0, &[0, 1]));
        tale.fact_of(0, in_sync(0, 2, &[0, 1], &[0, 1])).fact_of(0, marks(2, 2, 0));
        tale.fact_of(2, Fact::Registered { broker_epoch: 9 });
        tale.fact_of(0, decided(1, Some(0), 0, &[0, 1, 2]));
        tale.holds("W6");
    }

    #[test]
    fn a_set_without_its_leader_and_one_with_a_stranger() {
        let mut tale = tale();
        tale.fact_of(0, in_sync(0, 1, &[1], &[1])).fact_of(0, in_sync(0, 2, &[0], &[0, 7]));
        tale.breaks("W6", 2);
    }
}
