//! Brokers come, stay and go.

use kafka_protocol::error::ResponseError;

use super::super::machine::Controller;
use super::super::request::{Answer, Heartbeat, Request};
use super::settings;
use super::world::World;
use crate::ids::NodeId;

#[test]
fn a_start_of_a_broker_is_an_epoch_and_its_registration_may_be_repeated() {
    let mut world = World::new();
    let first = world.registration(1, None);
    assert_eq!(world.ask(Request::Register(first.clone())), Answer::Registered { epoch: 0 });
    assert_eq!(world.ask(Request::Register(first.clone())), Answer::Registered { epoch: 0 });
    world.beat(1);
    // Not while the first is alive.
    assert_eq!(world.register(1, None), Answer::Refused(ResponseError::DuplicateBrokerRegistration));
    assert!(world.controller.image().is_active(NodeId(1)));
    world.pass(8, &[1]);
    assert_eq!(world.register(1, None), Answer::Refused(ResponseError::DuplicateBrokerRegistration));
    world.pass(2, &[1]);
    let epoch = world.end();
    assert_eq!(world.register(1, None), Answer::Registered { epoch });
    // The former start is told that it is over.
    let old = Heartbeat { epoch: 0, ..world.heartbeat(1) };
    assert_eq!(world.ask(Request::Heartbeat(old)), Answer::Refused(ResponseError::StaleBrokerEpoch));
    let ids = Request::AllocateProducerIds { node: NodeId(1), epoch: 0 };
    assert_eq!(world.ask(ids), Answer::Refused(ResponseError::StaleBrokerEpoch));
    let old = Request::AlterPartitions { node: NodeId(1), epoch: 0, partitions: Vec::new() };
    assert_eq!(world.ask(old), Answer::Refused(ResponseError::StaleBrokerEpoch));
}

#[test]
fn a_broker_known_only_to_the_former_controller_may_start_anew_at_once() {
    let mut world = World::of(2);
    world.create(&[], &[&[1, 2]]);
    world.controller = Controller::new(world.controller.image().clone(), settings(), world.now);
    let epoch = world.end();
    assert_eq!(world.register(1, None), Answer::Registered { epoch });
    assert_eq!(world.state(0).leader, Some(NodeId(2)));
    // Broker 2 is heard of, and so is no ghost.
    world.beat(2);
    assert_eq!(world.register(2, None), Answer::Refused(ResponseError::DuplicateBrokerRegistration));
}

#[test]
fn a_broker_leads_nothing_until_it_has_caught_up_with_its_own_registration() {
    let mut world = World::new();
    world.register(1, None);
    let behind = Heartbeat { metadata_offset: -1, ..world.heartbeat(1) };
    let answer = world.ask(Request::Heartbeat(behind));
    assert_eq!(answer, Answer::Heartbeat { caught_up: false, fenced: true, should_shut_down: false });
    let wary = Heartbeat { want_fence: true, ..world.heartbeat(1) };
    let answer = world.ask(Request::Heartbeat(wary));
    assert_eq!(answer, Answer::Heartbeat { caught_up: true, fenced: true, should_shut_down: false });
    assert_eq!(world.beat(1), Answer::Heartbeat { caught_up: true, fenced: false, should_shut_down: false });
    let wary = Heartbeat { want_fence: true, ..world.heartbeat(1) };
    let answer = world.ask(Request::Heartbeat(wary));
    assert_eq!(answer, Answer::Heartbeat { caught_up: true, fenced: true, should_shut_down: false });
}

