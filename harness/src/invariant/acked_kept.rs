//! B3: what was acknowledged is still there in the final read. Splits a loss into lost prefix, middle hole and lost
//! suffix, and names the faults that struck in between.

use std::collections::BTreeMap;

use broker::ids::Offset;

use super::damage::{self, Damage};
use super::{Findings, Invariant, Kinds, Row, Tell, View};
use crate::history::{Event, Phase, TpId};
use crate::invariant::ledger::{Part, Send, time};

pub(super) const ROW: Row = Row {
    id: "B3",
    jepsen: Some("lost-write"),
    promise: crate::verdict::Promise::Safety,
    about: "every acknowledged record is in the final read",
    white_box: false,
    wants: Kinds::AUDITED,
    // B21 says what is promised of a compacted log.
    applies: |contract| if contract.compaction { super::Applies::No } else { super::one_value::loss(contract) },
    must: |contract| contract.acks != 0,
    make: || Box::new(AckedKept::default()),
};

#[derive(Default)]
struct AckedKept {
    judged: u64,
    damage: Damage,
}

/// An acknowledged record that the final read did not find.
#[derive(Clone, Copy)]
struct Lost {
    offset: Offset,
    record: (u32, u32),
    excused: bool,
}

impl AckedKept {
    fn lost(&mut self, view: &View<'_>) -> BTreeMap<TpId, Vec<Lost>> {
        let mut lost: BTreeMap<TpId, Vec<Lost>> = BTreeMap::new();
        let survivors = Survivors::of(view);
        for (number, stream) in (0u32..).zip(view.ledger.streams()) {
            let Some(part) = view.ledger.part(stream.tp) else { continue };
            let start = part.legal_start(&view.rules.contract);
            let unread = if part.last.done() { uncommitted(view, part) } else { part.last.next };
            for (seq, send) in (0u32..).zip(stream.sends.iter()).filter(|(_, s)| s.acked()) {
                self.judged += 1;
                if send.in_final() || send.offset < start || send.offset >= unread {
                    continue;
                }
                let power = part.took(&view.rules.contract, send.offset, send.called)
                    || (part.logs.is_empty() && survivors.allow(stream.tp, send));
                // Behind a damaged header nothing can be found: the final read came no further.
                let behind = damage::struck(view) && !part.last.done();
                let excused = power || behind || self.damage.took(view, stream.tp, part, send.offset, send.called);
                let one = Lost { offset: send.offset, record: (number, seq), excused };
                lost.entry(stream.tp).or_default().push(one);
            }
        }
        lost
    }
}

/// From where on the final read need not have come, though it came to the end: what one leader has acknowledged by itself,
/// and has, may not be committed yet.
fn uncommitted(view: &View<'_>, part: &Part) -> Offset {
    let contract = &view.rules.contract;
    let leader = part.elections.last().and_then(|election| part.log(election.node));
    match leader.filter(|log| log.end > part.last.next && contract.acks != -1 && contract.replication > 1) {
        Some(_) => part.last.next,
        None => Offset::MAX,
    }
}

/// Where nodes state nothing: a power loss takes a suffix, so a record that was acknowledged before it and survives
/// proves that everything below it had to survive as well. By partition: for each power loss, the highest such record.
struct Survivors {
    powers: Vec<u64>,
    highest: BTreeMap<TpId, Vec<Offset>>,
}

impl Survivors {
    fn of(view: &View<'_>) -> Self {
        let (ledger, powers) = (view.ledger, view.ledger.power_losses().to_vec());
        let mut highest: BTreeMap<TpId, Vec<Offset>> = BTreeMap::new();
        let silent = |tp| ledger.part(tp).is_some_and(|part| part.logs.is_empty());
        for stream in ledger.streams().iter().filter(|s| !powers.is_empty() && silent(s.tp)) {
            let highest = highest.entry(stream.tp).or_insert_with(|| vec![-1; powers.len()]);
            for send in stream.sends.iter().filter(|s| s.acked() && s.in_final()) {
                // The first power loss after the acknowledgement; the later ones follow below.
                let next = powers.partition_point(|at| *at <= send.returned);
                highest.get_mut(next).into_iter().for_each(|high| *high = send.offset.max(*high));
            }
        }
        for highest in highest.values_mut() {
            for n in 1..highest.len() {
                highest[n] = highest[n].max(highest[n - 1]);
            }
        }
        Self { powers, highest }
    }

