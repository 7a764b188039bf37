//! Who leads, who is in sync, who is eligible.

use kafka_protocol::error::ResponseError;

use super::super::plan::Alteration;
use super::super::request::{AlterPartition, Answer, Change, Reassignment, Request};
use super::world::World;
use crate::ids::NodeId;

fn set(world: &mut World, name: &str, value: &str) {
    world.change(Change::Alter("t".into(), vec![(name.into(), Alteration::Set(value.into()))])).unwrap();
}

fn reassign(world: &mut World, replicas: Option<&[i32]>) -> Result<(), ResponseError> {
    let replicas = replicas.map(|nodes| nodes.iter().copied().map(NodeId).collect());
    match world.ask(Request::AlterReassignments(vec![Reassignment {
        topic: "t".into(),
        partition: 0,
        replicas,
        same_count: false,
    }])) {
        Answer::Reassigned(mut ends) => ends.remove(0).map_err(|denied| denied.error),
        other => panic!("{other:?}"),
    }
}

fn elect(world: &mut World, unclean: bool) -> Result<(), ResponseError> {
    match world.ask(Request::ElectLeaders { unclean, partitions: Some(vec![("t".into(), 0)]) }) {
        Answer::ElectLeaders(mut ends) => ends.remove(0).outcome.map_err(|denied| denied.error),
        other => panic!("{other:?}"),
    }
}

/// Brokers fall silent, and are fenced one after another.
fn dies(world: &mut World, silent: &[i32]) {
    world.pass(9 + silent.len() as u64, silent);
}

#[test]
fn who_leaves_a_set_that_is_too_small_stays_eligible() {
    let mut world = World::of(3);
    world.create(&[("min.insync.replicas", "2")], &[&[1, 2, 3]]);
    dies(&mut world, &[1]);
    insta::assert_snapshot!(world.show(), @"0: leader 2 in 1.1 of 1,2,3 isr 2,3");
    dies(&mut world, &[1, 2]);
    insta::assert_snapshot!(world.show(), @"0: leader 3 in 2.2 of 1,2,3 isr 3 elr 2");
    dies(&mut world, &[1, 2, 3]);
    insta::assert_snapshot!(world.show(), @"0: leader none in 3.3 of 1,2,3 elr 2,3 last 3");
    // Broker 1 lacks what was committed without it.
    world.start(1, None);
    insta::assert_snapshot!(world.show(), @"0: leader none in 3.3 of 1,2,3 elr 2,3 last 3");
    // Broker 2 was only cut off.
    world.beat(2);
    insta::assert_snapshot!(world.show(), @"0: leader 2 in 4.4 of 1,2,3 isr 2 elr 3");
    world.alter(0, &[1, 2]);
    insta::assert_snapshot!(world.show(), @"0: leader 2 in 4.5 of 1,2,3 isr 1,2");
}

#[test]
fn the_last_replica_standing_is_not_trusted_after_a_power_loss_while_another_is_eligible() {
    let mut world = World::of(3);
    world.create(&[("min.insync.replicas", "2")], &[&[1, 2, 3]]);
    world.alter(0, &[1, 2]);
    dies(&mut world, &[2]);
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 0.2 of 1,2,3 isr 1 elr 2");
    dies(&mut world, &[1, 2, 3]);
    insta::assert_snapshot!(world.show(), @"0: leader none in 1.3 of 1,2,3 elr 1,2 last 1");
    world.start(1, None);
    insta::assert_snapshot!(world.show(), @"0: leader none in 1.4 of 1,2,3 elr 2 last 1");
    world.beat(2);
    insta::assert_snapshot!(world.show(), @"0: leader 2 in 2.5 of 1,2,3 isr 2");
}

#[test]
fn when_nobody_is_eligible_the_last_leader_leads_and_is_marked() {
    let mut world = World::of(3);
    world.create(&[("min.insync.replicas", "2")], &[&[1, 2, 3]]);
    world.alter(0, &[1, 2]);
    dies(&mut world, &[1, 2, 3]);
    insta::assert_snapshot!(world.show(), @"0: leader none in 2.3 of 1,2,3 elr 1,2 last 2");
    world.start(1, None);
    world.start(3, None);
    insta::assert_snapshot!(world.show(), @"0: leader none in 2.4 of 1,2,3 elr 2 last 2");
    world.register(2, None);
    insta::assert_snapshot!(world.show(), @"0: leader none in 2.5 of 1,2,3 last 2");
    world.beat(2);
    insta::assert_snapshot!(world.show(), @"0: leader 2 in 3.6 of 1,2,3 isr 2 LAST KNOWN");
    // The mark is this leader's.
    world.alter(0, &[1, 2]);
    dies(&mut world, &[2]);
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 4.8 of 1,2,3 isr 1 elr 2");
}

