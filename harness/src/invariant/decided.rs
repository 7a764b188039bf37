//! W8: a leader is chosen from the in-sync set before it, or from the replicas eligible by KIP-966; another only where the
//! contract allows unclean elections, and then it is said to be one. And what a leader takes for decided was decided so.

use std::collections::BTreeMap;

use broker::fact::Fact;
use broker::ids::{LeaderEpoch, NodeId, PartitionEpoch};

use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View};
use crate::contract::Contract;
use crate::history::{Event, Kind, TpId};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "W8",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "a new leader was in sync, or eligible, before it was chosen",
    white_box: true,
    wants: Kinds::DECIDED.and(Kinds::IN_SYNC).and(Kinds::DELETED).and(Kinds::DROPPED).and(Kinds::DOWN),
    applies: |contract| if contract.clustered() { Applies::Enforced } else { Applies::No },
    must: Contract::clustered,
    make: || Box::new(Decided::default()),
};

/// What was decided last of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    partition_epoch: PartitionEpoch,
    leader: Option<NodeId>,
    leader_epoch: LeaderEpoch,
    in_sync: Vec<NodeId>,
    elr: Vec<NodeId>,
    unclean: bool,
}

/// What a leader takes for decided.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Belief {
    partition_epoch: PartitionEpoch,
    leader_epoch: LeaderEpoch,
    in_sync: Vec<NodeId>,
}

#[derive(Default)]
struct Decided {
    judged: u64,
    states: BTreeMap<TpId, State>,
    /// Of leaders in their present lives.
    beliefs: BTreeMap<(TpId, NodeId), Belief>,
    /// Whom leaders have in sync or propose, and of which state.
    proposed: BTreeMap<(TpId, NodeId), (PartitionEpoch, Vec<NodeId>)>,
    /// Who was the last to lead.
    led: BTreeMap<TpId, NodeId>,
}

impl Decided {
    fn fault(&mut self, tp: TpId, now: State, contract: &Contract) -> Option<String> {
        self.judged += 1;
        let before = match self.states.get(&tp) {
            // A late statement, or the same again from a new controller.
            Some(before) if now.partition_epoch < before.partition_epoch => return None,
            Some(before) if now.partition_epoch == before.partition_epoch => {
                let (what, same) = (format!("it was decided as {before:?} before"), *before == now);
                return (!same).then_some(what);
            }
            before => before.cloned(),
        };
        let led = self.led.get(&tp).copied();
        let before = before.filter(|b| b.partition_epoch + 1 == now.partition_epoch);
        let vouched =
            before.as_ref().and_then(|b| self.proposed.get(&(tp, b.leader?)).filter(|p| p.0 == b.partition_epoch));
        let vouched = vouched.map_or(&[][..], |(_, members)| members);
        let what = Self::judge(before.as_ref(), (led, vouched), &now, contract);
        if let Some(leader) = now.leader {
            self.led.insert(tp, leader);
        }
        self.states.insert(tp, now);
        what.or_else(|| self.believed(tp))
    }

    /// Whether a leader acts on what never was: it heard it from a controller whose decision did not stand.
    fn doubt(state: &State, node: NodeId, belief: &Belief) -> Option<String> {
        let other =
            (state.leader, state.leader_epoch, &state.in_sync) != (Some(node), belief.leader_epoch, &belief.in_sync);
        (other && state.partition_epoch == belief.partition_epoch)
            .then(|| format!("{node} leads by {belief:?}, decided was {state:?}"))
    }

    fn believes(&mut self, tp: TpId, node: NodeId, belief: Belief) -> Option<String> {
        let what = self.states.get(&tp).and_then(|state| Self::doubt(state, node, &belief));
        let news = self.beliefs.insert((tp, node), belief.clone()) != Some(belief);
        what.filter(|_| news)
    }

    /// What leaders already took for decided, against what was.
    fn believed(&self, tp: TpId) -> Option<String> {
        let state = self.states.get(&tp)?;
        let mut of = self.beliefs.iter().filter(|((of, _), _)| *of == tp);
        of.find_map(|((_, node), belief)| Self::doubt(state, *node, belief))
    }

