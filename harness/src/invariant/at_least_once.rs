//! B9: every acknowledged record below what a group has committed was processed by some member. Where members commit
//! before they process, what was not is an expected loss, and counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use broker::fact::Fact;
use broker::ids::Offset;

use super::members::{has_groups, where_kept};
use super::registers::Accepted;
use super::{Applies, Findings, Invariant, Kinds, Row, Tell, View};
use crate::history::{Call, Event, GroupEvent, GroupStep, Kind, Outcome, TpId};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "B9",
    jepsen: Some("consume-counts"),
    promise: crate::verdict::Promise::Safety,
    about: "every acknowledged record below a group's committed offset was processed",
    white_box: false,
    wants: Kinds::GROUP.and(Kinds::ASSIGN).and(Kinds::RETURN).and(Kinds::DELETED),
    applies: |contract| match where_kept(contract) {
        Applies::Enforced if contract.at_most_once => Applies::ExpectedLoss,
        other => other,
    },
    must: |contract| has_groups(contract) && contract.acks != 0,
    make: || Box::new(AtLeastOnce::default()),
};

/// Stretches remembered of one partition for the story, at most; and commits past something not processed.
const TOLD: usize = 32;

/// An offset, and the stream and sequence of the record acknowledged there.
type Placed = (Offset, (u32, u32));

/// A member's way through a partition without a break.
#[derive(Clone, Copy, Debug)]
struct Way {
    client: u32,
    incarnation: u16,
    group: u32,
    from: Offset,
    to: Offset,
    began: u64,
    ended: u64,
}

/// How far a group has come in one partition.
#[derive(Debug, Default)]
struct Progress {
    /// Processed, as ranges that do not touch: first offset to one past the last.
    done: BTreeMap<Offset, Offset>,
    /// The highest commit accepted.
    highest: Offset,
    /// Commits past something that was not processed then.
    past: Vec<Accepted>,
    /// The last stretches, for the story.
    ways: VecDeque<Way>,
    /// Where the group was set back to, and when.
    rewound: Option<(Offset, u64)>,
}

impl Progress {
    /// Everything of `from..to` is processed.
    fn add(&mut self, mut from: Offset, mut to: Offset) {
        if from >= to {
            return;
        }
        while let Some((&first, &end)) = self.done.range(..=to).next_back().filter(|(_, end)| **end >= from) {
            (from, to) = (from.min(first), to.max(end));
            self.done.remove(&first);
        }
        self.done.insert(from, to);
    }

    fn covers(&self, offset: Offset) -> bool {
        self.done.range(..=offset).next_back().is_some_and(|(_, end)| *end > offset)
    }

    /// Whether nothing is left out between the first offset processed and `to`.
    fn is_whole(&self, to: Offset) -> bool {
        self.done.first_key_value().is_some_and(|(_, end)| *end >= to)
    }

    fn keep(&mut self, way: Way) {
        if self.ways.len() == TOLD {
            self.ways.pop_front();
        }
        self.ways.push_back(way);
    }

    fn accepts(&mut self, accepted: Accepted) {
        self.highest = self.highest.max(accepted.offset);
        if !self.is_whole(accepted.offset) && self.past.len() < TOLD {
            self.past.push(accepted);
        }
    }
}

#[derive(Default)]
pub(super) struct AtLeastOnce {
    judged: u64,
    groups: BTreeMap<(u32, TpId), Progress>,
    /// By client and partition.
    ways: BTreeMap<(u32, TpId), Way>,
    /// What a group had processed of a topic that was deleted says nothing of the next one.
    deleted: BTreeSet<TpId>,
    /// Whether only what was processed since a group was set back counts, and only for what that was about.
    replays: bool,
}

impl AtLeastOnce {
    /// Of what groups are set back over.
    pub(super) fn of_replays() -> Self {
        Self { replays: true, ..Self::default() }
    }

    fn of(&mut self, group: u32, tp: TpId) -> &mut Progress {
        self.groups.entry((group, tp)).or_default()
    }

