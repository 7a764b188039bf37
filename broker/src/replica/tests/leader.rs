//! The leader in cases that matter by name; what it does in all others is the model's matter (`leader_model.rs`).

use std::time::Duration;

use crate::config::FlushPolicy;
use crate::controller::partition::PartitionState;
use crate::env::Mono;
use crate::ids::{NodeId, Offset, PartitionEpoch};
use crate::replica::leader::{Beginning, Effect, Input, Leader, Undecided, Waiting};

pub(super) const ME: NodeId = NodeId(0);
pub(super) const REPLICAS: [NodeId; 3] = [ME, NodeId(1), NodeId(2)];
pub(super) const LAG: u64 = 15;
pub(super) const START: Offset = 10;

/// A leader of three replicas, all in sync, with a log that ends at [`START`].
pub(super) fn begin(policy: FlushPolicy, least: usize) -> (Leader, Vec<Effect>) {
    let mut state = PartitionState::new(REPLICAS.to_vec(), |_| true).unwrap();
    (state.leader_epoch, state.partition_epoch) = (3, 3);
    let lag = Duration::from_nanos(LAG);
    let begin = Beginning { me: ME, now: Mono(0), end: START, flushed: START, high: 4, policy, least, lag };
    let mut effects = Vec::new();
    (Leader::new(&begin, &state, &mut effects), effects)
}

fn alone(policy: FlushPolicy) -> Leader {
    let state = PartitionState::new(vec![ME], |_| true).unwrap();
    let lag = Duration::from_nanos(LAG);
    let begin = Beginning { me: ME, now: Mono(0), end: 0, flushed: 0, high: 0, policy, least: 1, lag };
    Leader::new(&begin, &state, &mut Vec::new())
}

#[test]
fn appends_during_an_fsync_share_the_next_one() {
    let mut leader = alone(FlushPolicy::Always);
    let mut effects = Vec::new();
    for ticket in 0..3 {
        let waiting = Some(Waiting { ticket, all: true, deadline: Mono(9) });
        let end = i64::try_from(ticket).unwrap() + 1;
        leader.step(Mono(0), Input::Appended { end, records: 1, waiting }, &mut effects);
    }
    assert_eq!(effects, [Effect::Flush]);
    effects.clear();
    leader.step(Mono(0), Input::Flushed { upto: 1 }, &mut effects);
    assert_eq!(effects, [Effect::HighWatermark(1), Effect::Ack { ticket: 0, replicas: 1 }, Effect::Flush]);
    effects.clear();
    leader.step(Mono(0), Input::Flushed { upto: 3 }, &mut effects);
    let acks = [1, 2].map(|ticket| Effect::Ack { ticket, replicas: 1 });
    assert_eq!(effects, [vec![Effect::HighWatermark(3)], acks.to_vec()].concat());
}

fn decided(partition_epoch: PartitionEpoch, in_sync: Vec<NodeId>, least: usize) -> Input {
    Input::Decided { partition_epoch, replicas: REPLICAS.to_vec(), in_sync, flush: FlushPolicy::Never, least }
}

#[test]
fn news_of_the_settings_leaves_a_proposal_open() {
    let (mut leader, _) = begin(FlushPolicy::Never, 1);
    let mut effects = Vec::new();
    let fetch = |who, at| Input::Fetched { follower: NodeId(who), epoch: at, offset: START, eligible: true };
    // Both fall behind, and one comes back.
    leader.step(Mono(100), Input::Inspect, &mut effects);
    leader.step(Mono(100), decided(4, vec![ME], 1), &mut effects);
    leader.step(Mono(101), fetch(1, 7), &mut effects);
    assert_eq!(leader.in_sync().maximal(), [ME, NodeId(1)]);
    // Nor is another one made in its place.
    effects.clear();
    leader.step(Mono(102), decided(4, vec![ME], 2), &mut effects);
    assert_eq!(leader.in_sync().maximal(), [ME, NodeId(1)]);
    assert_eq!(effects, []);
}