    /// `led`: the last leader. `vouched`: whom the leader until now has proposed for the in-sync set: with that it may hand
    /// over to one of them, when a reassignment is complete that takes it away.
    fn judge(
        before: Option<&State>,
        (led, vouched): (Option<NodeId>, &[NodeId]),
        now: &State,
        contract: &Contract,
    ) -> Option<String> {
        // Where nobody is left to be trusted, be it only since this very decision, the last that led may come back as an
        // unclean one (KIP-966). What it lacks, if anything, is W4's matter.
        let nobody = before.is_none_or(|b| b.in_sync.is_empty() && b.elr.is_empty());
        if now.unclean && !contract.unclean && !nobody && led != now.leader {
            return Some("its leader was elected uncleanly, which is not allowed".into());
        }
        let leader = now.leader?;
        if !now.in_sync.contains(&leader) {
            return Some(format!("its leader {leader} is not in the in-sync set {:?}", now.in_sync));
        }
        let before = before?;
        if now.leader_epoch < before.leader_epoch {
            return Some(format!("its leader epoch falls from {} to {}", before.leader_epoch, now.leader_epoch));
        }
        if before.leader == Some(leader) {
            return None;
        }
        if before.leader.is_some() && now.leader_epoch == before.leader_epoch {
            return Some(format!("{leader} replaces its leader in the same epoch {}", now.leader_epoch));
        }
        let eligible = [&before.in_sync[..], &before.elr[..], vouched].iter().any(|of| of.contains(&leader));
        (!eligible && !now.unclean)
            .then(|| format!("{leader} is to lead; in sync were {:?}, eligible {:?}", before.in_sync, before.elr))
    }
}

impl Decided {
    fn fact(&mut self, node: NodeId, tp: TpId, fact: &Fact, contract: &Contract) -> Option<String> {
        match fact {
            Fact::Deleted { .. } | Fact::Dropped { .. } => {
                self.beliefs.remove(&(tp, node));
                if matches!(fact, Fact::Deleted { .. }) {
                    self.proposed.retain(|(of, _), _| *of != tp);
                    self.states.remove(&tp);
                    self.led.remove(&tp);
                }
                None
            }
            Fact::InSync { epoch, partition_epoch, in_sync, maximal, .. } => {
                self.proposed.insert((tp, node), (*partition_epoch, maximal.clone()));
                let (leader_epoch, partition_epoch) = (*epoch, *partition_epoch);
                self.believes(tp, node, Belief { partition_epoch, leader_epoch, in_sync: sorted(in_sync) })
            }
            Fact::Decided { partition_epoch, leader, leader_epoch, in_sync, elr, unclean, .. } => {
                let (leader, unclean) = (*leader, *unclean);
                let (partition_epoch, leader_epoch) = (*partition_epoch, *leader_epoch);
                let (in_sync, elr) = (sorted(in_sync), sorted(elr));
                self.fault(tp, State { partition_epoch, leader, leader_epoch, in_sync, elr, unclean }, contract)
            }
            _ => None,
        }
    }
}

fn sorted(nodes: &[NodeId]) -> Vec<NodeId> {
    let mut nodes = nodes.to_vec();
    nodes.sort_unstable();
    nodes
}

impl Invariant for Decided {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let (node, tp, fact) = match &event.kind {
            Kind::Down { node: Some(node), .. } => return self.beliefs.retain(|(_, of), _| of != node),
            Kind::Fact { node, tp: Some(tp), fact, .. } => (node, tp, fact),
            _ => return,
        };
        let Some(what) = self.fact(*node, *tp, fact, &view.rules.contract) else { return };
        out.violation(event.at, Some(*tp), 1, || {
            let who = if matches!(fact, Fact::Decided { .. }) { "the controller " } else { "" };
            Tell::new(format!("{who}{node} on {}: {what}", view.ledger.name(*tp)))
                .and(view.ledger.window(0, event.at))
                .then(format!("{}: {fact:?}", time(event.at)))
        });
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::Fact;
    use broker::ids::NodeId;

    use super::super::tale::{Tale, decided, in_sync, three};
    use crate::contract::Contract;

    fn unclean(mut fact: Fact) -> Fact {
        if let Fact::Decided { unclean, .. } = &mut fact {
            *unclean = true;
        }
        fact
    }

