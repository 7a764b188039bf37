//! W19: compaction leaves offsets and their order as they were, and touches nothing that is not committed and durable, or
//! lies at or above the section it cleans.

use broker::fact::{BatchMark, Fact};
use broker::ids::Offset;

use super::ledger::log::{Appended, Log};
use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View};
use crate::history::{Event, Kind};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "W19",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "compaction moves no offset and touches only what is committed and durable",
    white_box: true,
    wants: Kinds::CLEANED,
    applies: |contract| if contract.compaction { Applies::Enforced } else { Applies::No },
    must: super::every_run,
    make: || Box::new(Compaction::default()),
};

#[derive(Default)]
struct Compaction {
    judged: u64,
}

/// The segment from `base` to `next` as it is now, against what it held before.
fn moved(before: &[Appended], (base, next): (Offset, Offset), upto: Offset, now: &[BatchMark]) -> Option<String> {
    let ends = std::iter::once(base).chain(now.iter().map(|batch| batch.last.saturating_add(1)));
    let begins = now.iter().map(|batch| batch.base).chain(std::iter::once(next));
    if let Some((end, begin)) = ends.zip(begins).find(|(end, begin)| end != begin) {
        return Some(format!("a batch begins at {begin} where {end} should follow"));
    }
    let begun = |batch: &BatchMark| before.iter().any(|old| old.base == batch.base);
    let ended = |batch: &BatchMark| before.iter().any(|old| old.mark().last == batch.last);
    if let Some(batch) = now.iter().find(|batch| !begun(batch) || !ended(batch)) {
        return Some(format!("{batch:?} begins or ends where no batch did"));
    }
    let untouched = before.iter().filter(|old| old.base >= upto);
    let mut lost = untouched.filter(|old| !now.contains(&old.mark()));
    lost.next().map(|old| format!("{:?} lies at or above {upto}, and is not there any more", old.mark()))
}

/// Whether it may touch what ends at `next`.
fn too_early(log: &Log, next: Offset, high: Offset) -> Option<String> {
    let limit = log.high.min(high).min(log.flushed);
    (next > limit).then(|| format!("it ends at {next}, only what is below {limit} is committed and durable"))
}

impl Invariant for Compaction {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Fact { node, tp: Some(tp), fact, .. } = &event.kind else { return };
        let Fact::Cleaned { base, next, upto, high, batches, .. } = fact else { return };
        let Some(log) = view.ledger.part(*tp).and_then(|part| part.log(*node)) else { return };
        let Some(exchanged) = log.exchanged.last() else { return };
        self.judged += 1;
        let fault = too_early(log, *next, *high).or_else(|| moved(&exchanged.before, (*base, *next), *upto, batches));
        let Some(what) = fault else { return };
        out.violation(event.at, Some(*tp), 1, || {
            let name = view.ledger.name(*tp);
            Tell::new(format!("{node} compacts the segment of {name} that begins at {base}: {what}"))
                .and(view.ledger.window(0, event.at))
                .then(format!("{}: it is exchanged", time(event.at)))
        });
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::{BatchMark, Fact};

    use super::super::tale::{Tale, mark, tp};
    use crate::contract::Contract;

    fn tale() -> Tale {
        let mut tale = Tale::new(Contract { compaction: true, ..Contract::default() });
        tale.append(mark(0, 1)).append(mark(2, 3)).append(mark(4, 4)).append(mark(5, 6)).flush(7).marks(0, 5, 7);
        tale
    }

    fn cleaned(next: i64, upto: i64, batches: &[BatchMark]) -> Fact {
        Fact::Cleaned { tp: tp(), base: 0, next, upto, high: 5, records: 1, batches: batches.to_vec() }
    }

    fn other(base: i64, last: i64) -> BatchMark {
        BatchMark { crc: 7, ..mark(base, last) }
    }

    #[test]
    fn batches_are_emptied_merged_and_rewritten_in_place() {
        let mut tale = tale();
        tale.fact(cleaned(5, 4, &[other(0, 3), mark(4, 4)])).fact(cleaned(5, 5, &[other(0, 3), other(4, 4)]));
        tale.holds("W19");
        // A power loss takes the last exchange back; what is found after it is no stranger.
        tale.down(true).recover(7, &[other(0, 3), mark(4, 4), mark(5, 6)]);
        tale.holds("W16");
    }

    #[test]
    fn an_exchange_that_a_power_loss_took_back_unseen_shows_in_the_next() {
        for (next, holds) in [
            (cleaned(5, 2, &[other(0, 1), mark(2, 3), mark(4, 4)]), true),
            (cleaned(5, 2, &[other(0, 1), mark(2, 3), other(4, 4)]), false),
        ] {
            let mut tale = tale();
            tale.fact(cleaned(5, 5, &[other(0, 1), other(2, 3), mark(4, 4)]));
            // Of what lies below the recovery point, recovery says nothing.
            tale.down(true).recover(7, &[mark(5, 6)]).marks(0, 5, 7).fact(next);
            assert_eq!(!tale.check("W19").violates("W19"), holds);
        }
    }

    #[test]
    fn a_hole_a_moved_offset_what_is_above_and_what_is_not_committed() {
        for bad in [
            cleaned(5, 5, &[other(0, 3)]),
            cleaned(5, 5, &[other(0, 2), other(3, 4)]),
            cleaned(5, 4, &[other(0, 3), other(4, 4)]),
            cleaned(7, 4, &[other(0, 3), mark(4, 4), mark(5, 6)]),
        ] {
            let mut tale = tale();
            tale.fact(bad);
            tale.breaks("W19", 1);
        }
    }
}
