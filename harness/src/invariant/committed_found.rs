//! B17: who asks for a group's offset after a commit was accepted finds that one or a later one, also at the next
//! coordinator; and a member begins where its own look-up says the group left off.

use std::collections::BTreeMap;

use broker::ids::Offset;

use super::members::{has_groups, where_kept};
use super::registers::{LookedUp, Registers};
use super::{Findings, Invariant, Row, Tell, View};
use crate::history::{Event, GroupEvent, GroupStep, Kind, TpId};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "B17",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "a group's offset, asked for after a commit, is that one or a later one; members begin there",
    white_box: false,
    wants: Registers::KINDS,
    applies: where_kept,
    must: has_groups,
    make: || Box::new(Found::default()),
};

#[derive(Default)]
struct Found {
    judged: u64,
    registers: Registers,
    /// By client and partition: what it has found since it was assigned that partition last, and when.
    found: BTreeMap<(u32, TpId), (Offset, u64)>,
}

impl Found {
    fn looked_up(&mut self, at: u64, looked_up: &LookedUp, view: &View<'_>, out: &mut Findings) {
        let LookedUp { group, tp, client, found, legal, owed } = looked_up;
        self.found.insert((*client, *tp), (*found, at));
        let Some(legal) = legal else { return };
        self.judged += 1;
        if legal.contains(found) {
            return;
        }
        out.violation(at, Some(*tp), 1, || {
            let name = view.ledger.name(*tp);
            let what = if *found < 0 { "no offset".into() } else { format!("offset {found}") };
            let owed = owed.map(|last| {
                let (offset, generation, who, when) = (last.offset, last.generation, last.client, time(last.at));
                format!("{when}: client {who} commits {offset} in generation {generation}, and that is accepted")
            });
            let might: Vec<_> = legal.iter().map(ToString::to_string).collect();
            Tell::new(format!("client {client} is told {what} of group {group} in {name}, which it cannot be any more"))
                .and(owed.clone())
                .and(view.ledger.window(0, at))
                .then(format!("{}: {what} is found; it could be {}", time(at), might.join(" or ")))
        });
    }

    /// A member begins at `position`.
    fn begins(&mut self, at: u64, who: GroupEvent, tp: TpId, position: Offset, view: &View<'_>, out: &mut Findings) {
        let found = self.found.remove(&(who.client, tp));
        if !self.registers.knows(tp) || found.is_some_and(|(found, _)| found == position || found < 0) {
            return;
        }
        out.violation(at, Some(tp), 1, || {
            let (client, name) = (who.client, view.ledger.name(tp));
            let told = match found {
                Some((found, when)) => format!("{}: it is told that the group is at offset {found}", time(when)),
                None => "it was never told where the group is".into(),
            };
            Tell::new(format!("client {client} begins {name} at {position}, which is not where its group left off"))
                .then(told)
                .and(view.ledger.window(0, at))
                .then(format!("{}: it begins at {position}, in generation {}", time(at), who.generation))
        });
    }
}

