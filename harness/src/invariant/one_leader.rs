//! W9: at most one leader for each (partition, epoch), and one of the metadata quorum for each epoch; nobody leads an epoch
//! again after a restart with less than it had, and nobody's epochs fall.

use std::collections::BTreeMap;

use broker::fact::Fact;
use broker::ids::{LeaderEpoch, NodeId, Offset};

use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View};
use crate::contract::Contract;
use crate::history::{Event, Kind, TpId};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "W9",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "at most one leader in an epoch, of a partition and of the quorum",
    white_box: true,
    wants: Kinds::LEADS.and(Kinds::QUORUM_LEADS).and(Kinds::APPENDED).and(Kinds::DECIDED).and(Kinds::DELETED),
    applies: |contract| if contract.clustered() { Applies::Enforced } else { Applies::No },
    must: Contract::clustered,
    make: || Box::new(OneLeader::default()),
};

/// Who led an epoch.
#[derive(Clone, Copy)]
struct Reign {
    node: NodeId,
    incarnation: u32,
    /// How far its log was known to go while it led.
    end: Offset,
}

/// `None` stands for the metadata quorum.
type Realm = Option<TpId>;

#[derive(Default)]
struct OneLeader {
    judged: u64,
    reigns: BTreeMap<(Realm, LeaderEpoch), Reign>,
    /// By node: the epoch it led last.
    last: BTreeMap<(Realm, NodeId), LeaderEpoch>,
    chosen: BTreeMap<(TpId, LeaderEpoch), NodeId>,
}

impl OneLeader {
    fn leads(&mut self, realm: Realm, epoch: LeaderEpoch, now: Reign) -> Option<String> {
        self.judged += 1;
        let last = self.last.insert((realm, now.node), epoch);
        let before = self.reigns.insert((realm, epoch), now);
        let chosen = realm.and_then(|tp| self.chosen.get(&(tp, epoch)));
        match (before, last) {
            (Some(before), _) if before.node != now.node => {
                Some(format!("leads epoch {epoch}, which {} has led", before.node))
            }
            (Some(before), _) if before.incarnation != now.incarnation && (realm.is_none() || now.end < before.end) => {
                Some(format!(
                    "leads epoch {epoch} again after a restart, its log ends at {}, was {}",
                    now.end, before.end
                ))
            }
            (_, Some(last)) if epoch < last => Some(format!("leads epoch {epoch}, it had led {last}")),
            _ => chosen.filter(|chosen| **chosen != now.node).map(|c| format!("leads epoch {epoch}, decided was {c}")),
        }
    }

    fn forget(&mut self, tp: TpId) {
        self.reigns.retain(|(realm, _), _| *realm != Some(tp));
        self.last.retain(|(realm, _), _| *realm != Some(tp));
        self.chosen.retain(|(of, _), _| *of != tp);
    }
}

impl Invariant for OneLeader {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Fact { node, incarnation, tp, fact } = &event.kind else { return };
        let reign = |end: Offset| Reign { node: *node, incarnation: *incarnation, end };
        let fault = match (fact, tp) {
            (Fact::QuorumLeads { epoch, end }, _) => self.leads(None, *epoch, reign(*end)),
            (Fact::Leads { epoch, end, .. }, Some(tp)) => self.leads(Some(*tp), *epoch, reign(*end)),
            (Fact::Appended { batch, epoch, .. }, tp) => {
                let led = self.reigns.get_mut(&(*tp, *epoch)).filter(|reign| reign.node == *node);
                led.into_iter().for_each(|reign| reign.end = reign.end.max(batch.last.saturating_add(1)));
                None
            }
            (Fact::Decided { leader: Some(leader), leader_epoch, .. }, Some(tp)) => {
                self.chosen.insert((*tp, *leader_epoch), *leader);
                None
            }
            (Fact::Deleted { .. }, Some(tp)) => {
                self.forget(*tp);
                None
            }
            _ => None,
        };
        let Some(what) = fault else { return };
        out.violation(event.at, *tp, 1, || {
            let of = tp.map_or("the metadata quorum", |tp| view.ledger.name(tp));
            Tell::new(format!("{of}: {node} {what}"))
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

    use super::super::tale::{Tale, decided, leads, three};

    #[test]
    fn epochs_have_one_leader_each() {
        let mut tale = Tale::new(three());
        tale.fact_of(0, Fact::QuorumLeads { epoch: 1, end: 0 }).fact_of(1, Fact::QuorumLeads { epoch: 2, end: 4 });
        tale.fact_of(1, decided(0, Some(0), 0, &[0, 1])).fact_of(0, leads(0, 0, &[0, 1])).fact_of(1, leads(1, 0, &[1]));
        tale.holds("W9");
    }

    #[test]
    fn two_lead_one_epoch() {
        let mut tale = Tale::new(three());
        tale.fact_of(0, leads(3, 0, &[0, 1])).fact_of(1, leads(3, 0, &[1]));
        tale.breaks("W9", 1);
        tale.fact_of(0, Fact::QuorumLeads { epoch: 1, end: 0 }).fact_of(1, Fact::QuorumLeads { epoch: 1, end: 4 });
        tale.breaks("W9", 2);
    }

    #[test]
    fn an_epoch_falls_and_another_than_the_chosen_leads() {
        let mut tale = Tale::new(three());
        tale.fact_of(0, leads(3, 0, &[0, 1])).fact_of(0, leads(2, 0, &[0, 1]));
        tale.fact_of(2, decided(4, Some(1), 4, &[1, 2])).fact_of(2, leads(4, 0, &[1, 2]));
        tale.breaks("W9", 2);
    }
}
