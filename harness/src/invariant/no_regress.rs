//! B11: what a group has committed of a partition does not go back, but where its member went back by a seek or a reset;
//! and no member commits beyond what it has processed itself.
//!
//! A look-up that legally finds less than was accepted (B17 judges that: an older commit in doubt has landed late) is where
//! the group is from then on.

use std::collections::BTreeMap;

use super::members::{Hold, Member, Members, where_kept};
use super::registers::{Accepted, Registers};
use super::{Findings, Invariant, Kinds, Row, Tell, View, no_run};
use crate::history::{Call, Event, GroupEvent, GroupStep, Kind, Outcome, TpId};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "B11",
    jepsen: None,
    promise: crate::verdict::Promise::Safety,
    about: "committed offsets do not go back, nor beyond what the member has processed",
    white_box: false,
    wants: Members::KINDS.and(Registers::KINDS).and(Kinds::RETURN),
    applies: where_kept,
    must: no_run,
    make: || Box::new(Commits::default()),
};

/// A commit under way, and what was known when it was asked for.
#[derive(Clone, Copy)]
struct Asked {
    client: u32,
    incarnation: u16,
    at: u64,
    /// What was accepted by then.
    base: Option<Accepted>,
    /// Whether a member asks, and what it holds of the partition.
    member: bool,
    hold: Option<Hold>,
}

#[derive(Default)]
struct Commits {
    judged: u64,
    members: Members,
    registers: Registers,
    /// Where each group surely is.
    bases: BTreeMap<(u32, TpId), Accepted>,
    asked: BTreeMap<u64, Asked>,
}

impl Commits {
    fn calls(&mut self, at: u64, op: u64, client: u32, incarnation: u16, call: Call) {
        let Call::Commit { group, tp, .. } = call else { return };
        let base = self.bases.get(&(group, tp)).copied();
        let member = self.members.get(client).filter(|member| member.incarnation == incarnation);
        let hold = member.and_then(|member| member.held.get(&tp)).copied();
        self.asked.insert(op, Asked { client, incarnation, at, base, member: member.is_some(), hold });
    }

    fn accepted(&mut self, at: u64, op: u64, call: Call, view: &View<'_>, out: &mut Findings) {
        let Call::Commit { group, tp, offset, generation } = call else { return };
        let Some(asked) = self.asked.remove(&op).filter(|_| self.registers.knows(tp)) else { return };
        self.judged += 1;
        let Asked { client, incarnation, .. } = asked;
        let now = Accepted { offset, client, incarnation, generation, at };
        if !view.rules.contract.at_most_once && generation >= 0 {
            self.exceeds(tp, &now, &asked, view, out);
        }
        let is_back = asked.base.filter(|base| base.offset > offset && base.generation <= generation);
        let went = asked.hold.and_then(|hold| hold.reset).is_some_and(|reset| reset <= offset);
        if let Some(base) = is_back.filter(|_| !went) {
            self.goes_back((group, tp), &base, &now, view, out);
        }
        let base = self.bases.entry((group, tp)).or_insert(now);
        if is_back.is_some() || base.offset <= offset {
            *base = now;
        }
    }

    fn exceeds(&self, tp: TpId, now: &Accepted, asked: &Asked, view: &View<'_>, out: &mut Findings) {
        if !asked.member || asked.hold.is_some_and(|hold| now.offset <= hold.processed) {
            return;
        }
        out.violation(now.at, Some(tp), 1, || {
            let (client, offset, name) = (now.client, now.offset, view.ledger.name(tp));
            let processed = match asked.hold {
                Some(hold) => format!("has processed it to {} only", hold.processed),
                None => "does not hold it".into(),
            };
            Tell::new(format!("client {client} commits {offset} of {name}, and {processed}"))
                .and(self.members.get(client).map(|member: &Member| member.tell(client, view.ledger)))
                .and(view.ledger.window(0, now.at))
                .then(format!("{}: it asks, in generation {}", time(asked.at), now.generation))
                .then(format!("{}: accepted", time(now.at)))
        });
    }

    fn goes_back(&self, of: (u32, TpId), base: &Accepted, now: &Accepted, view: &View<'_>, out: &mut Findings) {
        let (group, tp) = of;
        let tell = || {
            let name = view.ledger.name(tp);
            let line = |it: &Accepted| {
                let (client, offset, generation) = (it.client, it.offset, it.generation);
                format!("{}: client {client}'s commit of {offset} in generation {generation} is accepted", time(it.at))
            };
            Tell::new(format!("group {group} goes back in {name} from {} to {}", base.offset, now.offset))
                .then(line(base))
                .and(view.ledger.window(base.at, now.at))
                .then(line(now))
                .and(self.members.tell(group, view.ledger))
        };
        let same = |a: &Accepted, b: &Accepted| {
            (a.client, a.incarnation, a.generation) == (b.client, b.incarnation, b.generation)
        };
        match same(base, now) {
            // One that does not wait for its commits may see them change places.
            true => out.suspicious(now.at, Some(tp), tell),
            false => out.violation(now.at, Some(tp), 1, tell),
        }
    }

