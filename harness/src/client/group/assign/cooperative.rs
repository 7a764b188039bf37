//! The cooperative sticky assignor (KIP-429): what the sticky one says, less what another still holds. That one gives it
//! up in this round, and joins again; in the next round it is free.

use broker::planted::{Defect, planted};

use super::{Member, Partitions, Plan, claims, sticky};

/// Shares out, without what must be given up first. Any claim counts here, even one that is stale or disputed: it costs
/// a round to wait for it, and it costs two owners not to.
pub(super) fn assign(members: &[Member], partitions: &Partitions) -> Plan {
    let mut plan = sticky::assign(members, partitions);
    if planted(Defect::GcRevokeAndAssignSameRound) {
        return plan;
    }
    let stale = planted(Defect::GcDoubleOwnCooperative).then(|| claims::valid(members, partitions));
    let honoured = |id: &_, tp: &_| stale.as_ref().is_some_and(|owners| owners.get(tp) == Some(id));
    for (id, share) in &mut plan {
        share.retain(|tp| honoured(id, tp) || !members.iter().any(|other| other.id != *id && other.owned.contains(tp)));
    }
    plan
}
