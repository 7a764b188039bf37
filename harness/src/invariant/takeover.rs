//! L9: while only a minority of the brokers is struck, the others take over: new sends to every partition succeed again
//! within the deadline.

use broker::ids::Offset;

use super::readable::unless_rotten;
use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View, no_run};
use crate::history::{Call, Event, Kind, Outcome, Phase, Reply};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "L9",
    jepsen: None,
    promise: crate::verdict::Promise::Liveness,
    about: "while a minority of the brokers is struck, sends to every partition succeed again in time",
    white_box: false,
    wants: Kinds::SEND.and(Kinds::RETURN).and(Kinds::STRIKE).and(Kinds::HEAL).and(Kinds::PHASE),
    applies: |contract| if contract.clustered() { unless_rotten(contract) } else { Applies::No },
    must: no_run,
    make: || Box::new(Takeover::default()),
};

/// Faults that take a broker out: others can do its work. One that is merely slow keeps its place, and may hold it up.
const OUT: &[&str] = &["process_crash", "power_loss", "torn_tail", "isolate", "freeze", "wipe", "graceful_stop"];

/// A strike that others are to make up for.
struct Trial {
    strike: u32,
    fault: String,
    at: u64,
    /// By partition: the first send asked for since, and whether one has succeeded in time.
    parts: Vec<Option<(u64, bool)>>,
}

#[derive(Default)]
struct Takeover {
    judged: u64,
    trial: Option<Trial>,
    /// Strikes that are not cured.
    lasting: Vec<u32>,
}

impl Takeover {
    fn strikes(&mut self, at: u64, strike: u32, fault: &str, minority: bool) {
        self.lasting.push(strike);
        // One at a time: with two, nobody can say whose the silence is.
        let alone = self.lasting.len() == 1 && minority && OUT.contains(&fault);
        self.trial = alone.then(|| Trial { strike, fault: fault.into(), at, parts: Vec::new() });
    }

    fn sends(&mut self, at: u64, tp: usize) {
        if let Some(trial) = &mut self.trial {
            let len = trial.parts.len().max(tp + 1);
            trial.parts.resize(len, None);
            trial.parts[tp].get_or_insert((at, false));
        }
    }

    fn acked(&mut self, at: u64, tp: usize, called: u64, limit: u64) {
        let Some(trial) = &mut self.trial else { return };
        let fresh = called >= trial.at && at <= trial.at + limit;
        trial.parts.get_mut(tp).and_then(Option::as_mut).filter(|_| fresh).into_iter().for_each(|part| part.1 = true);
    }

    /// The trial ends: by its cure, or because another strike or the end of the strikes muddles it.
    fn ends(&mut self, at: u64, view: &View<'_>, out: &mut Findings) {
        let Some(trial) = self.trial.take() else { return };
        let limit = view.rules.contract.failover_ms;
        if at < trial.at + limit * 1_000_000 {
            return;
        }
        for ((tp, _), part) in view.ledger.parts().zip(&trial.parts) {
            // A send that was asked for just before the deadline shows nothing.
            let Some((_, succeeded)) = part.filter(|(first, _)| *first < trial.at + limit * 500_000) else { continue };
            self.judged += 1;
            if succeeded {
                continue;
            }
            let tell = || {
                let (name, strike, fault) = (view.ledger.name(tp), trial.strike, &trial.fault);
                let what = format!("no new send to {name} succeeded within {limit} ms");
                Tell::new(format!(
                    "{what} of strike {strike} ({fault}), though a majority of the brokers was untouched"
                ))
                .and(view.ledger.window(trial.at, at))
                .then(format!("{}: none has succeeded in time", time(at)))
            };
            match super::damage::struck(view) {
                true => out.expected(at, Some(tp), 1, tell),
                false => out.violation(at, Some(tp), 1, tell),
            }
        }
    }
}

/// Where a send that was acknowledged is.
fn offset(reply: &Reply) -> Offset {
    if let Reply::Sent { offset } = reply { *offset } else { -1 }
}

impl Invariant for Takeover {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let limit = view.rules.contract.failover_ms * 1_000_000;
        match &event.kind {
            Kind::Call { call: Call::Send { tp, .. }, .. } => self.sends(event.at, tp.0 as usize),
            Kind::Return { outcome: Outcome::Ok, reply, .. } if offset(reply) >= 0 => {
                let Some(open) = view.ledger.current().ended else { return };
                if let Call::Send { tp, .. } = open.call {
                    self.acked(event.at, tp.0 as usize, open.called, limit);
                }
            }
            Kind::Strike { strike, fault, minority, .. } => {
                self.ends(event.at, view, out);
                self.strikes(event.at, *strike, fault, *minority);
            }
            Kind::Heal { strike } => {
                self.ends(event.at, view, out);
                self.lasting.retain(|lasting| lasting != strike);
            }
            Kind::Phase { phase: Phase::Drain } => self.ends(event.at, view, out),
            _ => {}
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, three};
    use crate::contract::Contract;
    use crate::history::{Kind, Outcome, Reply};

    fn tale(minority: bool) -> Tale {
        let mut tale = Tale::new(Contract { failover_ms: 1000, ..three() });
        tale.note(Kind::Strike { strike: 0, fault: "process_crash".into(), on: "b0".into(), minority });
        tale
    }

    #[test]
    fn the_others_take_over() {
        let mut t = tale(true);
        let op = t.send(0);
        t.wait(600).ack(op, 0).wait(900).note(Kind::Heal { strike: 0 });
        t.holds("L9");
    }

    #[test]
    fn nobody_takes_over() {
        let mut t = tale(true);
        let op = t.send(0);
        t.wait(1200).ack(op, 0).wait(900).note(Kind::Heal { strike: 0 });
        t.breaks("L9", 1);
    }

    #[test]
    fn cured_early_or_beyond_a_minority_nothing_is_owed() {
        for (minority, ms) in [(true, 500), (false, 1500)] {
            let mut t = tale(minority);
            let op = t.send(0);
            t.wait(ms).note(Kind::Heal { strike: 0 }).returns(op, Outcome::Info, Reply::None);
            assert_eq!(t.check("L9").of("L9").map(|e| (e.count, e.violations)), Some((0, 0)));
        }
    }
}
