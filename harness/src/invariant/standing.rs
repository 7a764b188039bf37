//! L1 and L2: soon after everything is cured, every partition has one leader that is up, and all its replicas are in sync.

use std::collections::BTreeMap;

use broker::fact::Fact;
use broker::ids::{LeaderEpoch, NodeId, PartitionEpoch};

use super::readable::unless_rotten;
use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View};
use crate::contract::Contract;
use crate::history::{Event, Kind, Phase, TpId};
use crate::invariant::ledger::time;

const WANTS: Kinds =
    Kinds::LEADS.and(Kinds::IN_SYNC).and(Kinds::DECIDED).and(Kinds::DOWN).and(Kinds::PHASE).and(Kinds::DELETED);

pub(super) const IN_SYNC: Row = Row {
    id: "L1",
    jepsen: None,
    promise: crate::verdict::Promise::Liveness,
    about: "after healing, every replica is in sync again within the deadline",
    white_box: true,
    wants: WANTS,
    applies: clustered,
    must: Contract::clustered,
    make: || Box::new(Standing { leaders_only: false, ..Standing::default() }),
};

pub(super) const LEADERS: Row = Row {
    id: "L2",
    jepsen: None,
    promise: crate::verdict::Promise::Liveness,
    about: "after healing, every partition has one leader within the deadline",
    white_box: true,
    wants: WANTS,
    applies: clustered,
    must: Contract::clustered,
    make: || Box::new(Standing { leaders_only: true, ..Standing::default() }),
};

fn clustered(contract: &Contract) -> Applies {
    if contract.clustered() { unless_rotten(contract) } else { Applies::No }
}

/// How one partition stands.
#[derive(Default)]
struct State {
    leader: Option<NodeId>,
    epoch: LeaderEpoch,
    partition_epoch: PartitionEpoch,
    in_sync: usize,
    /// Since when it has been as it should be.
    well_since: Option<u64>,
    /// When it was so last.
    well_last: Option<u64>,
}

#[derive(Default)]
struct Standing {
    leaders_only: bool,
    judged: u64,
    parts: BTreeMap<TpId, State>,
    down: Vec<NodeId>,
    over: bool,
}

impl Standing {
    fn fact(&mut self, node: NodeId, tp: TpId, fact: &Fact) {
        let part = self.parts.entry(tp).or_default();
        match fact {
            Fact::Leads { epoch, partition_epoch, in_sync, .. } if *epoch >= part.epoch => {
                (part.leader, part.epoch) = (Some(node), *epoch);
                part.learns(*partition_epoch, in_sync.len());
            }
            Fact::InSync { epoch, partition_epoch, in_sync, .. } if *epoch >= part.epoch => {
                part.learns(*partition_epoch, in_sync.len());
            }
            Fact::Decided { leader, leader_epoch, partition_epoch, in_sync, .. } if *leader_epoch >= part.epoch => {
                if *leader_epoch > part.epoch || leader.is_none() {
                    (part.leader, part.epoch) = (None, *leader_epoch);
                }
                part.learns(*partition_epoch, in_sync.len());
            }
            Fact::Deleted { .. } => *part = State::default(),
            _ => {}
        }
    }

    fn look(&mut self, at: u64, replicas: u32) {
        for part in self.parts.values_mut() {
            let led = part.leader.is_some_and(|leader| !self.down.contains(&leader));
            let well = led && (self.leaders_only || part.in_sync >= replicas as usize);
            if well || part.well_since.is_some() {
                part.well_last = Some(at);
            }
            part.well_since = if well { part.well_since.or(Some(at)) } else { None };
        }
    }

    /// The drain is over: what was not well in time is a finding.
    fn judge(&mut self, at: u64, view: &View<'_>, out: &mut Findings) {
        let Some(healed) = view.ledger.began(Phase::Heal) else { return };
        let (limit, replicas) = (view.rules.contract.drain_deadline_ms, view.rules.contract.replication);
        for (tp, part) in std::mem::take(&mut self.parts) {
            self.judged += 1;
            let deadline = healed + limit * 1_000_000;
            if part.well_since.is_some_and(|since| since <= deadline) {
                continue;
            }
            // The drain ends as soon as all is well, also where something decided while the network was still cut is only
            // about to be heard of.
            if at < deadline && part.well_last.is_some_and(|last| last > healed) {
                continue;
            }
            let leader = part.leader.map_or("nobody".into(), |leader| leader.to_string());
            let (epoch, in_sync) = (part.epoch, part.in_sync);
            let tell = || {
                let state = format!("led by {leader} in epoch {epoch}, {in_sync} of {replicas} replicas are in sync");
                Tell::new(format!("{limit} ms after healing, {} is {state}", view.ledger.name(tp)))
                    .and(view.ledger.window(0, healed))
                    .then(format!("{}: everything is healed", time(healed)))
                    .then(format!("{}: the final read begins", time(at)))
            };
            match super::damage::struck(view) {
                true => out.expected(at, Some(tp), 1, tell),
                false => out.violation(at, Some(tp), 1, tell),
            }
        }
    }
}

