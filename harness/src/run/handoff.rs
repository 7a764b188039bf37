//! How each group fared: how often it was shared out anew, how long partitions were nobody's meanwhile, how many records were
//! handed out again, and how far it was behind.

use std::collections::BTreeMap;

use broker::ids::Offset;

use crate::history::{Event, GroupEvent, GroupStep, Kind, Phase, TpId};
use crate::report::GroupWork;

use super::lag::{Lag, Lags};
use super::outage::percentile;

/// Of one partition, as its group's members tell it.
#[derive(Default)]
struct Share {
    /// Who had it last.
    owner: u32,
    /// When that one gave it up, if it said so.
    free: Option<u64>,
    /// One past the last offset handed out.
    next: Offset,
    /// When it had its first owner.
    since: u64,
    /// Records handed out.
    delivered: u64,
}

/// Of one group.
#[derive(Default)]
struct Group {
    /// The newest generation that anybody entered.
    generation: i32,
    shares: BTreeMap<TpId, Share>,
    work: GroupWork,
    /// How long partitions were nobody's, in nanoseconds, one for each hand-off.
    idle: Vec<u64>,
}

/// A fold over what members do.
#[derive(Default)]
pub(crate) struct Handoffs {
    groups: BTreeMap<u32, Group>,
    /// Which group a client is in, and when it was last heard of.
    members: BTreeMap<u32, (u32, u64)>,
    lags: Lags,
    over: bool,
}

impl Handoffs {
    pub(crate) fn see(&mut self, event: &Event) {
        if self.over {
            return;
        }
        self.lags.see(event);
        match &event.kind {
            Kind::Group(step) => {
                self.members.insert(step.client, (step.group, event.at));
                self.groups.entry(step.group).or_default().step(event.at, step, &self.members);
            }
            Kind::Call { client, .. } => {
                self.members.get_mut(client).into_iter().for_each(|(_, heard)| *heard = event.at);
            }
            Kind::Deliver(record) => {
                let Some((group, _)) = self.members.get(&record.client) else { return };
                self.groups.entry(*group).or_default().deliver(record.tp, record.offset);
            }
            Kind::Phase { phase } if *phase >= Phase::FinalRead => {
                self.over = true;
                self.groups.values_mut().for_each(|group| group.end(event.at));
            }
            _ => {}
        }
    }

    /// A row for each group.
    pub(crate) fn into_table(mut self) -> Vec<GroupWork> {
        let row = |(number, group): (u32, Group)| {
            let Lag { p50, p99, max } = self.lags.of(number);
            GroupWork { lag_p50: p50, lag_p99: p99, lag_max: max, ..group.into_row(number) }
        };
        self.groups.into_iter().map(row).collect()
    }
}

impl Group {
    fn step(&mut self, at: u64, step: &GroupEvent, members: &BTreeMap<u32, (u32, u64)>) {
        match step.what {
            GroupStep::Entered { .. } if step.generation > self.generation => {
                self.generation = step.generation;
                self.work.rounds += 1;
            }
            GroupStep::Assigned { tp, position } => {
                let heard = |owner: u32| members.get(&owner).map_or(at, |(_, heard)| *heard);
                match self.shares.get_mut(&tp) {
                    Some(share) => {
                        // Who died said nothing: it was at work until it was last heard of.
                        let since = share.free.take().unwrap_or_else(|| heard(share.owner));
                        self.idle.push(at.saturating_sub(since));
                        share.owner = step.client;
                    }
                    None => {
                        self.shares.insert(
                            tp,
                            Share { owner: step.client, free: None, next: position, since: at, delivered: 0 },
                        );
                    }
                }
            }
            GroupStep::Revoked { tp } | GroupStep::Lost { tp } => {
                let share = self.shares.get_mut(&tp).filter(|share| share.owner == step.client);
                share.into_iter().for_each(|share| share.free = Some(at));
            }
            _ => {}
        }
    }

    fn deliver(&mut self, tp: TpId, offset: Offset) {
        let share = self.shares.entry(tp).or_default();
        self.work.delivered += 1;
        share.delivered += 1;
        self.work.again += u64::from(offset < share.next);
        share.next = share.next.max(offset + 1);
    }

    fn end(&mut self, at: u64) {
        self.work.owned_ms = self.shares.values().map(|share| at.saturating_sub(share.since)).sum::<u64>() / 1_000_000;
    }

    fn into_row(mut self, group: u32) -> GroupWork {
        self.idle.sort_unstable();
        let ms = |per_cent| percentile(&self.idle, per_cent) / 1_000_000;
        let hottest = self.shares.values().map(|share| share.delivered).max().unwrap_or(0);
        GroupWork {
            group,
            hottest_per_mille: (hottest * 1000).checked_div(self.work.delivered).unwrap_or(0),
            partitions: self.shares.len() as u64,
            handoffs: self.idle.len() as u64,
            idle_ms: self.idle.iter().sum::<u64>() / 1_000_000,
            idle_p50_ms: ms(50),
            idle_p99_ms: ms(99),
            idle_max_ms: ms(100),
            ..self.work
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Call, Delivery};

    #[test]
    fn a_partition_is_idle_from_when_it_is_let_go_or_its_owner_falls_silent() {
        let mut handoffs = Handoffs::default();
        let mut see = |ms: u64, kind| handoffs.see(&Event { at: ms * 1_000_000, kind });
        let step =
            |client, generation, what| Kind::Group(GroupEvent { client, incarnation: 0, group: 3, generation, what });
        let tp = TpId(0);
        let deliver = |client, offset| {
            let (op, id, checksum, timestamp, epoch, last) = (0, None, 0, 0, 0, false);
            Kind::Deliver(Delivery { op, client, tp, offset, id, checksum, timestamp, epoch, last })
        };
        see(0, step(7, 1, GroupStep::Entered { leads: true, instance: None }));
        see(0, step(7, 1, GroupStep::Assigned { tp, position: 0 }));
        (0..4).for_each(|offset| see(5, deliver(7, offset)));
        see(10, step(7, 1, GroupStep::Revoked { tp }));
        see(11, step(8, 2, GroupStep::Entered { leads: true, instance: None }));
        see(40, step(8, 2, GroupStep::Assigned { tp, position: 2 }));
        (2..5).for_each(|offset| see(45, deliver(8, offset)));
        see(50, Kind::Call { op: 0, client: 8, incarnation: 0, call: Call::Admin { api: 1 } });
        see(900, step(7, 3, GroupStep::Entered { leads: true, instance: None }));
        see(950, step(7, 3, GroupStep::Assigned { tp, position: 5 }));
        see(960, Kind::Phase { phase: Phase::FinalRead });
        see(970, deliver(7, 0));
        let row = handoffs.into_table().pop();
        let expected = GroupWork {
            group: 3,
            partitions: 1,
            owned_ms: 960,
            rounds: 3,
            handoffs: 2,
            idle_ms: 930,
            idle_p50_ms: 30,
            idle_p99_ms: 900,
            idle_max_ms: 900,
            delivered: 7,
            again: 2,
            hottest_per_mille: 1000,
            ..GroupWork::default()
        };
        assert_eq!(row, Some(expected));
    }
}