#[test]
fn with_one_replica_needed_the_last_one_leads_again_marked_after_a_power_loss() {
    let mut world = World::of(2);
    world.create(&[], &[&[1, 2]]);
    world.alter(0, &[1]);
    dies(&mut world, &[1]);
    insta::assert_snapshot!(world.show(), @"0: leader none in 1.2 of 1,2 elr 1 last 1");
    world.start(1, None);
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 2.4 of 1,2 isr 1 LAST KNOWN");
}

#[test]
fn an_unclean_leader_is_elected_only_where_it_is_wanted() {
    let mut world = World::of(2);
    world.create(&[], &[&[1, 2]]);
    world.alter(0, &[1]);
    dies(&mut world, &[1]);
    world.pass(400, &[1]);
    insta::assert_snapshot!(world.show(), @"0: leader none in 1.2 of 1,2 elr 1 last 1");
    set(&mut world, "unclean.leader.election.enable", "true");
    insta::assert_snapshot!(world.show(), @"0: leader 2 in 2.3 of 1,2 isr 2 UNCLEAN");
    set(&mut world, "unclean.leader.election.enable", "false");
    // What is not configured may be asked for.
    dies(&mut world, &[1, 2]);
    world.beat(1);
    insta::assert_snapshot!(world.show(), @"0: leader none in 3.4 of 1,2 elr 2 last 2 UNCLEAN");
    assert_eq!(elect(&mut world, false), Err(ResponseError::PreferredLeaderNotAvailable));
    assert_eq!(elect(&mut world, true), Ok(()));
    assert_eq!(elect(&mut world, true), Err(ResponseError::ElectionNotNeeded));
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 4.5 of 1,2 isr 1 UNCLEAN");
}

#[test]
fn where_it_is_wanted_an_unclean_leader_is_elected_at_once() {
    let mut world = World::of(3);
    world.create(&[("unclean.leader.election.enable", "true")], &[&[1, 2, 3]]);
    world.alter(0, &[1]);
    dies(&mut world, &[1]);
    insta::assert_snapshot!(world.show(), @"0: leader 2 in 1.2 of 1,2,3 isr 2 UNCLEAN");
    // No one's state is forgotten when a clean one is there.
    world.alter(0, &[2, 3]);
    dies(&mut world, &[1, 2]);
    insta::assert_snapshot!(world.show(), @"0: leader 3 in 2.4 of 1,2,3 isr 3");
}

#[test]
fn a_smaller_set_that_is_enough_leaves_nobody_eligible() {
    let mut world = World::of(3);
    world.create(&[("min.insync.replicas", "3")], &[&[1, 2, 3]]);
    world.alter(0, &[1, 2]);
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 0.1 of 1,2,3 isr 1,2 elr 3");
    set(&mut world, "min.insync.replicas", "2");
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 0.2 of 1,2,3 isr 1,2");
    set(&mut world, "min.insync.replicas", "3");
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 0.2 of 1,2,3 isr 1,2");
}

#[test]
fn preferred_leaders_come_back_by_themselves_or_when_asked() {
    let mut world = World::of(2);
    world.create(&[], &[&[1, 2]]);
    dies(&mut world, &[1]);
    world.beat(1);
    assert_eq!(elect(&mut world, false), Err(ResponseError::PreferredLeaderNotAvailable));
    world.alter(0, &[2, 1]);
    insta::assert_snapshot!(world.show(), @"0: leader 2 in 1.2 of 1,2 isr 2,1");
    assert_eq!(elect(&mut world, false), Ok(()));
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 2.3 of 1,2 isr 2,1");
    let all = Request::ElectLeaders { unclean: false, partitions: None };
    assert_eq!(world.ask(all), Answer::ElectLeaders(Vec::new()));
    dies(&mut world, &[1]);
    world.beat(1);
    world.alter(0, &[2, 1]);
    world.pass(300, &[]);
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 4.6 of 1,2 isr 2,1");
}