#[test]
fn the_silent_are_fenced_one_at_a_time_the_longest_silent_first() {
    let mut world = World::of(3);
    world.create(&[], &[&[3, 2, 1], &[2, 3, 1], &[1, 2, 3]]);
    world.pass(3, &[3]);
    world.pass(5, &[3, 2]);
    world.pass(1, &[3, 2]);
    insta::assert_snapshot!(world.show(), @r"
    0: leader 3 in 0.0 of 3,2,1 isr 3,2,1
    1: leader 2 in 0.0 of 2,3,1 isr 2,3,1
    2: leader 1 in 0.0 of 1,2,3 isr 1,2,3
    ");
    assert_eq!(world.controller.next_tick(), Some(crate::env::Mono(10_000_000_001)));
    world.pass(1, &[3, 2]);
    insta::assert_snapshot!(world.show(), @r"
    0: leader 2 in 1.1 of 3,2,1 isr 2,1
    1: leader 2 in 0.1 of 2,3,1 isr 2,1
    2: leader 1 in 0.1 of 1,2,3 isr 1,2
    ");
    world.pass(3, &[3, 2]);
    insta::assert_snapshot!(world.show(), @r"
    0: leader 1 in 2.2 of 3,2,1 isr 1
    1: leader 1 in 1.2 of 2,3,1 isr 1
    2: leader 1 in 0.2 of 1,2,3 isr 1
    ");
    // Both late at once: one tick each.
    let mut world = World::of(3);
    world.now = world.now.after(std::time::Duration::from_secs(60));
    world.beat(2);
    let fenced = |world: &World| world.controller.image().brokers().filter(|broker| broker.fenced).count();
    for expected in [1, 2, 2] {
        assert!(world.tick() > 0 || expected == fenced(&world));
        assert_eq!(fenced(&world), expected);
    }
}

#[test]
fn a_broker_that_shuts_down_hands_its_leaders_over_and_waits_until_others_know() {
    let mut world = World::of(3);
    world.create(&[("min.insync.replicas", "2")], &[&[1, 2, 3], &[2, 1, 3], &[1, 3, 2]]);
    world.alter(1, &[2, 1]);
    world.alter(2, &[1]);
    let goes = |should_shut_down, fenced| Answer::Heartbeat { caught_up: true, fenced, should_shut_down };
    assert_eq!(world.leave(1), goes(false, false));
    insta::assert_snapshot!(world.show(), @r"
    0: leader 2 in 1.1 of 1,2,3 isr 2,3
    1: leader 2 in 0.2 of 2,1,3 isr 2 elr 1
    2: leader 3 in 1.2 of 1,3,2 isr 3 elr 1,2
    ");
    // It is not asked to be in sync again.
    let wish = world.wish(0, &[1, 2, 3]);
    assert_eq!(world.alter_as(2, wish), Err(ResponseError::IneligibleReplica));
    assert_eq!(world.leave(1), goes(false, false));
    world.beat(2);
    assert_eq!(world.leave(1), goes(false, false));
    world.beat(3);
    assert_eq!(world.leave(1), goes(true, true));
    assert_eq!(world.leave(1), goes(true, true));
    // Shut down cleanly, it has what it had.
    let previous = world.epoch(1);
    world.start(1, Some(previous));
    insta::assert_snapshot!(world.show(), @r"
    0: leader 2 in 1.1 of 1,2,3 isr 2,3
    1: leader 2 in 0.2 of 2,1,3 isr 2 elr 1
    2: leader 3 in 1.2 of 1,3,2 isr 3 elr 1,2
    ");
}

#[test]
fn a_lone_broker_takes_its_leaders_along_and_brings_them_back() {
    let mut world = World::of(1);
    world.create(&[], &[&[1]]);
    world.leave(1);
    insta::assert_snapshot!(world.show(), @"0: leader none in 1.1 of 1 elr 1 last 1");
    let answer = world.leave(1);
    assert_eq!(answer, Answer::Heartbeat { caught_up: true, fenced: true, should_shut_down: true });
    let previous = world.epoch(1);
    world.start(1, Some(previous));
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 2.2 of 1 isr 1");
}

#[test]
fn a_broker_without_leaders_may_go_at_once() {
    let mut world = World::of(2);
    world.create(&[], &[&[1, 2]]);
    let answer = world.leave(2);
    assert_eq!(answer, Answer::Heartbeat { caught_up: true, fenced: true, should_shut_down: true });
    insta::assert_snapshot!(world.show(), @"0: leader 1 in 0.1 of 1,2 isr 1");
}

#[test]
fn producer_ids_are_handed_out_once() {
    let mut world = World::of(2);
    for (node, first) in [(1, 0), (2, 1000), (1, 2000)] {
        let request = Request::AllocateProducerIds { node: NodeId(node), epoch: world.epoch(node) };
        assert_eq!(world.ask(request), Answer::ProducerIds { first, count: 1000 });
    }
    assert_eq!(world.controller.image().next_producer_id(), 3000);
}

#[test]
fn a_broker_that_is_unregistered_is_nowhere_in_sync_and_begins_anew() {
    let mut world = World::of(3);
    world.create(&[("min.insync.replicas", "2")], &[&[1, 2], &[2, 3]]);
    assert_eq!(world.ask(Request::Unregister(NodeId(9))), Answer::Refused(ResponseError::BrokerIdNotRegistered));
    assert_eq!(world.ask(Request::Unregister(NodeId(2))), Answer::Unregistered);
    assert_eq!(world.controller.image().broker(NodeId(2)), None);
    insta::assert_snapshot!(world.show(), @"
    0: leader 1 in 0.1 of 1,2 isr 1 elr 2
    1: leader 3 in 1.1 of 2,3 isr 3 elr 2
    ");
    let stale = Heartbeat { epoch: 1, ..world.heartbeat(2) };
    assert_eq!(world.ask(Request::Heartbeat(stale)), Answer::Refused(ResponseError::StaleBrokerEpoch));
    // What it had when it was eligible is not believed of whoever registers under its id.
    world.start(2, Some(1));
    insta::assert_snapshot!(world.show(), @"
    0: leader 1 in 0.2 of 1,2 isr 1
    1: leader 3 in 1.2 of 2,3 isr 3
    ");
}

/// Its own disk kept it from reading: what brokers have sent lies unread.
#[test]
fn a_controller_that_did_not_listen_fences_nobody_for_it() {
    for deaf in [true, false] {
        let mut world = World::of(2);
        world.create(&[], &[&[1, 2]]);
        let long = std::time::Duration::from_secs(3600);
        world.now = world.now.after(long);
        if deaf {
            world.controller.excuse(long, world.now);
        }
        assert_eq!(world.controller.tick(world.now).is_empty(), deaf);
    }
}