impl Invariant for Found {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        if let Some(looked_up) = self.registers.see(event, view) {
            self.looked_up(event.at, &looked_up, view, out);
        }
        if let Kind::Group(who) = event.kind
            && let GroupStep::Assigned { tp, position } = who.what
        {
            self.begins(event.at, who, tp, position, view, out);
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
    use crate::history::{Call, Outcome, Reply};

    #[test]
    fn what_was_committed_is_found_and_begun_at() {
        let mut tale = Tale::new(grouped());
        tale.looks_up(1, -1).joins(1, 1).assigned(1, 1, 0).commits(1, 1, 5).looks_up(2, 5).commits(1, 1, 7);
        tale.looks_up(2, 7).joins(2, 2).assigned(2, 2, 7);
        tale.holds("B17");
    }

    #[test]
    fn an_accepted_commit_is_not_found_or_nothing_is() {
        for found in [-1, 5, 6] {
            let mut tale = Tale::new(grouped());
            tale.commits(1, 1, 5).commits(1, 1, 7).looks_up(2, found);
            tale.breaks("B17", 1);
        }
    }

    #[test]
    fn what_is_open_or_in_doubt_may_be_found_or_not_until_its_generation_is_over() {
        let commit = |tale: &mut Tale| tale.call(1, Call::Commit { group: 0, tp: TP, offset: 9, generation: 1 });
        let mut tale = Tale::new(grouped());
        tale.commits(1, 1, 5);
        let op = commit(&mut tale);
        tale.looks_up(2, 9).looks_up(2, 5).returns(op, Outcome::Info, Reply::None);
        tale.looks_up(2, 5).looks_up(2, 9).commits(1, 1, 11).looks_up(2, 11).looks_up(2, 9);
        tale.holds("B17");
        tale.joins(3, 2).looks_up(2, 9).looks_up(2, 11).commits(3, 2, 12).looks_up(2, 12);
        tale.holds("B17");
        tale.looks_up(2, 9);
        tale.breaks("B17", 1);
    }

    #[test]
    fn a_commit_of_two_attempts_may_be_written_twice() {
        for reply in [Reply::Repeated, Reply::None] {
            let mut tale = Tale::new(grouped());
            let op = tale.call(1, Call::Commit { group: 0, tp: TP, offset: 5, generation: 1 });
            tale.returns(op, Outcome::Ok, reply).commits(1, 1, 7).looks_up(2, 5);
            assert_eq!(tale.check("B17").violates("B17"), reply == Reply::None);
        }
    }

    #[test]
    fn what_surely_failed_is_not_found() {
        let mut tale = Tale::new(grouped());
        let op = tale.commits(1, 1, 5).call(1, Call::Commit { group: 0, tp: TP, offset: 9, generation: 1 });
        tale.returns(op, Outcome::Fail, Reply::None).looks_up(2, 9);
        tale.breaks("B17", 1);
    }

    #[test]
    fn a_coordinator_that_has_a_successor_tells_what_it_knew_until_it_hears_of_it() {
        let tp = || TopicPartition::new(OFFSETS_TOPIC, 3);
        let leads = |epoch| Fact::Leads { tp: tp(), epoch, partition_epoch: epoch, end: 0, in_sync: Vec::new() };
        let split = || {
            let mut tale = Tale::new(grouped());
            tale.fact_of(0, leads(0)).commits(1, 1, 3).commits(1, 1, 5).fact_of(1, leads(1));
            tale.commits(1, 2, 7).commits(1, 2, 9).looks_up(2, 5).looks_up(2, 9);
            tale
        };
        let mut tale = split();
        tale.fact_of(0, Fact::Follows { tp: tp(), epoch: 1, leader: Some(NodeId(1)) }).looks_up(2, 9);
        tale.holds("B17");
        tale.looks_up(2, 5);
        tale.breaks("B17", 1);
        // What neither of the two can tell of.
        for found in [3, 7] {
            let mut tale = split();
            tale.looks_up(2, found);
            tale.breaks("B17", 1);
        }
    }

    #[test]
    fn a_look_up_that_was_under_way_may_find_what_was_there_before() {
        let mut tale = Tale::new(grouped());
        let op = tale.commits(1, 1, 5).call(2, Call::FetchOffset { group: 0, tp: TP });
        tale.commits(1, 1, 7).returns(op, Outcome::Ok, Reply::Offset { offset: 5 });
        tale.holds("B17");
    }

    #[test]
    fn another_group_has_another_offset() {
        let mut tale = Tale::new(grouped());
        tale.commits(1, 1, 5);
        let op = tale.call(2, Call::FetchOffset { group: 1, tp: TP });
        tale.returns(op, Outcome::Ok, Reply::Offset { offset: 5 });
        tale.breaks("B17", 1);
    }

    #[test]
    fn a_member_takes_an_error_for_no_offset() {
        let mut tale = Tale::new(grouped());
        tale.commits(1, 1, 5);
        let op = tale.call(2, Call::FetchOffset { group: 0, tp: TP });
        tale.returns(op, Outcome::Fail, Reply::None).joins(2, 2).assigned(2, 2, 0);
        tale.breaks("B17", 1);
        let mut tale = Tale::new(grouped());
        tale.commits(1, 1, 5).looks_up(2, 5).joins(2, 2).assigned(2, 2, 0);
        tale.breaks("B17", 1);
    }

    #[test]
    fn a_deleted_topic_takes_its_offsets_along_some_time() {
        let mut tale = Tale::new(grouped());
        tale.commits(1, 1, 5).fact(Fact::Deleted { tp: super::super::tale::tp() });
        tale.looks_up(2, -1).looks_up(2, 5).joins(2, 2).assigned(2, 2, 0);
        assert!(!tale.check("B17").violates("B17"));
    }
}