    /// Whether some power loss may have taken the record: none acknowledged before it and stored above survives.
    fn allow(&self, tp: TpId, send: &Send) -> bool {
        let Some(highest) = self.highest.get(&tp) else { return false };
        self.powers.iter().zip(highest).any(|(at, high)| send.called <= *at && send.offset > *high)
    }
}

fn tell(view: &View<'_>, tp: TpId, part: &Part, run: &[Lost], shape: &str) -> Tell {
    let (ledger, count) = (view.ledger, run.len());
    let (first, last) = (run[0], run[count - 1]);
    let name = ledger.name(tp);
    let what = match count {
        1 => format!("1 acknowledged record, offset {} of {name}, is missing", first.offset),
        _ => {
            format!("{count} acknowledged records, offsets {} to {} of {name}, are missing", first.offset, last.offset)
        }
    };
    let there = match part.table.get(first.offset).record() {
        Some(other) if other != first.record => format!("offset {} holds {}", first.offset, ledger.who(other)),
        _ => format!("nothing is at offset {}", first.offset),
    };
    let asked = ledger.record(first.record).map_or(0, |s| s.returned);
    let when = ledger.began(Phase::FinalRead).unwrap_or(view.at);
    Tell::new(format!("{what} from the final read: a {shape}"))
        .and(ledger.sending(first.record))
        .and(ledger.sending(last.record).pop().filter(|_| count > 1))
        .and(ledger.window(asked, view.at))
        .then(format!("{}: in the final read, {there}", time(when)))
}

/// The ends of what the final read found.
fn found(part: &Part) -> (Offset, Offset) {
    let mut finals = part.table.iter().filter(|(_, slot)| slot.last).map(|(offset, _)| offset);
    let first = finals.next().unwrap_or(Offset::MAX);
    (first, finals.next_back().unwrap_or(first))
}

fn report(view: &View<'_>, tp: TpId, part: &Part, mut lost: Vec<Lost>, out: &mut Findings) {
    lost.sort_by_key(|l| (l.offset, l.record));
    let (first, last) = found(part);
    let shape = |lost: &Lost| match lost.offset {
        _ if first == Offset::MAX => "partition found empty",
        o if o < first => "lost prefix",
        o if o > last => "lost suffix",
        _ => "hole in the middle",
    };
    let together =
        |a: &Lost, b: &Lost| a.excused == b.excused && shape(a) == shape(b) && b.offset <= a.offset.saturating_add(1);
    for run in lost.chunk_by(together) {
        let (count, say) = (run.len() as u64, || tell(view, tp, part, run, shape(&run[0])));
        match run[0].excused {
            true => out.expected(view.at, Some(tp), count, say),
            false => out.violation(view.at, Some(tp), count, say),
        }
    }
}

impl Invariant for AckedKept {
    fn see(&mut self, event: &Event, _view: &View<'_>, _out: &mut Findings) {
        self.damage.see(event);
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        if view.ledger.began(Phase::FinalRead).is_none() {
            return;
        }
        for (tp, lost) in self.lost(view) {
            if let Some(part) = view.ledger.part(tp) {
                report(view, tp, part, lost, out);
            }
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::{BatchMark, Fact};

    use super::super::tale::{Tale, lazy, leads, mark, marks, replicated, three, tp};
    use crate::contract::Contract;
    use crate::history::{Call, Kind, Outcome, Reply};

    #[test]
    fn all_that_was_acknowledged_is_read() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(3).final_read(&[(0, 0), (1, 1), (2, 2)]);
        tale.holds("B3");
    }

    #[test]
    fn a_prefix_a_hole_and_a_suffix_are_told_apart() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(6).final_read(&[(1, 1), (3, 3), (4, 4)]);
        tale.breaks("B3", 3);
        let shapes: Vec<_> = tale.check("B3").findings.iter().map(|f| f.what.clone()).collect();
        assert!(shapes[0].ends_with("lost prefix") && shapes[1].ends_with("hole in the middle"), "{shapes:?}");
        assert!(shapes[2].ends_with("lost suffix"), "{shapes:?}");
    }

