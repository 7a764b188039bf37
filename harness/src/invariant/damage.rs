//! What rotten bytes account for, where the contract lets stored bytes rot: the records of damaged batches, and what
//! lies behind damage that a scan cannot pass.

use std::collections::BTreeMap;

use broker::fact::{BatchMark, Fact};
use broker::ids::{NodeId, Offset};

use super::{Findings, Tell, View};
use crate::history::{Event, Kind, TpId};
use crate::invariant::ledger::Part;

/// The fault that damages stored bytes.
const FAULT: &str = "bit_flip";

/// Whether bytes have rotted in this run, as far as the contract lets them.
pub(super) fn struck(view: &View<'_>) -> bool {
    view.rules.contract.bit_rot && view.ledger.strikes().iter().any(|s| s.fault == FAULT)
}

/// Whether a recovery, having met damage, cut the log below `offset` after the record there was first asked for at
/// `called`: what is appended next takes the offset again.
pub(super) fn cut_took(view: &View<'_>, part: &Part, offset: Offset, called: u64) -> bool {
    struck(view) && part.logs.iter().any(|log| log.crash_cut(offset, called))
}

/// Reports `count` breaches that bytes that have rotted may account for: a loss to be counted if any have, else a
/// violation.
pub(super) fn report(view: &View<'_>, tp: TpId, count: u64, tell: impl FnOnce() -> Tell, out: &mut Findings) {
    match struck(view) {
        true => out.expected(view.at, Some(tp), count, tell),
        false => out.violation(view.at, Some(tp), count, tell),
    }
}

/// Damage as the audit found it: by partition, for each copy the damaged batches (as their headers have it now: a damaged one may
/// claim the offsets of others, which nobody finds then), and where it had to give up.
#[derive(Default)]
pub(super) struct Damage {
    audited: BTreeMap<TpId, BTreeMap<NodeId, (Vec<BatchMark>, Offset)>>,
}

impl Damage {
    /// Looks at an audit.
    pub fn see(&mut self, event: &Event) {
        if let Kind::Fact {
            node,
            tp: Some(tp),
            fact: Fact::Audited { batches, bad_crc, torn_bytes, log_end, .. },
            ..
        } = &event.kind
        {
            let end = if *torn_bytes > 0 { *log_end } else { Offset::MAX };
            let bad = batches.iter().filter(|batch| bad_crc.contains(&batch.base)).copied().collect();
            self.audited.entry(*tp).or_default().insert(*node, (bad, end));
        }
    }

    /// Whether damage accounts for the loss of the record at `offset`: its batch is damaged, or a recovery after
    /// `called` or the audit came no further. Without an audit any damage may.
    pub fn took(&self, view: &View<'_>, tp: TpId, part: &Part, offset: Offset, called: u64) -> bool {
        if !struck(view) {
            return false;
        }
        let Some(copies) = self.audited.get(&tp) else { return true };
        let in_batch = |found: &BatchMark| {
            let whole = part.logs.iter().find_map(|log| log.batch_at(found.base));
            let was = whole.is_some_and(|b| (b.base..=b.mark().last).contains(&offset));
            was || (found.base..=found.last).contains(&offset)
        };
        let took = |(bad, end): &(Vec<BatchMark>, Offset)| offset >= *end || bad.iter().any(in_batch);
        cut_took(view, part, offset, called) || copies.values().any(took)
    }
}
