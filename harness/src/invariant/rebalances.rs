//! L7: once everything is healed, rebalances come to an end: from then on a group sees a few generations and no more.

use std::collections::BTreeMap;

use super::members::{Members, in_the_end};
use super::{Findings, Invariant, Kinds, Row, Tell, View, no_run};
use crate::history::{Event, GroupStep, Kind, Phase};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "L7",
    jepsen: None,
    promise: crate::verdict::Promise::Liveness,
    about: "after healing, a group sees 4 generations and 3 more for each of its members at most",
    white_box: false,
    wants: Members::KINDS.and(Kinds::PHASE),
    applies: in_the_end,
    must: no_run,
    make: || Box::new(Rebalances::default()),
};

/// Generations of one group.
#[derive(Default)]
struct Rounds {
    newest: i32,
    /// Since everything was cured, with who entered each first, and when; the first [`TOLD`].
    after: Vec<(i32, u32, u64)>,
    count: u64,
}

/// Generations told of in the story, at most.
const TOLD: usize = 12;

#[derive(Default)]
struct Rebalances {
    members: Members,
    groups: BTreeMap<u32, Rounds>,
    judged: u64,
}

impl Rebalances {
    fn enters(&mut self, at: u64, group: u32, client: u32, generation: i32, healed: bool) {
        let rounds = self.groups.entry(group).or_default();
        if generation <= rounds.newest {
            return;
        }
        self.judged += 1;
        rounds.newest = generation;
        if healed {
            rounds.count += 1;
            if rounds.after.len() < TOLD {
                rounds.after.push((generation, client, at));
            }
        }
    }

    fn judge(&self, view: &View<'_>, out: &mut Findings) {
        for (group, rounds) in &self.groups {
            let members = self.members.ever(*group) as u64;
            let (count, most) = (rounds.count, 4 + 3 * members);
            let tell = || {
                let line = |(generation, client, at): &(i32, u32, u64)| {
                    format!("{}: client {client} is the first to enter generation {generation}", time(*at))
                };
                Tell::new(format!("group {group}, of {members} members, saw {count} generations after healing"))
                    .and(view.ledger.window(0, view.at))
                    .and(rounds.after.iter().map(line))
                    .and(self.members.tell(*group, view.ledger))
            };
            match view.rules.contract.committed_is_kept() {
                _ if count <= most => {}
                true => out.violation(view.at, None, 1, tell),
                false => out.expected(view.at, None, 1, tell),
            }
        }
    }
}

impl Invariant for Rebalances {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        self.members.see(event);
        match event.kind {
            Kind::Group(step) if matches!(step.what, GroupStep::Entered { .. }) => {
                let (healed, over) = (view.ledger.began(Phase::Heal), view.ledger.began(Phase::FinalRead));
                if over.is_none() {
                    self.enters(event.at, step.group, step.client, step.generation, healed.is_some());
                }
            }
            Kind::Phase { phase: Phase::FinalRead } => self.judge(view, out),
            _ => {}
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{Tale, grouped};
    use crate::history::Phase;

    /// Two members see so many generations before healing, and after.
    fn tale(before: i32, after: i32) -> Tale {
        let mut tale = Tale::new(grouped());
        for generation in 1..=before + after {
            if generation == before + 1 {
                tale.phase(Phase::Heal);
            }
            tale.joins(1, generation).joins(2, generation);
        }
        tale.phase(Phase::FinalRead).joins(1, 99);
        tale
    }

    #[test]
    fn a_few_are_fine_and_before_it_any_number() {
        tale(50, 10).holds("L7");
    }

    #[test]
    fn they_do_not_end() {
        tale(1, 11).breaks("L7", 1);
        let mut lossy = tale(1, 11);
        lossy.rules.contract.unclean = true;
        lossy.excuses("L7", 1);
    }
}