    #[test]
    fn an_unclean_leader_with_a_longer_log_takes_what_it_lacks() {
        let mut tale = Tale::new(Contract { unclean: true, ..three() });
        tale.sent(3).append(mark(0, 0)).append(mark(1, 1)).append(mark(2, 2)).fact_of(0, marks(3, 3, 0));
        tale.fact_of(1, replicated(mark(0, 0))).fact_of(1, replicated(BatchMark { crc: 99, ..mark(1, 9) }));
        tale.fact_of(1, leads(1, 10, &[1])).final_read(&[(0, 0), (1, 7), (9, 8)]);
        tale.excuses("B3", 2);
        tale.rules.contract.unclean = false;
        tale.breaks("B3", 2);
    }

    #[test]
    fn what_a_leader_acknowledged_alone_may_go_until_it_knows_that_it_leads_no_more() {
        let by_itself = Contract { acks: 1, ..three() };
        let follows = |epoch| Fact::Follows { tp: tp(), epoch, leader: Some(broker::ids::NodeId(1)) };
        let mut tale = Tale::new(by_itself.clone());
        tale.fact_of(0, leads(0, 0, &[0, 1, 2])).append(mark(0, 0)).fact_of(1, replicated(mark(0, 0)));
        // Elected while the first still leads, and acknowledges record 1.
        tale.fact_of(1, leads(1, 1, &[1, 2])).append(mark(1, 1)).sent(2);
        tale.fact_of(0, follows(1)).final_read(&[(0, 0)]);
        tale.excuses("B3", 1);
        // Nobody had to give record 1 up: no successor began below it.
        let mut tale = Tale::new(by_itself);
        tale.fact_of(0, leads(0, 0, &[0, 1, 2])).append(mark(0, 0)).append(mark(1, 1));
        tale.fact_of(1, replicated(mark(0, 0))).fact_of(1, replicated(mark(1, 1)));
        tale.fact_of(1, leads(1, 2, &[1, 2])).sent(2).fact_of(0, follows(1)).final_read(&[(1, 1)]);
        tale.breaks("B3", 1);
        // Not committed when the final read ended, and not lost.
        let mut tale = Tale::new(Contract { acks: 1, ..three() });
        tale.fact_of(0, leads(0, 0, &[0, 1, 2])).append(mark(0, 0)).append(mark(1, 1)).sent(2).final_read(&[(0, 0)]);
        tale.holds("B3");
        // What is before that was read, or is lost.
        let mut tale = Tale::new(Contract { acks: 1, ..three() });
        tale.fact_of(0, leads(0, 0, &[0, 1, 2])).append(mark(0, 0)).append(mark(1, 1)).append(mark(2, 2));
        tale.sent(3).final_read(&[(1, 1)]);
        tale.breaks("B3", 1);
    }

    #[test]
    fn one_that_leads_again_has_a_longer_log_of_its_own_and_its_predecessor_never_hears_of_it() {
        let mut tale = Tale::new(Contract { acks: 1, ..three() });
        tale.fact_of(0, leads(0, 0, &[0, 1, 2])).append(mark(0, 0)).fact_of(1, replicated(mark(0, 0)));
        tale.fact_of(1, leads(1, 1, &[1, 2])).fact_of(1, replicated(BatchMark { crc: 99, ..mark(1, 9) }));
        tale.fact_of(0, leads(2, 1, &[0, 2])).append(mark(1, 1)).sent(2);
        tale.fact_of(1, leads(3, 10, &[1, 2])).final_read(&[(0, 0), (1, 7), (9, 8)]);
        tale.excuses("B3", 1);
        tale.rules.contract.acks = -1;
        tale.breaks("B3", 1);
    }

