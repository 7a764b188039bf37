//! W16: a recovered log is a prefix of the log before the crash, and no shorter than what a power loss had to leave
//! (everything synced) or a process crash (everything). What recovery lets be read was made durable first.

use broker::fact::Fact;
use broker::ids::Offset;

use super::{Findings, Invariant, Kinds, Row, Tell, View, damage};
use crate::history::{Event, Kind, TpId};
use crate::invariant::ledger::{Cut, Log, Part, time};

pub(super) const ROW: Row = Row {
    id: "W16",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "a recovered log is a prefix of the old one, and keeps all that was synced",
    white_box: true,
    wants: Kinds::RECOVERED,
    applies: super::stored_whole::but_for_rot,
    must: |contract| contract.power_loss,
    make: || Box::new(Recovery::default()),
};

#[derive(Default)]
struct Recovery {
    judged: u64,
}

/// A breach: how many offsets it concerns (at least one), and what it is.
type Breach = (Offset, String);

fn too_short(cut: &Cut) -> Option<Breach> {
    let (owed, why) = match cut.power {
        true => (cut.flushed, "had been synced before the power was lost"),
        false => (cut.end, "had been written before the process ended"),
    };
    (cut.kept < owed)
        .then(|| (owed.saturating_sub(cut.kept), format!("it ends at {}, everything below {owed} {why}", cut.kept)))
}

/// The recovered tail against the batches appended before the crash (as kept by the ledger, which has cut them already).
fn no_prefix(log: &Log, cut: &Cut, fact: &Fact) -> Option<Breach> {
    let Fact::Recovered { tail, .. } = fact else { return None };
    let known = tail.iter().filter(|b| b.base < cut.end);
    for (n, batch) in known.enumerate() {
        if log.batch_at(batch.base).is_none_or(|b| b.mark() != *batch) {
            return Some((
                batch.last.saturating_sub(batch.base).saturating_add(1),
                format!("{batch:?} had never been appended"),
            ));
        }
        let before = n.checked_sub(1).map(|m| tail[m].last.saturating_add(1));
        if before.is_some_and(|end| end != batch.base && log.batch_at(end).is_some()) {
            return Some((
                batch.base.saturating_sub(before.unwrap_or(0)),
                format!("the batches before {batch:?} are missing"),
            ));
        }
    }
    let reached = tail.last().map(|b| b.last.saturating_add(1))?;
    (reached < cut.kept.min(cut.end)).then(|| {
        (cut.kept.saturating_sub(reached), format!("it says it ends at {}, its batches end at {reached}", cut.kept))
    })
}

fn lost_prefix(part: &Part, fact: &Fact) -> Option<Breach> {
    let Fact::Recovered { log_start, .. } = fact else { return None };
    let legal = part.trimmed.max(part.deleted_below);
    (*log_start > legal).then(|| {
        (log_start.saturating_sub(legal), format!("it starts at {log_start}, only what is below {legal} was removed"))
    })
}

impl Recovery {
    fn report(view: &View<'_>, tp: TpId, log: &Log, cut: &Cut, (count, what): Breach, out: &mut Findings) {
        let tell = || {
            let crash = if cut.power { "power loss" } else { "process crash" };
            Tell::new(format!("the log of {} that {} recovers after a {crash}: {what}", view.ledger.name(tp), log.node))
                .then(format!(
                    "{}: {} goes down, synced below {}, log end {}",
                    time(cut.at),
                    log.node,
                    cut.flushed,
                    cut.end
                ))
                .and(view.ledger.window(cut.at, view.at))
                .then(format!("{}: recovered up to {}", time(cut.until), cut.kept))
        };
        let count = u64::try_from(count).unwrap_or(1).max(1);
        damage::report(view, tp, count, tell, out);
    }
}

