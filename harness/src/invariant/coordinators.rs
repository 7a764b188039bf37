//! Who coordinates groups, by the nodes' own account: one that is cut off and has a successor is deposed and cannot know it, even
//! if that successor is gone again. What it answers from memory, heartbeats and look-ups, says nothing, in Kafka as well.

use std::collections::BTreeMap;

use broker::fact::Fact;
use broker::group::OFFSETS_TOPIC;
use broker::ids::{LeaderEpoch, NodeId};

use super::{Kinds, View};
use crate::history::{Event, Kind, Phase};

/// Who leads the groups' partitions, by each node's own account.
#[derive(Debug, Default)]
pub(super) struct Coordinators(BTreeMap<i32, Claims>);

/// Who claims to lead one of them.
#[derive(Debug, Default)]
struct Claims {
    /// The highest epoch in which anyone did.
    newest: LeaderEpoch,
    /// Who does, and in which.
    all: BTreeMap<NodeId, LeaderEpoch>,
}

impl Coordinators {
    /// What it must be shown.
    pub const KINDS: Kinds = Kinds::LEADS.and(Kinds::FOLLOWS).and(Kinds::DROPPED).and(Kinds::DOWN);

    /// Takes an event in.
    pub fn see(&mut self, event: &Event) {
        match &event.kind {
            Kind::Down { node: Some(node), .. } => {
                self.0.values_mut().for_each(|claims| claims.all.retain(|led, _| led != node));
            }
            Kind::Fact { node, fact: Fact::Leads { tp, epoch, .. }, .. } if *tp.topic == *OFFSETS_TOPIC => {
                let claims = self.0.entry(tp.partition).or_default();
                claims.newest = claims.newest.max(*epoch);
                claims.all.insert(*node, *epoch);
            }
            Kind::Fact { node, fact: Fact::Follows { tp, .. } | Fact::Dropped { tp, .. }, .. } => {
                let own = self.0.get_mut(&tp.partition).filter(|_| *tp.topic == *OFFSETS_TOPIC);
                own.into_iter().for_each(|claims| claims.all.retain(|led, _| led != node));
            }
            _ => {}
        }
    }

    /// How many claim to lead what another has led since. None do as long after the heal as every partition may be without
    /// its one leader: whoever has not learned of it by then never will.
    pub fn deposed(&self, at: u64, view: &View<'_>) -> usize {
        let limit = view.rules.contract.drain_deadline_ms.saturating_mul(1_000_000);
        if view.ledger.began(Phase::Heal).is_some_and(|healed| at > healed.saturating_add(limit)) {
            return 0;
        }
        let old = |claims: &Claims| claims.all.values().filter(|epoch| **epoch < claims.newest).count();
        self.0.values().map(old).sum()
    }
}
