//! From what a member has to what it is to have: first it gives up what others are to have, then it is given what others have
//! given up (KIP-848, "Member Reconciliation").

use std::rc::Rc;

use kafka_protocol::protocol::StrBytes;

use super::{Parts, Progress, Roster, Standing};
use crate::planted::{Defect, planted};

impl Roster {
    /// Takes a member as far as it can go now. `owns`: what it says it owns; `None`: as before.
    pub(super) fn reconcile(&mut self, id: &StrBytes, owns: Option<&Parts>) {
        let Some(peer) = self.members.get(id) else { return };
        let Standing { epoch, progress, ref assigned, ref revoking, .. } = peer.standing;
        let owns_still = |parts: &Parts| owns.is_none_or(|owns| !owns.is_disjoint(parts));
        let done = match progress {
            Progress::Stable => epoch == self.assigned_epoch,
            Progress::Revoking => owns_still(revoking),
            Progress::Waiting => false,
        };
        if done {
            return;
        }
        let mut kept: Parts = assigned.intersection(&peer.target).copied().collect();
        let given_up: Parts = assigned.difference(&kept).copied().collect();
        let next = if !given_up.is_empty() && owns_still(&given_up) {
            // It stays in its epoch until it has: what it commits meanwhile is its own.
            Standing { epoch, previous: epoch, progress: Progress::Revoking, assigned: kept, revoking: given_up }
        } else {
            let wanted: Parts = peer.target.difference(&kept).copied().collect();
            let free: Parts = wanted.iter().filter(|part| self.is_free(id, part)).copied().collect();
            let progress = if free.len() < wanted.len() { Progress::Waiting } else { Progress::Stable };
            kept.extend(free);
            let previous = if epoch == self.assigned_epoch { peer.standing.previous } else { epoch };
            let revoking = Parts::new();
            Standing { epoch: self.assigned_epoch, previous, progress, assigned: kept, revoking }
        };
        if next != peer.standing
            && let Some(peer) = self.members.get_mut(id)
        {
            Rc::make_mut(peer).standing = next;
        }
    }

    /// Whether nobody but `id` has the partition, or may have it still.
    fn is_free(&self, id: &StrBytes, part: &(crate::controller::record::TopicId, i32)) -> bool {
        planted(Defect::GcGivenWhileHeld) || !self.members.iter().any(|(other, peer)| other != id && peer.holds(part))
    }
}
