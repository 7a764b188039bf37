//! L4: once everything is healed and no more load comes, every group comes to rest: it has processed all that was
//! acknowledged, and each partition is held by one member, all of one generation.

use std::collections::BTreeMap;

use broker::fact::Fact;
use broker::group::OFFSETS_TOPIC;
use broker::ids::Offset;

use super::members::{Member, Members, has_groups, in_the_end};
use super::{Findings, Invariant, Kinds, Row, Tell, View};
use crate::history::{Event, GroupStep, Kind, Phase, TpId};
use crate::invariant::ledger::time;

pub(super) const ROW: Row = Row {
    id: "L4",
    jepsen: None,
    promise: crate::verdict::Promise::Liveness,
    about: "in the end every group has processed everything, and each partition has one owner",
    white_box: false,
    wants: Members::KINDS.and(Kinds::PHASE).and(Kinds::DELETED),
    applies: in_the_end,
    must: |contract| has_groups(contract) && contract.acks != 0,
    make: || Box::new(CaughtUp::default()),
};

#[derive(Default)]
struct CaughtUp {
    judged: u64,
    members: Members,
    /// How far each group has come at most: processed, or begun there because the group had left off there.
    come: BTreeMap<(u32, TpId), (Offset, u64)>,
}

impl CaughtUp {
    fn comes(&mut self, at: u64, group: u32, tp: TpId, position: Offset) {
        let come = self.come.entry((group, tp)).or_insert((0, at));
        if position > come.0 {
            *come = (position, at);
        }
    }

    fn judge(&mut self, view: &View<'_>, out: &mut Findings) {
        let owed = owed(view);
        for group in 0..view.rules.contract.groups {
            for (tp, (offset, acked)) in &owed {
                self.judged += 1;
                let (come, when) = self.come.get(&(group, *tp)).copied().unwrap_or((0, 0));
                if come <= *offset {
                    let told = format!("{}: it had come to {come}", time(when));
                    let record = format!("{}: offset {offset} is acknowledged", time(*acked));
                    let what = || format!("group {group} has not processed {} to its end", view.ledger.name(*tp));
                    let tell = || self.tell(group, what(), [record, told], view);
                    report(view, *tp, tell, out);
                }
                self.one_owner(group, *tp, view, out);
            }
            self.one_generation(group, view, out);
        }
    }

    fn one_owner(&self, group: u32, tp: TpId, view: &View<'_>, out: &mut Findings) {
        let owners: Vec<u32> = self.members.of(group).filter(|(_, m)| m.held.contains_key(&tp)).map(|m| m.0).collect();
        let name = view.ledger.name(tp);
        let what = match &owners[..] {
            [_] => return,
            [] => format!("nobody in group {group} holds {name} in the end"),
            [first, second, ..] => format!("clients {first} and {second} of group {group} both hold {name} in the end"),
        };
        report(view, tp, || self.tell(group, what, [], view), out);
    }

    fn one_generation(&self, group: u32, view: &View<'_>, out: &mut Findings) {
        let tp = self.members.of(group).flat_map(|(_, member): (u32, &Member)| member.held.keys()).next().copied();
        if let Some(tp) = tp.filter(|_| !self.members.is_of_one_generation(group)) {
            let what = format!("the owners in group {group} are not of one generation in the end");
            report(view, tp, || self.tell(group, what, [], view), out);
        }
    }

    fn tell<const N: usize>(&self, group: u32, what: String, lines: [String; N], view: &View<'_>) -> Tell {
        let began = view.ledger.began(Phase::Heal).unwrap_or(0);
        Tell::new(what)
            .and(lines)
            .and(view.ledger.window(0, view.at))
            .then(format!("{}: everything is cured; {}: the final read begins, and", time(began), time(view.at)))
            .and(self.members.tell(group, view.ledger))
    }
}

