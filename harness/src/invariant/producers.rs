//! W20: what a node knows of idempotent producers, when its log was opened or cut, is what the batches it ever appended
//! come to. W10: a producer's epoch never falls from one batch to the next.
//!
//! The model is every batch ever, below the log's end; that retention has taken some of them changes nothing.

use std::collections::BTreeMap;

use broker::fact::{BatchMark, Fact, ProducerMark};
use broker::ids::{NodeId, Offset};
use broker::log::producers::WINDOW;

use super::{Findings, Invariant, Kinds, Row, Tell, View, no_run};
use crate::contract::Contract;
use crate::history::{Event, Kind, TpId};
use crate::invariant::Applies;
use crate::invariant::ledger::time;

pub(super) const REBUILT: Row = Row {
    id: "W20",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "what is known of producers after an opening or a cut is what their batches say",
    white_box: true,
    wants: Kinds::SEQUENCED.and(Kinds::RECOVERED).and(Kinds::PRODUCERS).and(Kinds::TRUNCATED).and(Kinds::DELETED),
    applies,
    must: no_run,
    make: || Box::new(Rebuilt::default()),
};

pub(super) const EPOCHS: Row = Row {
    id: "W10",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "a producer's epoch never falls from one stored batch to the next",
    white_box: true,
    wants: Kinds::SEQUENCED.and(Kinds::PRODUCERS).and(Kinds::TRUNCATED).and(Kinds::DELETED),
    applies,
    must: no_run,
    make: || Box::new(Epochs::default()),
};

fn applies(contract: &Contract) -> Applies {
    if contract.idempotent && !contract.bit_rot { Applies::Enforced } else { Applies::No }
}

/// Of one batch: epoch, first and last sequence number, base offset.
type Batch = (i16, i32, i32, Offset);

/// Every batch that each node has of each producer, in order.
#[derive(Default)]
struct Model(BTreeMap<(NodeId, TpId), BTreeMap<i64, Vec<Batch>>>);

impl Model {
    /// Takes in what is not judged.
    fn take(&mut self, node: NodeId, tp: TpId, fact: &Fact) {
        let of = self.0.entry((node, tp)).or_default();
        match *fact {
            Fact::Sequenced { producer, epoch, first, last, base, .. } => {
                of.entry(producer).or_default().push((epoch, first, last, base));
            }
            Fact::Producers { end, .. } | Fact::Truncated { log_end: end, .. } => {
                of.retain(|_, batches| {
                    while batches.pop_if(|batch| batch.3 >= end).is_some() {}
                    !batches.is_empty()
                });
            }
            Fact::Deleted { .. } => of.clear(),
            _ => {}
        }
    }

    fn newest(&self, node: NodeId, tp: TpId, producer: i64) -> Option<&Batch> {
        self.0.get(&(node, tp))?.get(&producer)?.last()
    }

    /// What must be known.
    fn known(&self, node: NodeId, tp: TpId) -> Vec<ProducerMark> {
        let of = self.0.get(&(node, tp)).into_iter().flatten();
        let mark = |(producer, batches): (&i64, &Vec<Batch>)| {
            let epoch = batches.last()?.0;
            let last = batches.iter().rev().take_while(|batch| batch.0 == epoch).take(WINDOW);
            let mut window: Vec<_> = last.map(|&(_, first, last, base)| (first, last, base)).collect();
            window.reverse();
            Some(ProducerMark { producer: *producer, epoch, window })
        };
        of.filter_map(mark).collect()
    }
}

fn parts(event: &Event) -> Option<(NodeId, TpId, &Fact)> {
    let Kind::Fact { node, tp: Some(tp), fact, .. } = &event.kind else { return None };
    Some((*node, *tp, fact))
}

#[derive(Default)]
struct Rebuilt {
    model: Model,
    /// Batches that a node has found in its log without having told of them: it died, or gave up, after it wrote them.
    untold: BTreeMap<(NodeId, TpId), Vec<Offset>>,
    judged: u64,
}

impl Rebuilt {
    fn recovers(&mut self, node: NodeId, tp: TpId, tail: &[BatchMark]) {
        let told = self.model.0.get(&(node, tp)).into_iter().flatten();
        let newest = told.filter_map(|(_, batches)| batches.last()).map(|batch| batch.3).max().unwrap_or(-1);
        let untold = tail.iter().map(|batch| batch.base).filter(|base| *base > newest).collect();
        self.untold.insert((node, tp), untold);
    }

    /// What it knows of its producers by those batches, it says now.
    fn adopt(&mut self, node: NodeId, tp: TpId, known: &[ProducerMark]) {
        for base in self.untold.remove(&(node, tp)).unwrap_or_default() {
            let mut all = known.iter().flat_map(|mark| mark.window.iter().map(move |batch| (mark, *batch)));
            if let Some((mark, (first, last, base))) = all.find(|(_, batch)| batch.2 == base) {
                let of = self.model.0.entry((node, tp)).or_default();
                of.entry(mark.producer).or_default().push((mark.epoch, first, last, base));
            }
        }
    }
}

