//! W17: no partial batch is ever visible: what recovery accepts and what the audit finds are batches that were appended,
//! whole, and nothing lies behind them.

use broker::fact::{BatchMark, Fact};
use broker::ids::Offset;

use super::{Findings, Invariant, Kinds, Row, Tell, View, damage, every_run};
use crate::history::{Event, Kind, TpId};
use crate::invariant::ledger::{Log, time};

pub(super) const ROW: Row = Row {
    id: "W17",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "no partial batch is visible: every batch kept was appended so, whole",
    white_box: true,
    wants: Kinds::RECOVERED.and(Kinds::AUDITED),
    applies: super::stored_whole::but_for_rot,
    must: every_run,
    make: || Box::new(NoPartial::default()),
};

#[derive(Default)]
struct NoPartial {
    judged: u64,
}

/// A batch that differs from what was appended at its offset.
fn stranger(log: &Log, batches: &[BatchMark]) -> Option<String> {
    let differs = |b: &&BatchMark| log.batch_at(b.base).is_none_or(|a| a.mark() != **b);
    let found = batches.iter().find(differs)?;
    let was = log
        .batch_at(found.base)
        .map_or("nothing was appended there".into(), |b| format!("{:?} was appended", b.mark()));
    Some(format!("it holds {found:?}, {was}"))
}

/// A damaged batch that was not synced when some crash came: recovery should have cut it off.
fn torn(log: &Log, bad_crc: &[Offset]) -> Option<String> {
    let kept = |base: &&Offset| log.cuts.iter().any(|cut| cut.power && (cut.flushed..cut.kept).contains(*base));
    let base = bad_crc.iter().find(kept)?;
    Some(format!("the batch at offset {base} was torn by a power loss, and recovery has kept it"))
}

/// The audited log against the appended one, from its first batch to its end.
fn cut_short(log: &Log, (log_start, log_end): (Offset, Offset), batches: &[BatchMark]) -> Option<String> {
    if log_end < log.end {
        return Some(format!("it ends at {log_end}, its node had appended up to {}", log.end));
    }
    let overlap = batches.windows(2).find(|pair| pair[0].last >= pair[1].base);
    if let Some(pair) = overlap {
        return Some(format!("{:?} and {:?} overlap", pair[0], pair[1]));
    }
    let ends = std::iter::once(log_start).chain(batches.iter().map(|b| b.last.saturating_add(1)));
    let begins = batches.iter().map(|b| b.base).chain(std::iter::once(log_end));
    let missing = ends.zip(begins).find_map(|(end, begin)| log.held(end, begin).next());
    missing.map(|offset| format!("the batch that holds offset {offset} is missing"))
}

impl NoPartial {
    fn audit(log: &Log, fact: &Fact) -> Option<String> {
        let Fact::Audited { log_start, log_end, batches, bad_crc, torn_bytes, .. } = fact else { return None };
        // After a power loss that no recovery has followed, anything may lie at the end.
        if log.down.is_some_and(|(_, power)| power) {
            return None;
        }
        (*torn_bytes > 0)
            .then(|| format!("{torn_bytes} bytes behind its last batch are no batch"))
            .or_else(|| torn(log, bad_crc))
            .or_else(|| stranger(log, batches))
            .or_else(|| cut_short(log, (*log_start, *log_end), batches))
    }

    fn report(view: &View<'_>, tp: TpId, log: &Log, what: String, out: &mut Findings) {
        let tell = || {
            Tell::new(format!("the log of {} on {}: {what}", view.ledger.name(tp), log.node))
                .and(view.ledger.window(0, view.at))
                .then(format!("{}: {} crashes had cut this log", time(view.at), log.cuts.len()))
        };
        damage::report(view, tp, 1, tell, out);
    }
}

impl Invariant for NoPartial {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Fact { node, tp: Some(tp), fact, .. } = &event.kind else { return };
        let Some(log) = view.ledger.part(*tp).and_then(|p| p.log(*node)) else { return };
        let fault = match fact {
            Fact::Recovered { tail, .. } => {
                self.judged += tail.len() as u64;
                stranger(log, tail)
            }
            _ => {
                self.judged += 1;
                Self::audit(log, fact)
            }
        };
        if let Some(what) = fault {
            Self::report(view, *tp, log, what, out);
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::{BatchMark, Fact};

    use super::super::tale::{Tale, lazy, mark, tp};

    fn audit(bad_crc: Vec<i64>, torn_bytes: u64) -> Fact {
        let (batches, bad_lookups) = (vec![mark(0, 1), mark(2, 3)], Vec::new());
        Fact::Audited { tp: tp(), log_start: 0, log_end: 4, batches, bad_crc, torn_bytes, bad_lookups }
    }

    fn tale() -> Tale {
        let mut tale = Tale::new(lazy());
        tale.append(mark(0, 1)).flush(2).append(mark(2, 3)).append(mark(4, 4)).down(true);
        tale.recover(4, &[mark(0, 1), mark(2, 3)]);
        tale
    }

    #[test]
    fn whole_batches_only() {
        let mut t = tale();
        t.fact(audit(vec![], 0));
        t.holds("W17");
    }

    #[test]
    fn a_torn_batch_was_kept_and_bytes_lie_behind_the_end() {
        let mut t = tale();
        t.fact(audit(vec![2], 0)).fact(audit(vec![], 17));
        t.breaks("W17", 2);
    }

    #[test]
    fn a_batch_that_was_never_appended_and_one_that_is_missing() {
        let mut t = tale();
        t.down(true).recover(4, &[BatchMark { last: 1, ..mark(0, 3) }, BatchMark { crc: 1, ..mark(2, 3) }]);
        t.breaks("W17", 1);
        let mut t = tale();
        t.audit(&[mark(0, 1)]);
        t.breaks("W17", 1);
    }
}