#[test]
fn an_in_sync_set_is_checked_in_kafkas_order() {
    let mut world = World::of(3);
    world.register(4, None);
    world.create(&[], &[&[1, 2, 3, 4]]);
    let good = world.wish(0, &[1, 2]);
    let bad = |change: fn(&mut AlterPartition)| {
        let mut wish = good.clone();
        change(&mut wish);
        wish
    };
    let cases = [
        (1, bad(|wish| wish.topic = super::id(77)), ResponseError::UnknownTopicId),
        (1, bad(|wish| wish.partition = 1), ResponseError::UnknownTopicOrPartition),
        (1, bad(|wish| wish.partition = -1), ResponseError::UnknownTopicOrPartition),
        (2, bad(|wish| wish.leader_epoch = 1), ResponseError::NotController),
        (2, bad(|wish| wish.partition_epoch = 1), ResponseError::NotController),
        (2, bad(|wish| wish.leader_epoch = -1), ResponseError::FencedLeaderEpoch),
        (2, good.clone(), ResponseError::InvalidRequest),
        (1, bad(|wish| wish.partition_epoch = -1), ResponseError::InvalidUpdateVersion),
        (1, bad(|wish| wish.in_sync[1] = wish.in_sync[0]), ResponseError::InvalidRequest),
        (1, bad(|wish| wish.in_sync[1].0 = NodeId(9)), ResponseError::InvalidRequest),
        (1, bad(|wish| wish.in_sync.truncate(0)), ResponseError::InvalidRequest),
        (1, bad(|wish| wish.in_sync = wish.in_sync.split_off(1)), ResponseError::InvalidRequest),
        (1, bad(|wish| wish.in_sync[1].1 += 1), ResponseError::IneligibleReplica),
        (1, world.wish(0, &[1, 4]), ResponseError::IneligibleReplica),
    ];
    for (node, wish, error) in cases {
        assert_eq!(world.alter_as(node, wish.clone()), Err(error), "{wish:?}");
    }
    let mut unknown = good.clone();
    unknown.in_sync[1].1 = -1;
    assert_eq!(world.alter_as(1, unknown).unwrap().partition_epoch, 1);
    assert_eq!(world.alter_as(1, good), Err(ResponseError::InvalidUpdateVersion));
}

#[test]
fn a_reassignment_ends_when_all_new_replicas_are_in_sync() {
    let mut world = World::of(4);
    world.create(&[], &[&[1, 2]]);
    assert_eq!(reassign(&mut world, None), Err(ResponseError::NoReassignmentInProgress));
    assert_eq!(reassign(&mut world, Some(&[])), Err(ResponseError::InvalidReplicaAssignment));
    assert_eq!(reassign(&mut world, Some(&[1, 1])), Err(ResponseError::InvalidReplicaAssignment));
    assert_eq!(reassign(&mut world, Some(&[1, 9])), Err(ResponseError::InvalidReplicaAssignment));
    reassign(&mut world, Some(&[3, 4])).unwrap();
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 0.1 of 3,4,1,2 isr 1,2 adding 3,4 removing 1,2");
    world.alter(0, &[1, 2, 3]);
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 0.2 of 3,4,1,2 isr 1,2,3 adding 3,4 removing 1,2");
    // The leader that completes it is no replica any more.
    let wish = world.wish(0, &[1, 2, 3, 4]);
    assert_eq!(world.alter_as(1, wish), Err(ResponseError::NewLeaderElected));
    insta::assert_snapshot!(world.show(), @"0: leader 3 in 1.3 of 3,4 isr 3,4");
    // One that only takes replicas away ends at once, in a new leader epoch.
    reassign(&mut world, Some(&[3])).unwrap();
    insta::assert_snapshot!(world.show(), @"0: leader 3 in 2.4 of 3 isr 3");
}

#[test]
fn a_reassignment_is_taken_back_unless_that_loses_records() {
    let mut world = World::of(3);
    world.create(&[], &[&[1]]);
    reassign(&mut world, Some(&[2, 3])).unwrap();
    world.alter(0, &[1, 2]);
    reassign(&mut world, None).unwrap();
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 1.3 of 1 isr 1");
    reassign(&mut world, Some(&[2, 3])).unwrap();
    world.alter(0, &[1, 2]);
    dies(&mut world, &[1]);
    insta::assert_snapshot!(world.show(), @"0: leader 2 in 2.6 of 2,3,1 isr 2 adding 2,3 removing 1");
    assert_eq!(reassign(&mut world, None), Err(ResponseError::InvalidReplicaAssignment));
    world.beat(1);
    assert_eq!(reassign(&mut world, None), Err(ResponseError::InvalidReplicaAssignment));
    set(&mut world, "unclean.leader.election.enable", "true");
    reassign(&mut world, None).unwrap();
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 3.7 of 1 isr 1 UNCLEAN");
}