impl Invariant for Recovery {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Kind::Fact { node, tp: Some(tp), fact, .. } = &event.kind else { return };
        let Fact::Recovered { synced, tail, .. } = fact else { return };
        let Some(part) = view.ledger.part(*tp) else { return };
        let Some((log, cut)) = part.log(*node).and_then(|log| Some((log, log.recovered?))) else { return };
        self.judged += 1;
        let breaches = [too_short(&cut), no_prefix(log, &cut, fact), lost_prefix(part, fact)];
        for breach in breaches.into_iter().flatten() {
            Self::report(view, *tp, log, &cut, breach, out);
        }
        if !*synced && !tail.is_empty() {
            out.violation(event.at, Some(*tp), 1, || {
                let (name, count) = (view.ledger.name(*tp), tail.len());
                Tell::new(format!(
                    "{node} recovers {count} batches of {name} and lets them be read without syncing them"
                ))
                .and(view.ledger.window(cut.at, event.at))
                .then(format!("{}: recovered up to {}", time(event.at), cut.kept))
            });
        }
        if cut.kept > cut.end {
            out.suspicious(event.at, Some(*tp), || {
                let (name, end, kept) = (view.ledger.name(*tp), cut.end, cut.kept);
                Tell::new(format!(
                    "{node} recovers {name} up to {kept}, though it had only stated to have appended up to {end}"
                ))
            });
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

    fn tale() -> Tale {
        let mut tale = Tale::new(lazy());
        tale.append(mark(0, 1)).flush(2).append(mark(2, 3)).append(mark(4, 4));
        tale
    }

    #[test]
    fn a_power_loss_leaves_what_was_synced_and_a_process_crash_everything() {
        let mut t = tale();
        t.down(true).recover(4, &[mark(0, 1), mark(2, 3)]).append(mark(4, 5)).down(false);
        t.recover(6, &[mark(2, 3), mark(4, 5)]);
        t.holds("W16");
    }

    #[test]
    fn a_log_that_had_begun_anew_and_was_empty_begins_where_it_did_before() {
        let mut t = tale();
        let ends = |log_end| Fact::Truncated { tp: tp(), log_end };
        t.fact(ends(0)).fact(ends(51)).down(false).recover(3, &[]);
        t.holds("W16");
        t.append(mark(3, 3)).down(false).recover(3, &[]);
        t.breaks("W16", 1);
    }

    #[test]
    fn a_log_that_had_begun_anew_is_the_one_before_if_that_was_not_synced() {
        for synced in [false, true] {
            let mut t = tale();
            let ends = |log_end| Fact::Truncated { tp: tp(), log_end };
            t.fact(ends(0)).fact(ends(51));
            if synced {
                t.flush(51);
            }
            t.down(true).flush(6).recover(6, &[mark(0, 1), mark(2, 3), mark(4, 5)]);
            assert_eq!(t.check("W16").violates("W16"), synced);
        }
    }

    #[test]
    fn what_was_synced_is_gone() {
        let mut t = tale();
        t.down(true).recover(0, &[]);
        t.breaks("W16", 2);
    }

    #[test]
    fn a_process_crash_loses_a_batch() {
        let mut t = tale();
        t.down(false).recover(4, &[mark(0, 1), mark(2, 3)]);
        t.breaks("W16", 1);
    }

    #[test]
    fn what_recovery_served_was_not_synced_and_goes_at_the_next_power_loss() {
        let mut t = tale();
        t.down(false).recover(5, &[mark(0, 1), mark(2, 3), mark(4, 4)]).down(true).recover(2, &[mark(0, 1)]);
        t.breaks("W16", 3);
    }

    #[test]
    fn a_strange_batch_a_hole_and_nothing_synced() {
        let mut t = tale();
        t.down(true).recover(4, &[mark(0, 1), BatchMark { crc: 1, ..mark(2, 3) }]);
        t.breaks("W16", 2);
        let mut t = tale();
        t.down(true).recover(5, &[mark(0, 1), mark(4, 4)]);
        t.breaks("W16", 2);
        let mut t = tale();
        let tail = vec![mark(0, 1)];
        let unsynced = Fact::Recovered { tp: tp(), log_start: 0, log_end: 2, recovery_point: 0, tail, synced: false };
        t.down(true).fact(unsynced);
        t.breaks("W16", 1);
    }
}
