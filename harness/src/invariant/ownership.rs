//! B19: of the members of one generation at most one holds a partition; and no member is given records of a partition that
//! it does not hold, by its own account.
//!
//! One that was left behind in an older generation may hold what is another's by now: it cannot know. It must when it is
//! told, in a newer generation, what to own. Two that go by one `group.instance.id` are one member to the coordinator.
//!
//! Where the broker shares out (KIP-848) members need not be in one epoch, and still no two of them hold a partition: one of
//! two that do must have been thrown out. If both go on as members, each by a heartbeat that was surely sent after that and
//! was accepted, neither was. What is accepted says nothing while two nodes take themselves for the coordinator: one that is cut
//! off from the others, and cannot know that it has a successor, goes on accepting, in Kafka as well.

use crate::history::{Delivery, Event, GroupStep, Kind, TpId};

use super::coordinators::Coordinators;
use super::members::{Member, Members, has_groups, where_kept};
use super::{Findings, Invariant, Kinds, Row, Tell, View};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "B19",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "a partition is held by one member of a generation, and read by whoever holds it",
    white_box: false,
    wants: Members::KINDS.and(Kinds::DELIVER).and(Coordinators::KINDS),
    applies: where_kept,
    must: has_groups,
    make: || Box::new(Ownership::default()),
};

#[derive(Default)]
struct Ownership {
    judged: u64,
    members: Members,
    coordinators: Coordinators,
    doubts: Vec<Doubt>,
}

/// Two clients that held a partition at once, each of which may have been thrown out by then.
struct Doubt {
    at: u64,
    tp: TpId,
    /// Each with its life, and how many of its heartbeats were accepted before.
    holders: [(u32, u16, u64); 2],
    lines: [String; 2],
}

