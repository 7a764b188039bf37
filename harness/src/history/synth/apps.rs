//! An application beside a good history: it does what each acknowledged record asks for, once, in order, or gives it up; dies
//! now and then, and states anew what it has done; some of what it gave up it takes to hand again.

use std::collections::BTreeMap;

use super::{Shape, Synth};
use crate::contract::Contract;
use crate::history::{AppStep, Call, Event, Kind, Origin, Outcome, Phase, Reply, TpId};
use crate::invariant::Rules;
use crate::seed::{Draw, Seed};

/// What such a history is judged by.
pub fn rules(shape: Shape) -> Rules {
    let alone = Synth::rules(shape);
    // The dead-letter topic is none of the history's partitions.
    let unread = vec![TpId(u32::MAX)];
    Rules { contract: Contract { apps: 1, unread, ..alone.contract }, ..alone }
}

/// `events` with an application that has settled everything by the final read.
pub fn beside(events: impl IntoIterator<Item = Event>, seed: u64) -> Vec<Event> {
    let events: Vec<Event> = events.into_iter().collect();
    let app = App { ledger: Vec::new(), out: Vec::new(), draw: Seed::new(seed).split("app", 0).draw() };
    let mut steps = app.settle(&acked(&events));
    let letters = steps.iter().filter_map(|what| match what {
        AppStep::Buried { of } => Some(AppStep::Letter { of: *of }),
        _ => None,
    });
    let mut letters: Vec<_> = letters.collect();
    let mut out = Vec::new();
    for event in events {
        let (at, over) = (event.at, matches!(event.kind, Kind::Phase { phase: Phase::FinalRead }));
        let said = |what| Event { at, kind: Kind::App { app: 0, what } };
        if over {
            out.extend(steps.drain(..).map(said));
        }
        out.push(event);
        if over {
            out.extend(letters.drain(..).map(said));
        }
    }
    out
}

/// Every acknowledged record, partition by partition, in the order of the log; each has one of three keys.
fn acked(events: &[Event]) -> Vec<Origin> {
    let (mut open, mut acked) = (BTreeMap::new(), Vec::new());
    for event in events {
        match event.kind {
            Kind::Call { op, call: Call::Send { tp, id, .. }, .. } => drop(open.insert(op, (tp, id))),
            Kind::Return { op, outcome: Outcome::Ok, reply: Reply::Sent { offset }, .. } => {
                let key = u32::try_from(offset % 3).ok();
                acked.extend(open.remove(&op).map(|(tp, id)| Origin { tp, offset, id, key }));
            }
            _ => {}
        }
    }
    acked.sort_unstable_by_key(|of| (of.tp, of.offset));
    acked
}

struct App {
    ledger: Vec<Origin>,
    out: Vec<AppStep>,
    draw: Draw,
}

impl App {
    fn settle(mut self, events: &[Origin]) -> Vec<AppStep> {
        let mut dead = Vec::new();
        self.opens();
        for of in events {
            if self.draw.chance(100) {
                self.out.push(AppStep::Buried { of: *of });
                dead.push(*of);
            } else {
                self.does(*of);
            }
            if self.draw.chance(20) {
                self.opens();
            }
        }
        for of in dead {
            if self.draw.chance(500) {
                self.out.push(AppStep::Redriven { of });
                self.does(of);
            }
        }
        self.opens();
        self.out
    }

    fn opens(&mut self) {
        self.out.push(AppStep::Opened { rows: self.ledger.len() as u64 });
        self.out.extend((0..).zip(&self.ledger).map(|(row, of)| AppStep::Effect { row, of: *of }));
    }

    fn does(&mut self, of: Origin) {
        self.out.push(AppStep::Effect { row: self.ledger.len() as u64, of });
        self.ledger.push(of);
    }
}