    fn step(&mut self, at: u64, step: GroupEvent) {
        let GroupEvent { client, incarnation, group, what, .. } = step;
        match what {
            GroupStep::Assigned { tp, position } => {
                let way = Way { client, incarnation, group, from: position, to: position, began: at, ended: at };
                self.leaves(self.ways.get(&(client, tp)).copied(), tp);
                self.ways.insert((client, tp), way);
            }
            // Also of what it has lost meanwhile: it had it in hand.
            GroupStep::Processed { tp, position } => {
                let way = self.ways.get_mut(&(client, tp)).filter(|way| way.incarnation == incarnation);
                let Some(way) = way else { return };
                let from = std::mem::replace(&mut way.to, position);
                way.ended = at;
                self.of(group, tp).add(from, position);
            }
            GroupStep::Rewound { tp, position } if self.replays => {
                *self.of(group, tp) = Progress { rewound: Some((position, at)), ..Progress::default() };
            }
            _ => {}
        }
    }

    /// A member goes elsewhere in a partition.
    fn moves(&mut self, at: u64, client: u32, tp: TpId, position: Offset) {
        let Some(way) = self.ways.get_mut(&(client, tp)).filter(|way| way.to != position) else { return };
        let before = *way;
        *way = Way { from: position, to: position, began: at, ended: at, ..before };
        self.leaves(Some(before), tp);
    }

    fn leaves(&mut self, way: Option<Way>, tp: TpId) {
        if let Some(way) = way.filter(|way| way.from < way.to) {
            self.of(way.group, tp).keep(way);
        }
    }

    /// The acknowledged records that each group has passed over, in order.
    fn missing(&mut self, view: &View<'_>) -> BTreeMap<(u32, TpId), Vec<Placed>> {
        let mut missing: BTreeMap<_, Vec<Placed>> = BTreeMap::new();
        for (number, stream) in (0u32..).zip(view.ledger.streams()) {
            let of = self.groups.iter().filter(|((_, tp), _)| *tp == stream.tp && !self.deleted.contains(tp));
            let Some(part) = view.ledger.part(stream.tp) else { continue };
            let start = part.legal_start(&view.rules.contract);
            for (key, progress) in of {
                let start = match progress.rewound {
                    Some((back, _)) => start.max(back),
                    None if self.replays => continue,
                    None => start,
                };
                let sends = (0u32..).zip(stream.sends.iter());
                let owed = |send: &crate::invariant::ledger::Send| {
                    send.acked() && send.offset >= start && send.offset < progress.highest
                };
                for (seq, send) in sends.filter(|(_, send)| owed(send)) {
                    self.judged += 1;
                    if !progress.covers(send.offset) && !part.took(&view.rules.contract, send.offset, send.called) {
                        missing.entry(*key).or_default().push((send.offset, (number, seq)));
                    }
                }
            }
        }
        missing
    }

    fn tell(&self, key: (u32, TpId), run: &[Placed], view: &View<'_>) -> Tell {
        let (ledger, progress) = (view.ledger, &self.groups[&key]);
        let ((group, tp), (first, record), (last, _)) = (key, run[0], run[run.len() - 1]);
        let name = ledger.name(tp);
        let going = self.ways.iter().filter(|((_, of), way)| *of == tp && way.group == group).map(|(_, way)| way);
        let ways: Vec<&Way> = progress.ways.iter().chain(going).filter(|way| way.from < way.to).collect();
        let before = ways.iter().filter(|way| way.to <= first).max_by_key(|way| (way.to, way.ended));
        let after = ways.iter().filter(|way| way.from > last).min_by_key(|way| (way.from, way.began));
        let line = |way: &&&Way| {
            let (began, ended) = (time(way.began), time(way.ended));
            format!("{ended}: client {} has processed {} to {}, since {began}", way.client, way.from, way.to - 1)
        };
        let past = progress.past.iter().find(|accepted| accepted.offset > first).map(|accepted| {
            let (client, offset, generation) = (accepted.client, accepted.offset, accepted.generation);
            format!(
                "{}: client {client}'s commit of {offset} in generation {generation} is accepted",
                time(accepted.at)
            )
        });
        let count = match run.len() {
            1 => format!("acknowledged, offset {first} of {name}, "),
            many => format!("and {} more acknowledged, offsets {first} to {last} of {name}, ", many - 1),
        };
        let who = ledger.who(record);
        Tell::new(format!("{who}, {count}never processed by group {group}, which has committed {}", progress.highest))
            .and(ledger.sending(record))
            .and(progress.rewound.map(|(back, at)| format!("{}: the group is set back to {back}", time(at))))
            .and(before.iter().map(line))
            .and(after.iter().map(line))
            .and(past)
            .and(ledger.window(ledger.record(record).map_or(0, |send| send.called), view.at))
    }
}