impl State {
    fn learns(&mut self, partition_epoch: PartitionEpoch, in_sync: usize) {
        if partition_epoch >= self.partition_epoch {
            (self.partition_epoch, self.in_sync) = (partition_epoch, in_sync);
        }
    }
}

impl Invariant for Standing {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        match &event.kind {
            // The auditor takes the brokers down.
            _ if self.over => return,
            Kind::Phase { phase: Phase::FinalRead } => {
                self.over = true;
                self.judge(event.at, view, out);
            }
            Kind::Down { node: Some(node), .. } => self.down.push(*node),
            Kind::Fact { node, tp: Some(tp), fact, .. } => {
                if matches!(fact, Fact::Leads { .. }) {
                    self.down.retain(|down| down != node);
                }
                self.fact(*node, *tp, fact);
            }
            _ => {}
        }
        self.look(event.at, view.rules.contract.replication);
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::ids::NodeId;

    use super::super::tale::{Tale, decided, in_sync, leads, three};
    use crate::history::{Kind, Phase};

    fn tale() -> Tale {
        let mut tale = Tale::new(three());
        tale.rules.partitions.truncate(1);
        tale.fact_of(0, leads(0, 0, &[0, 1, 2]));
        tale.note(Kind::Down { host: "b0".into(), node: Some(NodeId(0)), power: false, why: "strike".into() });
        tale.fact_of(2, decided(1, Some(1), 1, &[1, 2]));
        tale
    }

    #[test]
    fn a_leader_and_a_whole_set_in_time() {
        let mut tale = tale();
        tale.fact_of(1, leads(1, 0, &[1, 2])).phase(Phase::Heal).wait(900);
        tale.fact_of(1, in_sync(1, 2, &[0, 1, 2], &[0, 1, 2])).wait(50_000).phase(Phase::FinalRead);
        tale.holds("L1");
        tale.holds("L2");
    }

    #[test]
    fn a_set_that_shrinks_as_the_drain_ends() {
        let mut tale = tale();
        tale.fact_of(1, leads(1, 0, &[1, 2])).phase(Phase::Heal).wait(100);
        tale.fact_of(1, in_sync(1, 2, &[0, 1, 2], &[0, 1, 2])).wait(100);
        tale.fact_of(1, in_sync(1, 3, &[1, 2], &[1, 2])).phase(Phase::FinalRead);
        tale.holds("L1");
    }

    #[test]
    fn one_that_was_cut_off_before_is_taken_out_as_the_drain_ends() {
        let mut tale = tale();
        tale.fact_of(1, leads(1, 0, &[1, 2])).fact_of(1, in_sync(1, 2, &[0, 1, 2], &[0, 1, 2]));
        let (mut late, mut early) = (tale, Tale::new(three()));
        early.rules.clone_from(&late.rules);
        early.events.clone_from(&late.events);
        late.wait(100).phase(Phase::Heal).wait(90).fact_of(2, decided(3, Some(1), 1, &[1, 2])).phase(Phase::FinalRead);
        late.holds("L1");
        early.fact_of(2, decided(3, Some(1), 1, &[1, 2])).wait(100).phase(Phase::Heal).wait(90).phase(Phase::FinalRead);
        early.breaks("L1", 1);
    }

    #[test]
    fn nobody_leads() {
        let mut tale = tale();
        tale.phase(Phase::Heal).wait(11_000).phase(Phase::FinalRead);
        tale.breaks("L2", 1);
    }

    #[test]
    fn a_replica_stays_behind() {
        let mut tale = tale();
        tale.fact_of(1, leads(1, 0, &[1, 2])).phase(Phase::Heal).wait(11_000).phase(Phase::FinalRead);
        tale.holds("L2");
        tale.breaks("L1", 1);
    }
}