/// So many heartbeats are accepted afterwards, of which the first may have been under way, and the last was not.
const SURELY_AFTER: u64 = 2;

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

    /// `client` has come to hold `tp`: if another does, in whichever epoch, one of them is a member no more.
    fn doubt(&mut self, at: u64, client: u32, tp: TpId, view: &View<'_>) {
        let Some(own) = self.members.get(client).filter(|member| member.told > 0) else { return };
        let twins = |other: &Member| own.instance.is_some() && own.instance == other.instance;
        let others = self.members.of(own.group).filter(|(other, _)| *other != client);
        for (other, with) in others.filter(|(_, with)| with.held.contains_key(&tp) && !twins(with)) {
            let lines = [with.tell(other, view.ledger), own.tell(client, view.ledger)];
            self.doubts.push(Doubt {
                at,
                tp,
                holders: [(other, with.incarnation, with.told), (client, own.incarnation, own.told)],
                lines,
            });
        }
    }

    /// Whoever has lost something, or is gone, was thrown out, or went.
    fn acquit(&mut self, client: u32) {
        self.doubts.retain(|doubt| doubt.holders.iter().all(|(holder, ..)| *holder != client));
    }

    /// One more heartbeat was accepted.
    fn convict(&mut self, at: u64, view: &View<'_>, out: &mut Findings) {
        let members = &self.members;
        let stays = |(client, life, told): &(u32, u16, u64)| {
            let lives = members.get(*client).filter(|member| member.lives && member.incarnation == *life);
            lives.is_some_and(|member| member.told >= told + SURELY_AFTER)
        };
        let both = |doubt: &mut Doubt| doubt.holders.iter().all(stays);
        for Doubt { at: since, tp, holders: [(first, ..), (second, ..)], lines } in self.doubts.extract_if(.., both) {
            out.violation(at, Some(tp), 1, || {
                let name = view.ledger.name(tp);
                Tell::new(format!("clients {first} and {second}, both of them members, held {name} at once"))
                    .and(lines)
                    .and(view.ledger.window(since, at))
                    .then(format!("{}: client {second} holds {name} as well", time(since)))
                    .then(format!("{}: heartbeats of both, sent after that, have been accepted", time(at)))
            });
        }
    }

    /// What was accepted so far proves nothing.
    fn suspend(&mut self) {
        for (client, _, told) in self.doubts.iter_mut().flat_map(|doubt| &mut doubt.holders) {
            *told = self.members.get(*client).map_or(*told, |member| member.told);
        }
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
        self.coordinators.see(event);
        match event.kind {
            Kind::Deliver(d) if !d.last => self.delivered(event.at, &d, view, out),
            Kind::Quit { client, .. } => self.acquit(client),
            Kind::Group(step) => match step.what {
                GroupStep::Assigned { tp, .. } => {
                    self.judged += 1;
                    self.judge(event.at, step.client, tp, view, out);
                    self.doubt(event.at, step.client, tp, view);
                }
                GroupStep::Lost { .. } | GroupStep::Out | GroupStep::Left => self.acquit(step.client),
                GroupStep::Told if self.coordinators.deposed(event.at, view) > 0 => self.suspend(),
                GroupStep::Told => self.convict(event.at, view, out),
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
    use broker::fact::Fact;
    use broker::group::OFFSETS_TOPIC;
    use broker::ids::{NodeId, TopicPartition};

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

    /// Client 1 holds the partition in epoch 1, and the broker gives it to client 2 in epoch 2.
    fn given_twice() -> Tale {
        let mut tale = Tale::new(grouped());
        for (client, epoch) in [(1, 1), (2, 2)] {
            tale.step(client, epoch, GroupStep::Entered { leads: false, instance: None });
            tale.step(client, epoch, GroupStep::Told).assigned(client, epoch, 0);
        }
        tale
    }

    #[test]
    fn whoever_was_thrown_out_holds_on_until_it_hears_of_it() {
        let mut tale = given_twice();
        tale.step(1, 1, GroupStep::Told).step(2, 2, GroupStep::Told).step(2, 2, GroupStep::Told);
        tale.step(1, 1, GroupStep::Lost { tp: TP });
        tale.step(1, 3, GroupStep::Told).step(1, 3, GroupStep::Told).step(2, 3, GroupStep::Told);
        tale.sent(1).poll(2, 0, &[(0, 0)]);
        tale.holds("B19");
    }

    #[test]
    fn whoever_was_thrown_out_may_have_given_it_up_when_it_hears_of_it() {
        for out in [true, false] {
            let mut tale = given_twice();
            tale.step(1, 1, GroupStep::Revoked { tp: TP });
            if out {
                tale.step(1, -1, GroupStep::Out);
            }
            // Else it goes on from epoch to epoch as a member does that gives up its last.
            tale.step(1, 3, GroupStep::Entered { leads: false, instance: None });
            for _ in 0..3 {
                tale.step(1, 3, GroupStep::Told).step(2, 3, GroupStep::Told);
            }
            assert_eq!(!tale.check("B19").violates("B19"), out);
        }
    }

    #[test]
    fn two_hold_it_in_different_epochs_and_both_are_members() {
        for gives_up in [false, true] {
            let mut tale = given_twice();
            if gives_up {
                tale.step(1, 1, GroupStep::Revoked { tp: TP });
            }
            for _ in 0..2 {
                tale.step(1, 1, GroupStep::Told).step(2, 2, GroupStep::Told);
            }
            tale.breaks("B19", 1);
        }
    }

    #[test]
    fn what_a_coordinator_accepts_that_has_a_successor_is_no_proof() {
        let tp = || TopicPartition::new(OFFSETS_TOPIC, 3);
        let leads = |epoch| Fact::Leads { tp: tp(), epoch, partition_epoch: epoch, end: 0, in_sync: Vec::new() };
        let beat = |tale: &mut Tale| {
            for _ in 0..3 {
                tale.step(1, 1, GroupStep::Told).step(2, 2, GroupStep::Told);
            }
        };
        let mut tale = given_twice();
        tale.fact_of(0, leads(0)).fact_of(1, leads(1));
        beat(&mut tale);
        tale.holds("B19");
        tale.fact_of(0, Fact::Follows { tp: tp(), epoch: 1, leader: Some(NodeId(1)) });
        beat(&mut tale);
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