    #[test]
    fn leaders_come_from_the_in_sync_set_or_are_eligible() {
        let mut tale = Tale::new(three());
        tale.fact_of(0, decided(0, Some(0), 0, &[0, 1, 2])).fact_of(0, decided(1, Some(1), 1, &[1, 2]));
        let mut nobody = decided(2, None, 2, &[]);
        if let Fact::Decided { elr, .. } = &mut nobody {
            elr.push(NodeId(2));
        }
        tale.fact_of(0, nobody).fact_of(2, decided(3, Some(2), 3, &[2])).fact_of(1, decided(3, Some(2), 3, &[2]));
        tale.holds("W8");
    }

    #[test]
    fn an_outsider_is_chosen_and_two_decisions_have_one_number() {
        let mut tale = Tale::new(three());
        tale.fact_of(0, decided(0, Some(0), 0, &[0, 1])).fact_of(0, decided(1, Some(2), 1, &[2]));
        tale.breaks("W8", 1);
        tale.fact_of(1, decided(1, Some(1), 1, &[1]));
        tale.breaks("W8", 2);
    }

    #[test]
    fn a_leader_acts_on_a_decision_that_did_not_stand() {
        let mut tale = Tale::new(three());
        tale.fact_of(2, decided(0, Some(0), 0, &[0, 1, 2])).fact_of(0, in_sync(0, 0, &[0, 2, 1], &[0, 1, 2]));
        tale.fact_of(0, in_sync(0, 1, &[0, 1], &[0, 1])).fact_of(2, decided(1, Some(0), 0, &[0, 1]));
        tale.holds("W8");
        tale.fact_of(0, in_sync(0, 2, &[0], &[0])).fact_of(2, decided(2, Some(1), 1, &[1, 2]));
        tale.breaks("W8", 1);
        let mut tale = Tale::new(three());
        tale.fact_of(2, decided(2, Some(1), 1, &[1, 2])).fact_of(0, in_sync(0, 2, &[0], &[0]));
        tale.fact_of(0, in_sync(0, 2, &[0], &[0]));
        tale.breaks("W8", 1);
    }

    #[test]
    fn an_unclean_one_is_said_to_be_one_where_it_is_allowed() {
        let mut tale = Tale::new(Contract { unclean: true, ..three() });
        tale.fact_of(0, decided(0, Some(0), 0, &[0, 1])).fact_of(0, unclean(decided(1, Some(2), 1, &[2])));
        tale.holds("W8");
        tale.rules.contract.unclean = false;
        tale.breaks("W8", 1);
    }

    #[test]
    fn the_last_that_led_may_come_back_when_nobody_is_eligible() {
        let mut tale = Tale::new(three());
        tale.fact_of(0, decided(0, Some(0), 0, &[0])).fact_of(1, decided(1, None, 1, &[]));
        tale.fact_of(1, unclean(decided(2, Some(0), 2, &[0]))).fact_of(1, unclean(decided(3, Some(0), 2, &[0, 1])));
        tale.holds("W8");
    }

    #[test]
    fn one_whom_the_leader_proposed_may_take_over_from_it() {
        let mut tale = Tale::new(three());
        tale.fact_of(0, decided(0, Some(0), 0, &[0, 1])).fact_of(0, in_sync(0, 0, &[0, 1], &[0, 1, 2]));
        // The node that is taken away may have heard of it, and said so, before the controller has.
        tale.fact_of(0, Fact::Dropped { tp: super::super::tale::tp() }).fact_of(1, decided(1, Some(2), 1, &[1, 2]));
        tale.holds("W8");
        tale.events.remove(1);
        tale.breaks("W8", 1);
    }

    #[test]
    fn a_topic_made_anew_begins_anew() {
        let mut tale = Tale::new(three());
        tale.fact_of(0, decided(0, Some(0), 0, &[0, 1])).fact_of(0, Fact::Deleted { tp: super::super::tale::tp() });
        let mut anew = decided(0, Some(2), 0, &[2]);
        if let Fact::Decided { topic, .. } = &mut anew {
            topic.0 = uuid::Uuid::from_u128(2);
        }
        tale.fact_of(0, anew);
        tale.holds("W8");
    }
}
