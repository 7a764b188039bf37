//! B18g: fencing of groups: once a generation is on record, because a member was told in it what to own or had a commit
//! accepted in it, no commit is accepted that states an older one and is asked for after that.
//!
//! That a member has entered a generation is not enough: until its assignment is on record a coordinator may take it to
//! its grave, and the next one goes on with the generation before.
//!
//! Nor is one accepted of whoever went by a `group.instance.id` that another has taken since (KIP-345), once that one was told
//! what to own: the coordinator knows a name's holder by the last JoinGroup under it.
//!
//! Where members have epochs of their own (KIP-848) it is partition by partition: once one was given to a member in an epoch,
//! nobody commits it in an older one.

use std::collections::{BTreeMap, BTreeSet};

use super::members::where_kept;
use super::{Findings, Invariant, Kinds, Row, Tell, View, no_run};
use crate::history::{Call, Event, GroupEvent, GroupStep, Kind, Outcome, TpId};
use crate::invariant::ledger::{Open, time};

pub(super) const ROW: Row = Row {
    id: "B18g",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "no commit of a generation that has a successor is accepted, nor of a member whose name another has taken",
    white_box: false,
    wants: Kinds::GROUP.and(Kinds::COMMIT).and(Kinds::RETURN).and(Kinds::QUIT),
    applies: where_kept,
    must: no_run,
    make: || Box::new(Fencing::default()),
};

/// The newest generation on record, as far as is known.
#[derive(Clone, Copy)]
struct Fence {
    generation: i32,
    /// Who has shown that it is, and when.
    client: u32,
    at: u64,
}

/// A commit that must not be accepted.
struct Late {
    client: u32,
    incarnation: u16,
    fence: Fence,
    /// Whether it is for its member's name.
    by_name: bool,
}

/// Who has entered a generation under a name, and when.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Claim {
    client: u32,
    incarnation: u16,
    group: u32,
    instance: u32,
    at: u64,
}

#[derive(Default)]
struct Fencing {
    judged: u64,
    /// By group; where members have epochs of their own, by partition.
    fences: BTreeMap<(u32, Option<TpId>), Fence>,
    /// Groups whose members have epochs of their own.
    parted: BTreeSet<u32>,
    /// By client: the last time that it entered under a name.
    claims: BTreeMap<u32, Claim>,
    /// By group and name: whose claim is on record, and who was told so when.
    holders: BTreeMap<(u32, u32), (Claim, Fence)>,
    /// By operation.
    late: BTreeMap<u64, Late>,
}

impl Fencing {
    /// What fences the commits of a partition.
    fn of(&self, group: u32, tp: TpId) -> (u32, Option<TpId>) {
        (group, Some(tp).filter(|_| self.parted.contains(&group)))
    }

    fn raise(&mut self, of: (u32, Option<TpId>), fence: Fence) {
        let newest = self.fences.entry(of).or_insert(fence);
        if newest.generation < fence.generation {
            *newest = fence;
        }
    }

    fn calls(&mut self, op: u64, (client, incarnation): (u32, u16), of: (u32, Option<TpId>), generation: i32) {
        let fence = self.fences.get(&of).filter(|fence| (0..fence.generation).contains(&generation));
        let taken = self.taken(client, incarnation);
        let by_name = fence.is_none();
        if let Some(fence) = fence.copied().or(taken) {
            self.late.insert(op, Late { client, incarnation, fence, by_name });
        }
    }

    /// Who has taken a member's name, if somebody has.
    fn taken(&self, client: u32, incarnation: u16) -> Option<Fence> {
        let own = self.claims.get(&client).filter(|claim| claim.incarnation == incarnation)?;
        let (holder, fence) = self.holders.get(&(own.group, own.instance))?;
        (own.at < holder.at && own.client != holder.client).then_some(*fence)
    }

    /// A member was told what to own: whoever went by its name before does so no more.
    fn holds(&mut self, fence: Fence) {
        let Some(claim) = self.claims.get(&fence.client).copied() else { return };
        let holder = self.holders.entry((claim.group, claim.instance)).or_insert((claim, fence));
        if holder.0.at < claim.at {
            *holder = (claim, fence);
        }
    }

    fn accepted(&mut self, at: u64, open: &Open, late: Option<Late>, view: &View<'_>, out: &mut Findings) {
        let Call::Commit { group, tp, offset, generation } = open.call else { return };
        self.judged += 1;
        self.raise(self.of(group, tp), Fence { generation, client: open.client, at });
        let Some(Late { fence, by_name, .. }) = late else { return };
        out.violation(at, Some(tp), 1, || {
            let (client, newer, name) = (open.client, fence.generation, view.ledger.name(tp));
            let what =
                format!("client {client} commits {offset} of {name} in generation {generation} of group {group}");
            let other = fence.client;
            let why = match by_name {
                true => format!("by a name that client {other} had taken"),
                false => format!("which generation {newer} had fenced"),
            };
            Tell::new(format!("{what}, {why}, and that is accepted"))
                .then(format!("{}: client {other} shows that generation {newer} is on record", time(fence.at)))
                .and(view.ledger.window(fence.at, at))
                .then(format!("{}: the commit is asked for", time(open.called)))
                .then(format!("{}: it is accepted", time(at)))
        });
    }
}

