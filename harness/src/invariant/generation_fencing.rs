//! B18g: fencing of groups: once a generation is on record, because a member was told in it what to own or had a commit
//! accepted in it, no commit is accepted that states an older one and is asked for after that.
//!
//! That a member has entered a generation is not enough: until its assignment is on record a coordinator may take it to
//! its grave, and the next one goes on with the generation before.
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
    about: "no commit of a generation that has a successor is accepted",
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
}

#[derive(Default)]
struct Fencing {
    judged: u64,
    /// By group; where members have epochs of their own, by partition.
    fences: BTreeMap<(u32, Option<TpId>), Fence>,
    /// Groups whose members have epochs of their own.
    parted: BTreeSet<u32>,
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
        if let Some(fence) = fence.copied() {
            self.late.insert(op, Late { client, incarnation, fence });
        }
    }

    fn accepted(&mut self, at: u64, open: &Open, late: Option<Late>, view: &View<'_>, out: &mut Findings) {
        let Call::Commit { group, tp, offset, generation } = open.call else { return };
        self.judged += 1;
        self.raise(self.of(group, tp), Fence { generation, client: open.client, at });
        let Some(Late { fence, .. }) = late else { return };
        out.violation(at, Some(tp), 1, || {
            let (client, newer, name) = (open.client, fence.generation, view.ledger.name(tp));
            let what =
                format!("client {client} commits {offset} of {name} in generation {generation} of group {group}");
            let other = fence.client;
            Tell::new(format!("{what}, which generation {newer} had fenced, and that is accepted"))
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
            Kind::Group(step) if step.what == GroupStep::Synced => {
                self.raise((step.group, None), Fence { generation: step.generation, client: step.client, at });
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