#[test]
fn a_smaller_in_sync_set_and_a_higher_min_in_sync_count_at_once() {
    // With the old of either and the new of the other, what was appended would be committed: by all, or by those left. But
    // whoever has left is eligible under the new value.
    let (mut leader, _) = begin(FlushPolicy::Never, 1);
    let mut effects = Vec::new();
    leader.step(Mono(1), Input::Appended { end: START + 1, records: 1, waiting: None }, &mut effects);
    leader.step(Mono(2), decided(4, vec![ME], 2), &mut effects);
    assert_eq!(leader.high(), 4);
    leader.step(Mono(3), decided(4, vec![ME], 1), &mut effects);
    assert_eq!(leader.high(), START + 1);
}

#[test]
fn one_that_is_gone_does_not_keep_the_others_out() {
    let (mut leader, _) = begin(FlushPolicy::Never, 1);
    let mut effects = Vec::new();
    let fetch = |who, at| Input::Fetched { follower: NodeId(who), epoch: at, offset: START, eligible: true };
    leader.step(Mono(1), fetch(2, 7), &mut effects);
    leader.step(Mono(2), decided(4, vec![ME], 1), &mut effects);
    // Both seem able. It is refused, because the second has been fenced meanwhile; the first fetches on.
    effects.clear();
    leader.step(Mono(3), fetch(1, 7), &mut effects);
    assert_eq!(leader.in_sync().maximal(), [ME, NodeId(2)]);
    leader.step(Mono(4), Input::NotAltered { asked: 4, why: Undecided::Refused }, &mut effects);
    leader.step(Mono(5), fetch(1, 7), &mut effects);
    assert_eq!(leader.in_sync().maximal(), [ME, NodeId(1)]);
}

#[test]
fn an_elected_leader_keeps_those_who_wait() {
    let (mut leader, _) = begin(FlushPolicy::Never, 1);
    let mut effects = Vec::new();
    let waiting = Some(Waiting { ticket: 5, all: true, deadline: Mono(99) });
    leader.step(Mono(1), Input::Appended { end: START + 1, records: 1, waiting }, &mut effects);
    let mut state = PartitionState::new(REPLICAS.to_vec(), |_| true).unwrap();
    (state.leader_epoch, state.partition_epoch, state.in_sync) = (4, 9, vec![ME]);
    leader.renew(Mono(2), &state, (FlushPolicy::Never, 1), &mut effects);
    assert!(effects.contains(&Effect::Ack { ticket: 5, replicas: 1 }));
    assert_eq!((leader.epoch(), leader.start(), leader.high()), (4, START + 1, START + 1));
}

#[test]
fn who_leads_without_having_seen_its_log_lets_nobody_in_below_its_end() {
    let (mut leader, _) = begin(FlushPolicy::Never, 1);
    let mut effects = Vec::new();
    // Both others left while its log was off line; now it is open again, and longer than was known.
    let alone = decided(4, vec![ME], 1);
    leader.step(Mono(1), alone, &mut effects);
    leader.step(Mono(2), Input::Reopened { end: START + 90 }, &mut effects);
    effects.clear();
    let fetch = |offset| Input::Fetched { follower: NodeId(1), epoch: 7, offset, eligible: true };
    leader.step(Mono(3), fetch(START + 40), &mut effects);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Propose(_))), "{effects:?}");
    leader.step(Mono(4), fetch(START + 90), &mut effects);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Propose(_))), "{effects:?}");
}

#[test]
fn an_fsync_that_found_the_log_off_line_is_over_when_it_is_open_again() {
    let mut leader = alone(FlushPolicy::Always);
    let mut effects = Vec::new();
    leader.step(Mono(0), Input::Appended { end: 1, records: 1, waiting: None }, &mut effects);
    leader.step(Mono(0), Input::Reopened { end: 1 }, &mut effects);
    effects.clear();
    leader.step(Mono(0), Input::Appended { end: 2, records: 1, waiting: None }, &mut effects);
    assert_eq!(effects, [Effect::Flush]);
}