impl Invariant for Rebuilt {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Some((node, tp, fact)) = parts(event) else { return };
        self.model.take(node, tp, fact);
        if let Fact::Recovered { tail, .. } = fact {
            self.recovers(node, tp, tail);
        }
        let Fact::Producers { end, known, .. } = fact else { return };
        self.adopt(node, tp, known);
        let expected = self.model.known(node, tp);
        self.judged += expected.len() as u64;
        if *known == expected {
            return;
        }
        let wrong = expected.iter().filter(|mark| !known.contains(mark)).chain(known.iter().filter(|mark| {
            let id = mark.producer;
            !expected.iter().any(|other| other.producer == id)
        }));
        let wrong: Vec<&ProducerMark> = wrong.collect();
        out.violation(event.at, Some(tp), wrong.len() as u64, || {
            let name = view.ledger.name(tp);
            let told = |mark: &&ProducerMark| {
                let now = known.iter().find(|other| other.producer == mark.producer);
                let then = expected.iter().find(|other| other.producer == mark.producer);
                format!("producer {}: its batches say {then:?}, the node knows {now:?}", mark.producer)
            };
            Tell::new(format!(
                "{node} knows of {} producers of {name}, whose log ends at {end}, other things than their batches say",
                wrong.len()
            ))
            .and(wrong.iter().take(5).map(told))
            .and(view.ledger.window(0, event.at))
            .then(format!("{}: {node} says what it knows", time(event.at)))
        });
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[derive(Default)]
struct Epochs {
    model: Model,
    judged: u64,
}

impl Invariant for Epochs {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let Some((node, tp, fact)) = parts(event) else { return };
        if let Fact::Sequenced { producer, epoch, base, .. } = *fact {
            self.judged += 1;
            let before = self.model.newest(node, tp, producer).copied();
            if let Some((newer, _, _, at)) = before.filter(|newest| newest.0 > epoch) {
                out.violation(event.at, Some(tp), 1, || {
                    let name = view.ledger.name(tp);
                    Tell::new(format!(
                        "{node} stores a batch of producer {producer} in epoch {epoch} at {base} of {name}"
                    ))
                    .then(format!("at offset {at} the producer was in epoch {newer} already"))
                    .and(view.ledger.window(0, event.at))
                });
            }
        }
        self.model.take(node, tp, fact);
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::{Fact, ProducerMark};

    use super::super::tale::{Tale, tp};
    use crate::contract::Contract;

    fn tale() -> Tale {
        let mut tale = Tale::new(Contract { idempotent: true, ..Contract::default() });
        for at in 0..7 {
            stored(&mut tale, 0, at, i64::from(at));
        }
        tale
    }

    fn stored(tale: &mut Tale, epoch: i16, seq: i32, base: i64) {
        tale.fact(Fact::Sequenced { tp: tp(), producer: 4, epoch, first: seq, last: seq, base });
    }

    fn says(tale: &mut Tale, end: i64, known: &[(i16, std::ops::Range<i32>)]) {
        let mark = |(epoch, of): &(i16, std::ops::Range<i32>)| ProducerMark {
            producer: 4,
            epoch: *epoch,
            window: of.clone().map(|seq| (seq, seq, i64::from(seq))).collect(),
        };
        tale.fact(Fact::Producers { tp: tp(), end, known: known.iter().map(mark).collect() });
    }

    #[test]
    fn the_last_five_are_known_also_after_a_cut() {
        let mut tale = tale();
        says(&mut tale, 7, &[(0, 2..7)]);
        says(&mut tale, 4, &[(0, 0..4)]);
        stored(&mut tale, 1, 0, 4);
        tale.holds("W20");
        tale.holds("W10");
    }

    #[test]
    fn a_batch_that_was_written_and_not_told_of_is_known_when_it_is_found() {
        let recovered = |tail: &[i64]| {
            let tail = tail.iter().map(|at| super::super::tale::mark(*at, *at)).collect();
            Fact::Recovered { tp: tp(), log_start: 0, log_end: 8, recovery_point: 5, tail, synced: true }
        };
        let mut tale = tale();
        tale.fact(recovered(&[5, 6, 7]));
        says(&mut tale, 8, &[(0, 3..8)]);
        tale.holds("W20");
        let mut tale = self::tale();
        tale.fact(recovered(&[5, 6]));
        says(&mut tale, 8, &[(0, 3..8)]);
        tale.breaks("W20", 1);
    }

    #[test]
    fn a_producer_is_forgotten_or_half_known_or_too_well() {
        for known in [&[][..], &[(0, 3..7)], &[(0, 1..7)], &[(1, 2..7)]] {
            let mut tale = tale();
            says(&mut tale, 7, known);
            tale.breaks("W20", 1);
        }
        let mut tale = tale();
        says(&mut tale, 0, &[(0, 0..1)]);
        tale.breaks("W20", 1);
    }

    #[test]
    fn an_epoch_falls() {
        let mut tale = tale();
        stored(&mut tale, 2, 0, 7);
        stored(&mut tale, 1, 0, 8);
        tale.breaks("W10", 1);
    }
}
