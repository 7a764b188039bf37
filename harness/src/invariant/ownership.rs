//! B19: of the members of one generation at most one holds a partition; and no member is given records of a partition that
//! it does not hold, by its own account.
//!
//! One that was left behind in an older generation may hold what is another's by now: it cannot know. It must when it is
//! told, in a newer generation, what to own. Two that go by one `group.instance.id` are one member to the coordinator.

use crate::history::{Delivery, Event, GroupStep, Kind, TpId};

use super::members::{Member, Members, has_groups, where_kept};
use super::{Findings, Invariant, Kinds, Row, Tell, View};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "B19",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "a partition is held by one member of a generation, and read by whoever holds it",
    white_box: false,
    wants: Members::KINDS.and(Kinds::DELIVER),
    applies: where_kept,
    must: has_groups,
    make: || Box::new(Ownership::default()),
};

#[derive(Default)]
struct Ownership {
    judged: u64,
    members: Members,
}

impl Ownership {
    /// `client` may have come to hold `tp` together with another.
    fn judge(&self, at: u64, client: u32, tp: TpId, view: &View<'_>, out: &mut Findings) {
        let Some(own) = self.members.get(client) else { return };
        let twins = |other: &Member| own.instance.is_some() && own.instance == other.instance;
        let holds = |other: &Member| other.synced == own.synced && other.held.contains_key(&tp) && !twins(other);
        let mut others = self.members.of(own.group).filter(|(other, _)| *other != client);
        let Some((other, with)) = others.find(|(_, other)| holds(other)) else { return };
        out.violation(at, Some(tp), 1, || {
            let (group, generation, name) = (own.group, own.synced, view.ledger.name(tp));
            let what = format!("clients {other} and {client} both hold {name} in generation {generation}");
            Tell::new(format!("{what} of group {group}"))
                .then(with.tell(other, view.ledger))
                .then(own.tell(client, view.ledger))
                .and(view.ledger.window(0, at))
                .then(format!("{}: both hold {name}", time(at)))
        });
    }

    fn delivered(&self, at: u64, d: &Delivery, view: &View<'_>, out: &mut Findings) {
        let Some(member) = self.members.get(d.client).filter(|member| !member.held.contains_key(&d.tp)) else { return };
        out.violation(at, Some(d.tp), 1, || {
            let (client, offset, name) = (d.client, d.offset, view.ledger.name(d.tp));
            Tell::new(format!("client {client} is given offset {offset} of {name}, which it does not hold"))
                .then(member.tell(client, view.ledger))
                .and(view.ledger.window(0, at))
                .then(format!("{}: offset {offset} is handed to it", time(at)))
        });
    }
}

impl Invariant for Ownership {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        self.members.see(event);
        match event.kind {
            Kind::Deliver(d) if !d.last => self.delivered(event.at, &d, view, out),
            Kind::Group(step) => match step.what {
                GroupStep::Assigned { tp, .. } => {
                    self.judged += 1;
                    self.judge(event.at, step.client, tp, view, out);
                }
                GroupStep::Synced => {
                    let held = self.members.get(step.client).into_iter().flat_map(|member| member.held.keys());
                    held.for_each(|tp| self.judge(event.at, step.client, *tp, view, out));
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{TP, Tale, grouped};
    use crate::history::{Call, GroupEvent, GroupStep, Kind};

    /// Client 1 holds the partition in generation 1.
    fn tale() -> Tale {
        let mut tale = Tale::new(grouped());
        tale.sent(2).joins(1, 1).joins(2, 1).assigned(1, 1, 0).poll(1, 0, &[(0, 0)]);
        tale
    }

    #[test]
    fn handed_over_by_whoever_held_it() {
        let gone = [
            Kind::Quit { client: 1, incarnation: 0 },
            Kind::Call { op: 99, client: 1, incarnation: 1, call: Call::Admin { api: 1 } },
        ];
        let step = |what| Kind::Group(GroupEvent { client: 1, incarnation: 0, group: 0, generation: 1, what });
        let ways = [GroupStep::Revoked { tp: TP }, GroupStep::Lost { tp: TP }, GroupStep::Left].map(step);
        for way in ways.into_iter().chain(gone) {
            let mut tale = tale();
            tale.note(way).assigned(2, 1, 0).poll(2, 0, &[(0, 0), (1, 1)]);
            tale.holds("B19");
        }
    }

    #[test]
    fn one_left_behind_holds_on_until_it_is_told() {
        let mut tale = tale();
        tale.joins(2, 2).assigned(2, 2, 0).poll(1, 1, &[(1, 1)]).poll(2, 0, &[(0, 0)]);
        tale.step(1, 2, GroupStep::Entered { leads: false, instance: None });
        tale.holds("B19");
        tale.step(1, 2, GroupStep::Synced);
        tale.breaks("B19", 1);
    }

    #[test]
    fn two_members_of_one_generation_hold_it() {
        let mut tale = tale();
        tale.assigned(2, 1, 0);
        tale.breaks("B19", 1);
    }

    #[test]
    fn two_by_one_name_are_one_to_the_coordinator() {
        for (names, broken) in [([Some(7), Some(7)], false), ([Some(7), Some(8)], true)] {
            let mut tale = Tale::new(grouped());
            for (client, instance) in [1, 2].into_iter().zip(names) {
                tale.step(client, 1, GroupStep::Entered { leads: false, instance });
                tale.step(client, 1, GroupStep::Synced).assigned(client, 1, 0);
            }
            assert_eq!(tale.check("B19").violates("B19"), broken);
        }
    }

    #[test]
    fn a_record_is_handed_to_whoever_does_not_hold_it() {
        let mut tale = tale();
        tale.step(1, 1, GroupStep::Revoked { tp: TP }).poll(1, 1, &[(1, 1)]);
        tale.breaks("B19", 1);
    }
}