    #[test]
    fn what_was_not_synced_may_go_with_the_power_and_nothing_else_may() {
        let mut tale = Tale::new(lazy());
        tale.sent(3).append(mark(0, 0)).append(mark(1, 1)).flush(2).append(mark(2, 2));
        tale.down(true).recover(2, &[mark(0, 0), mark(1, 1)]);
        let (mut fine, mut flushed) = (tale.events.clone(), tale);
        std::mem::swap(&mut fine, &mut flushed.events);
        flushed.events.clone_from(&fine);
        flushed.final_read(&[(0, 0)]);
        flushed.breaks("B3", 1);
        flushed.events = fine;
        flushed.final_read(&[(0, 0), (1, 1)]);
        flushed.excuses("B3", 1);
    }

    #[test]
    fn a_process_crash_takes_nothing() {
        let mut tale = Tale::new(lazy());
        tale.sent(1).append(mark(0, 0)).down(false).recover(0, &[]).final_read(&[]);
        tale.breaks("B3", 1);
    }

    #[test]
    fn without_facts_a_power_loss_takes_a_suffix_only() {
        let down = Kind::Down { host: "b0".into(), node: None, power: true, why: "strike".into() };
        let mut tale = Tale::new(lazy());
        tale.sent(3).note(down.clone()).final_read(&[(0, 0)]);
        tale.excuses("B3", 2);
        let mut tale = Tale::new(lazy());
        tale.sent(3).note(down).final_read(&[(0, 0), (2, 2)]);
        tale.breaks("B3", 1);
    }

    #[test]
    fn retention_and_deletion_take_what_they_say() {
        let trim = |asked| Fact::Trimmed { tp: tp(), log_start: 1, high: 3, asked };
        let mut tale = Tale::new(Contract { retention: true, ..Contract::default() });
        tale.sent(3).fact(trim(false)).final_read(&[(1, 1), (2, 2)]);
        tale.holds("B3");
        let mut tale = Tale::new(Contract::default());
        tale.sent(3).fact(trim(false)).final_read(&[(1, 1), (2, 2)]);
        tale.breaks("B3", 1);
        let mut tale = Tale::new(Contract::default());
        tale.sent(3);
        let op = tale.call(0, Call::DeleteRecords { tp: super::super::tale::TP, before: 1 });
        tale.returns(op, Outcome::Ok, Reply::None).fact(trim(true)).final_read(&[(1, 1), (2, 2)]);
        tale.holds("B3");
    }

    #[test]
    fn rotten_batches_are_counted() {
        let contract = Contract { bit_rot: true, ..Contract::default() };
        let flip = Kind::Strike { strike: 0, fault: "bit_flip".into(), on: "b0".into(), minority: false };
        let audit = |bad_crc| {
            let batches = vec![mark(0, 0), mark(1, 1)];
            let bad_lookups = Vec::new();
            Fact::Audited { tp: tp(), log_start: 0, log_end: 2, batches, bad_crc, torn_bytes: 0, bad_lookups }
        };
        let mut tale = Tale::new(contract);
        tale.sent(2).append(mark(0, 0)).append(mark(1, 1)).note(flip).final_read(&[(1, 1)]).fact(audit(vec![0]));
        tale.excuses("B3", 1);
        tale.fact(audit(vec![]));
        tale.breaks("B3", 1);
    }

    #[test]
    fn a_deleted_topic_owes_nothing() {
        let mut tale = Tale::new(Contract::default());
        tale.sent(2).fact(Fact::Deleted { tp: tp() }).final_read(&[]);
        assert_eq!(tale.check("B3").of("B3").map(|e| (e.count, e.violations)), Some((0, 0)));
    }
}