/// The highest offset acknowledged of each partition that groups read, as far as it must still be there, and when that was.
fn owed(view: &View<'_>) -> BTreeMap<TpId, (Offset, u64)> {
    let mut owed = BTreeMap::new();
    // Groups do not read what brokers write for themselves.
    let for_groups = |tp| {
        let own = view.ledger.name(tp).rsplit_once('-').is_some_and(|(topic, _)| topic == OFFSETS_TOPIC);
        !own && !view.rules.contract.unread.contains(&tp)
    };
    for stream in view.ledger.streams().iter().filter(|stream| for_groups(stream.tp)) {
        let Some(part) = view.ledger.part(stream.tp) else { continue };
        let acked = stream.sends.iter().filter(|send| send.acked() && send.offset >= 0);
        let kept = acked.filter(|send| !part.took(&view.rules.contract, send.offset, send.called));
        if let Some(last) = kept.max_by_key(|send| send.offset) {
            let high = owed.entry(stream.tp).or_insert((last.offset, last.returned));
            *high = (*high).max((last.offset, last.returned));
        }
    }
    owed
}

/// Where what is committed may be lost, whoever waits for it waits in vain.
fn report(view: &View<'_>, tp: TpId, tell: impl FnOnce() -> Tell, out: &mut Findings) {
    match view.rules.contract.committed_is_kept() {
        true => out.violation(view.at, Some(tp), 1, tell),
        false => out.expected(view.at, Some(tp), 1, tell),
    }
}

impl Invariant for CaughtUp {
    fn see(&mut self, event: &Event, view: &View<'_>, out: &mut Findings) {
        self.members.see(event);
        match event.kind {
            Kind::Group(step) => match step.what {
                GroupStep::Assigned { tp, position } | GroupStep::Processed { tp, position } => {
                    self.comes(event.at, step.group, tp, position);
                }
                GroupStep::Rewound { tp, position } => {
                    self.come.insert((step.group, tp), (position, event.at));
                }
                _ => {}
            },
            Kind::Fact { tp: Some(tp), fact: Fact::Deleted { .. }, .. } => self.come.retain(|(_, of), _| *of != tp),
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
    use super::super::tale::{TP, Tale, grouped};
    use crate::history::{GroupStep, Phase};

    /// Ten records, which client 1 has processed up to `upto`.
    fn tale(upto: i64) -> Tale {
        let mut tale = Tale::new(grouped());
        tale.sent(10).joins(1, 1).joins(2, 1).assigned(1, 1, 0).phase(Phase::Heal).processed(1, 1, upto);
        tale
    }

    #[test]
    fn everything_is_processed_and_held_by_one() {
        let mut tale = tale(10);
        tale.phase(Phase::FinalRead);
        tale.holds("L4");
        // What is acknowledged later is no more waited for.
        let op = tale.send(10);
        tale.ack(op, 10);
        tale.holds("L4");
    }

    #[test]
    fn whoever_takes_over_goes_on_where_everything_was_processed() {
        let mut tale = tale(10);
        tale.step(1, 1, GroupStep::Left).joins(2, 2).assigned(2, 2, 10).phase(Phase::FinalRead);
        tale.holds("L4");
    }

    #[test]
    fn something_is_left() {
        let mut tale = tale(9);
        tale.phase(Phase::FinalRead);
        tale.breaks("L4", 1);
        tale.rules.contract.groups = 2;
        tale.breaks("L4", 3);
        tale.rules.contract.bit_rot = true;
        tale.excuses("L4", 3);
    }

    #[test]
    fn nobody_holds_it_or_two_do_or_a_round_is_under_way() {
        let mut left = tale(10);
        left.step(1, 1, GroupStep::Left).phase(Phase::FinalRead);
        left.breaks("L4", 1);
        let mut two = tale(10);
        two.joins(2, 2).assigned(2, 2, 10).phase(Phase::FinalRead);
        two.breaks("L4", 2);
        let mut under_way = tale(10);
        under_way.step(1, 2, GroupStep::Entered { leads: false, instance: None }).phase(Phase::FinalRead);
        under_way.breaks("L4", 1);
    }

    #[test]
    fn what_brokers_write_for_themselves_is_not_for_groups() {
        let mut tale = tale(0);
        tale.rules.partitions[TP.0 as usize] = "__consumer_offsets-0".into();
        tale.phase(Phase::FinalRead);
        assert!(!tale.check("L4").violates("L4"));
    }
}