impl Invariant for Fencing {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        let at = event.at;
        match event.kind {
            Kind::Group(GroupEvent {
                client, incarnation, group, what: GroupStep::Entered { instance, .. }, ..
            }) => {
                let claim = instance.map(|instance| (client, Claim { client, incarnation, group, instance, at }));
                self.claims.extend(claim);
            }
            Kind::Group(step) if step.what == GroupStep::Synced => {
                let fence = Fence { generation: step.generation, client: step.client, at };
                self.raise((step.group, None), fence);
                self.holds(fence);
            }
            Kind::Group(step) if step.what == GroupStep::Told => drop(self.parted.insert(step.group)),
            Kind::Group(GroupEvent { client, group, generation, what: GroupStep::Assigned { tp, .. }, .. })
                if self.parted.contains(&group) =>
            {
                self.raise((group, Some(tp)), Fence { generation, client, at });
            }
            Kind::Call { op, client, incarnation, call: Call::Commit { group, tp, generation, .. } } => {
                self.calls(op, (client, incarnation), self.of(group, tp), generation);
            }
            Kind::Return { op, outcome, .. } => {
                let late = self.late.remove(&op);
                if let Some(open) = view.ledger.current().ended.filter(|_| outcome == Outcome::Ok) {
                    self.accepted(at, &open, late, view, out);
                }
            }
            Kind::Quit { client, incarnation } => {
                self.late.retain(|_, late| late.client != client || late.incarnation > incarnation);
            }
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
    use crate::history::{Call, GroupStep, Outcome, Reply};

    #[test]
    fn what_was_asked_for_before_may_be_accepted_after() {
        let mut tale = Tale::new(grouped());
        let op = tale.joins(1, 1).call(1, Call::Commit { group: 0, tp: TP, offset: 5, generation: 1 });
        tale.joins(2, 2).returns(op, Outcome::Ok, Reply::None).commits(2, 2, 7);
        tale.holds("B18g");
        // Not on record yet: the next coordinator may know nothing of it.
        tale.step(1, 3, GroupStep::Entered { leads: true, instance: None }).commits(2, 2, 8).commits(9, -1, 8);
        tale.holds("B18g");
    }

    #[test]
    fn a_commit_of_an_older_generation_is_accepted() {
        let mut tale = Tale::new(grouped());
        tale.joins(1, 1).commits(1, 1, 5).joins(2, 2).commits(1, 1, 6);
        tale.breaks("B18g", 1);
        let mut tale = Tale::new(grouped());
        tale.commits(2, 2, 5).commits(1, 1, 6);
        tale.breaks("B18g", 1);
    }

    #[test]
    fn a_commit_by_a_name_that_another_has_taken_is_accepted() {
        for (names, broken) in [([7, 7], 1), ([7, 8], 0)] {
            let mut tale = Tale::new(grouped());
            for (client, name) in [1, 2].into_iter().zip(names) {
                tale.step(client, 1, GroupStep::Entered { leads: false, instance: Some(name) });
                tale.commits(1, 1, 5).step(client, 1, GroupStep::Synced);
            }
            tale.holds("B18g");
            // It may hear late of what it was told before.
            tale.step(1, 1, GroupStep::Synced).commits(2, 1, 6);
            tale.holds("B18g");
            tale.commits(1, 1, 7);
            match broken {
                0 => tale.holds("B18g"),
                _ => tale.breaks("B18g", broken),
            }
            // It comes again, and takes the name back.
            tale.step(1, 1, GroupStep::Entered { leads: false, instance: Some(names[0]) });
            tale.step(1, 1, GroupStep::Synced).commits(1, 1, 8);
            assert_eq!(tale.check("B18g").of("B18g").map(|row| row.violations), Some(broken));
        }
    }

    #[test]
    fn members_with_epochs_of_their_own_commit_what_is_theirs() {
        let mut tale = Tale::new(grouped());
        tale.step(1, 1, GroupStep::Told).step(2, 2, GroupStep::Told);
        tale.assigned(1, 1, 0).commits(1, 1, 5);
        tale.holds("B18g");
        tale.step(1, 1, GroupStep::Revoked { tp: TP }).assigned(2, 2, 5).commits(1, 1, 6);
        tale.breaks("B18g", 1);
    }

    #[test]
    fn a_refused_one_breaks_nothing() {
        let mut tale = Tale::new(grouped());
        let op = tale.joins(2, 2).call(1, Call::Commit { group: 0, tp: TP, offset: 6, generation: 1 });
        tale.returns(op, Outcome::Fail, Reply::None);
        assert!(!tale.check("B18g").violates("B18g"));
    }
}