impl Invariant for AtLeastOnce {
    fn see(&mut self, event: &Event, view: &View<'_>, _out: &mut Findings) {
        match event.kind {
            Kind::Group(step) => self.step(event.at, step),
            Kind::Call { client, call: Call::Assign { tp, position, last: false }, .. } => {
                self.moves(event.at, client, tp, position);
            }
            Kind::Return { outcome: Outcome::Ok, .. } => {
                let Some(open) = view.ledger.current().ended else { return };
                if let Call::Commit { group, tp, offset, generation } = open.call {
                    let (client, incarnation, at) = (open.client, open.incarnation, event.at);
                    self.of(group, tp).accepts(Accepted { offset, client, incarnation, generation, at });
                }
            }
            Kind::Fact { tp: Some(tp), fact: Fact::Deleted { .. }, .. } => drop(self.deleted.insert(tp)),
            _ => {}
        }
    }

    fn end(&mut self, view: &View<'_>, out: &mut Findings) {
        for (key, mut records) in self.missing(view) {
            records.sort_unstable();
            for run in records.chunk_by(|a, b| b.0 <= a.0.saturating_add(1)) {
                let (count, tell) = (run.len() as u64, || self.tell(key, run, view));
                match view.rules.contract.at_most_once {
                    true => out.expected(view.at, Some(key.1), count, tell),
                    false => out.violation(view.at, Some(key.1), count, tell),
                }
            }
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{TP, Tale, grouped, tp};
    use super::*;

    /// Ten records; client 1 processes the first five and commits them.
    fn tale() -> Tale {
        let mut tale = Tale::new(grouped());
        tale.sent(10).joins(1, 1).assigned(1, 1, 0).processed(1, 1, 5).commits(1, 1, 5);
        tale
    }

    #[test]
    fn one_goes_on_where_the_other_left_off_or_before() {
        for begins in [3, 5] {
            let mut tale = tale();
            tale.joins(2, 2).assigned(2, 2, begins).processed(2, 2, 10).commits(2, 2, 10);
            tale.holds("B9");
        }
    }

    #[test]
    fn records_are_passed_over_and_committed() {
        let mut tale = tale();
        tale.joins(2, 2).assigned(2, 2, 7).processed(2, 2, 10);
        tale.holds("B9");
        tale.commits(2, 2, 9);
        tale.breaks("B9", 2);
        tale.rules.contract.at_most_once = true;
        tale.excuses("B9", 2);
    }

    #[test]
    fn a_member_that_crashed_had_processed_nothing_of_what_it_was_handed() {
        let mut tale = tale();
        tale.assign(1, 5).poll(1, 5, &[(5, 5), (6, 6)]).note(Kind::Quit { client: 1, incarnation: 0 });
        tale.joins(2, 2).assigned(2, 2, 7).processed(2, 2, 8).commits(2, 2, 8);
        tale.breaks("B9", 2);
    }

    #[test]
    fn what_was_in_hand_when_it_was_lost_is_processed_all_the_same() {
        let mut tale = tale();
        tale.step(1, -1, GroupStep::Lost { tp: TP }).processed(1, -1, 7);
        tale.joins(2, 2).assigned(2, 2, 7).processed(2, 2, 10).commits(2, 2, 10);
        tale.holds("B9");
    }

    #[test]
    fn a_seek_leaves_out_what_is_between() {
        let mut tale = tale();
        tale.assign(1, 8).processed(1, 1, 10).commits(1, 1, 10);
        tale.breaks("B9", 3);
        tale.assign(1, 2).processed(1, 1, 9);
        tale.holds("B9");
    }

    #[test]
    fn what_retention_took_nobody_need_process() {
        let mut tale = Tale::new(crate::contract::Contract { retention: true, ..grouped() });
        tale.sent(10).fact(Fact::Trimmed { tp: tp(), log_start: 4, high: 10, asked: false });
        tale.joins(1, 1).assigned(1, 1, 0).assign(1, 4).processed(1, 1, 10).commits(1, 1, 10);
        tale.holds("B9");
    }

    #[test]
    fn ranges_merge() {
        let mut progress = Progress::default();
        for (from, to) in [(5, 7), (9, 11), (7, 9), (0, 2), (1, 3), (20, 20)] {
            progress.add(from, to);
        }
        assert_eq!(progress.done, BTreeMap::from([(0, 3), (5, 11)]));
        let covered: Vec<_> = (0..12).filter(|offset| progress.covers(*offset)).collect();
        assert_eq!(covered, [0, 1, 2, 5, 6, 7, 8, 9, 10]);
    }
}