    /// A look-up ends; what was accepted before it began, and it legally does not find, has been undone.
    fn looked_up(&mut self, event: &Event, view: &View<'_>) {
        let began = view.ledger.current().ended.map(|open| open.called);
        let Some((found, began)) = self.registers.see(event, view).zip(began) else { return };
        let legal = found.legal.is_none_or(|legal| legal.contains(&found.found));
        if let Some(base) = self.bases.get_mut(&(found.group, found.tp)).filter(|base| legal && base.at <= began) {
            base.offset = base.offset.min(found.found);
        }
    }

    fn quits(&mut self, gone: u32, life: u16) {
        self.asked.retain(|_, asked| asked.client != gone || asked.incarnation > life);
    }
}

impl Invariant for Commits {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        self.members.see(event);
        match event.kind {
            Kind::Call { op, client, incarnation, call } => self.calls(event.at, op, client, incarnation, call),
            Kind::Return { op, outcome, .. } => match view.ledger.current().ended {
                Some(open) if outcome == Outcome::Ok => self.accepted(event.at, op, open.call, view, out),
                _ => drop(self.asked.remove(&op)),
            },
            Kind::Quit { client, incarnation } => self.quits(client, incarnation),
            Kind::Group(GroupEvent { group, what: GroupStep::Rewound { tp, position }, .. }) => {
                self.bases.get_mut(&(group, tp)).into_iter().for_each(|base| base.offset = position);
            }
            _ => {}
        }
        self.looked_up(event, view);
    }

    fn evidence(&self) -> u64 {
        self.judged
    }
}

#[cfg(test)]
mod tests {
    use super::super::tale::{TP, Tale, grouped};
    use crate::contract::Contract;
    use crate::history::{Call, GroupStep, Outcome, Reply};
    use crate::verdict::Severity;

    /// Client 1 has processed 9 records in generation 1.
    fn tale() -> Tale {
        let mut tale = Tale::new(grouped());
        tale.joins(1, 1).assigned(1, 1, 0).processed(1, 1, 9);
        tale
    }

    #[test]
    fn commits_that_follow_what_was_processed() {
        let mut tale = tale();
        tale.commits(1, 1, 5).commits(1, 1, 9).step(1, 1, GroupStep::Revoked { tp: TP });
        tale.looks_up(2, 9).joins(2, 2).assigned(2, 2, 9).commits(2, 2, 9).processed(2, 2, 12).commits(2, 2, 12);
        tale.holds("B11");
    }

    #[test]
    fn a_member_commits_what_it_has_not_processed_or_does_not_hold() {
        let mut tale = tale();
        tale.commits(1, 1, 10);
        tale.breaks("B11", 1);
        tale.rules.contract.at_most_once = true;
        tale.holds("B11");
        let mut tale = self::tale();
        tale.step(1, -1, GroupStep::Lost { tp: TP }).joins(1, 2).commits(1, 2, 9);
        tale.breaks("B11", 1);
    }

    #[test]
    fn another_member_or_another_generation_goes_back() {
        for (client, generation) in [(2, 1), (2, 2), (1, 2)] {
            let mut tale = tale();
            tale.commits(1, 1, 9).joins(client, generation).assigned(client, generation, 0);
            tale.processed(client, generation, 5).commits(client, generation, 5);
            tale.breaks("B11", 1);
        }
    }

    #[test]
    fn one_life_in_one_generation_goes_back_which_is_worth_showing() {
        let mut tale = tale();
        tale.commits(1, 1, 9).commits(1, 1, 5);
        let checked = tale.check("B11");
        let severities: Vec<_> = checked.findings.iter().map(|f| f.severity).collect();
        assert_eq!(severities, [Severity::Suspicious]);
    }

    #[test]
    fn whoever_seeks_goes_back_and_nobody_else() {
        let mut tale = tale();
        tale.commits(1, 1, 9).joins(1, 2).assign(1, 3).processed(1, 2, 5).commits(1, 2, 5);
        tale.holds("B11");
        let mut tale = self::tale();
        tale.commits(1, 1, 9).joins(2, 2).assigned(2, 2, 3).processed(2, 2, 5).commits(2, 2, 5);
        tale.breaks("B11", 1);
    }

    #[test]
    fn a_commit_asked_for_before_may_be_lower() {
        let mut tale = tale();
        let op = tale.call(1, Call::Commit { group: 0, tp: TP, offset: 5, generation: 1 });
        tale.joins(2, 2).assigned(2, 2, 9).commits(2, 2, 9).returns(op, Outcome::Ok, Reply::None);
        tale.holds("B11");
    }

    #[test]
    fn what_landed_late_is_where_the_group_goes_on() {
        let mut tale = tale();
        let op = tale.call(1, Call::Commit { group: 0, tp: TP, offset: 5, generation: 1 });
        tale.returns(op, Outcome::Info, Reply::None).commits(1, 1, 9).looks_up(2, 5);
        tale.joins(2, 2).assigned(2, 2, 5).processed(2, 2, 7).commits(2, 2, 7);
        tale.holds("B11");
    }

    #[test]
    fn nothing_is_promised_where_what_is_committed_may_be_lost() {
        let lossy = Contract { groups: 1, ..super::super::tale::lazy() };
        assert_eq!((super::ROW.applies)(&lossy), super::super::Applies::No);
    }
}
