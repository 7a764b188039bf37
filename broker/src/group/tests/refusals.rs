//! What a coordinator refuses, and what it waits for.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;

use super::world::*;
use crate::config::GroupConfig;
use crate::controller::record::text;
use crate::group::request::{Commit, Commits, Join, Sync};
use crate::group::{Answer, Asked};
use crate::ids::TopicPartition;

fn twice(name: &str, member: &str) -> Asked {
    Asked::Join(Box::new(Join { twice: true, ..plain(name, member) }))
}

#[test]
fn a_group_that_is_not_there_has_neither_members_nor_generations() {
    let mut world = World::new();
    assert_eq!(world.told(commit(who("a", 1), 0, 5)), Answer::No(ResponseError::IllegalGeneration));
    for asked in [Asked::Heartbeat(who("a", 1)), sync("a", 1, &[])] {
        assert_eq!(world.told(asked), Answer::No(ResponseError::UnknownMemberId));
    }
    let can_nothing = Join { protocols: Vec::new(), ..plain("a", "a") };
    let told = world.told(Asked::Join(Box::new(can_nothing)));
    assert_eq!(told, Answer::NotJoined(ResponseError::UnknownMemberId, text("a")));
    assert_eq!(world.told(leave("a")), Answer::Left(vec![Err(ResponseError::UnknownMemberId)]));
    assert_eq!(world.state(), "none");
}

#[test]
fn only_members_of_this_generation_are_alive_in_it() {
    let mut world = World::new();
    world.enter("a");
    world.told(sync("a", 1, &["a"]));
    for generation in [-1, 0, 2] {
        let told = world.told(Asked::Heartbeat(who("a", generation)));
        assert_eq!(told, Answer::No(ResponseError::IllegalGeneration));
        assert_eq!(world.told(sync("a", generation, &[])), Answer::No(ResponseError::IllegalGeneration));
    }
    let stranger = ResponseError::UnknownMemberId;
    assert_eq!(world.told(Asked::Heartbeat(who("b", 1))), Answer::No(stranger));
    assert_eq!(world.told(sync("b", 1, &[])), Answer::No(stranger));
    assert_eq!(world.told(leave("b")), Answer::Left(vec![Err(stranger)]));
    assert_eq!(world.state(), "Stable");
}

#[test]
fn that_the_last_member_left_is_known_to_the_next_coordinator() {
    let mut world = World::new();
    world.enter("a");
    world.told(sync("a", 1, &["a"]));
    world.told(leave("a"));
    world.fail_over();
    assert_eq!(world.state(), "Empty");
    assert_eq!(world.enter("b").unwrap().generation, 3, "2 was without members");
}

#[test]
fn of_the_protocols_that_all_can_the_one_most_like_best_is_taken() {
    let delay = Duration::from_millis(100);
    let mut world = World::with(GroupConfig { initial_rebalance_delay: delay, ..World::new().settings });
    let can = |name: &str, protocols: &[&str]| {
        let protocols = protocols.iter().map(|protocol| (text(protocol), Bytes::new())).collect();
        Asked::Join(Box::new(Join { protocols, ..plain(name, "") }))
    };
    let first = world.ask(can("a", &["own", "range", "cooperative"]));
    world.ask(can("b", &["cooperative", "range"]));
    world.ask(can("c", &["range", "cooperative"]));
    world.pass(100);
    world.pass(100);
    assert_eq!(&*world.joined(first).unwrap().protocol, "range");
}

#[test]
fn whoever_was_given_an_id_is_waited_for_until_it_goes_or_does_not_come() {
    for leaves in [true, false] {
        let mut world = World::new();
        world.enter("a");
        world.told(sync("a", 1, &["a"]));
        assert_eq!(world.told(twice("b", "")), Answer::NotJoined(ResponseError::MemberIdRequired, text("b")));
        let waits = world.ask(join("a", "a"));
        assert!(!world.answers.contains_key(&waits));
        if leaves {
            assert_eq!(world.told(leave("b")), Answer::Left(vec![Ok(())]));
        } else {
            world.pass(1000);
        }
        assert_eq!(world.joined(waits).unwrap().members.len(), 1);
    }
}

#[test]
fn a_group_has_room_for_so_many_and_for_those_that_come_back() {
    let mut world = World::with(GroupConfig { max_size: 2, ..World::new().settings });
    world.enter("a");
    assert_eq!(world.told(twice("b", "")), Answer::NotJoined(ResponseError::MemberIdRequired, text("b")));
    let refused = Answer::NotJoined(ResponseError::GroupMaxSizeReached, text(""));
    assert_eq!(world.told(join("c", "")), refused, "an id that was given away counts");
    world.ask(twice("", "b"));
    let back = world.ask(join("a", "a"));
    assert_eq!(world.joined(back).unwrap().members.len(), 2);
    assert_eq!(world.told(join("c", "")), refused);
}

#[test]
fn an_assignment_is_asked_for_by_the_protocol_that_was_agreed_on_and_not_waited_for_in_the_next_round() {
    let mut world = World::new();
    world.enter("a");
    world.ask(join("b", ""));
    world.ask(join("a", "a"));
    let says = |protocol_type: Option<&str>, protocol: Option<&str>| {
        let Asked::Sync(asked) = sync("b", 2, &[]) else { unreachable!() };
        Asked::Sync(Sync { protocol_type: protocol_type.map(text), protocol: protocol.map(text), ..asked })
    };
    let refused = Answer::No(ResponseError::InconsistentGroupProtocol);
    assert_eq!(world.told(says(Some("connect"), None)), refused);
    assert_eq!(world.told(says(None, Some("sticky"))), refused);
    let waits = world.ask(says(Some("consumer"), Some("range")));
    assert!(!world.answers.contains_key(&waits));
    world.ask(join("c", ""));
    assert_eq!(world.answers[&waits], Answer::No(ResponseError::RebalanceInProgress));
}

#[test]
fn what_was_refused_leaves_nothing_behind() {
    let mut world = World::new();
    world.broken = true;
    assert_eq!(world.told(commit(who("", -1), 0, 5)), Answer::No(ResponseError::CoordinatorNotAvailable));
    assert_eq!(world.state(), "none");
}

#[test]
fn an_answer_to_a_join_that_was_lost_is_given_again() {
    let mut world = World::new();
    world.enter("a");
    let again = world.ask(join("a", "a"));
    assert_eq!((world.joined(again).unwrap().generation, world.state()), (1, "CompletingRebalance"));
}

#[test]
fn a_static_member_that_left_is_a_new_one_when_it_comes_back() {
    let mut world = World::new();
    let fixed = |name: &str| Asked::Join(Box::new(Join { instance: Some(text("i")), ..plain(name, "") }));
    world.ask(fixed("old"));
    world.told(sync("old", 1, &["old"]));
    let gone = Asked::Leave(text("g"), vec![(text(""), Some(text("j"))), (text(""), Some(text("i")))]);
    let told = Answer::Left(vec![Err(ResponseError::UnknownMemberId), Ok(())]);
    assert_eq!((world.told(gone), world.state()), (told, "Empty"));
    let back = world.ask(fixed("new"));
    assert_eq!((world.joined(back).unwrap().generation, &*world.joined(back).unwrap().member), (3, "new"));
}

#[test]
fn a_static_member_that_comes_back_with_another_protocol_has_everyone_join_again() {
    let mut world = World::new();
    let fixed = |name: &str, can: &[&str]| {
        let protocols = can.iter().map(|protocol| (text(protocol), Bytes::new())).collect();
        Asked::Join(Box::new(Join { instance: Some(text("i")), protocols, ..plain(name, "") }))
    };
    world.ask(fixed("old", &["range"]));
    world.told(sync("old", 1, &["old"]));
    let back = world.ask(fixed("new", &["cooperative", "range"]));
    let joined = world.joined(back).unwrap();
    assert_eq!((joined.generation, &*joined.protocol), (2, "cooperative"));
}

#[test]
fn sessions_and_protocols_have_their_bounds() {
    let mut world = World::new();
    for session in [9, 1_800_001] {
        let join = Join { session_timeout: Duration::from_millis(session), ..plain("a", "") };
        let refused = Answer::NotJoined(ResponseError::InvalidSessionTimeout, text(""));
        assert_eq!(world.told(Asked::Join(Box::new(join))), refused);
    }
    let many = (0..33).map(|number| (text(&number.to_string()), Bytes::new())).collect();
    let told = world.told(Asked::Join(Box::new(Join { protocols: many, ..plain("a", "") })));
    assert_eq!(told, Answer::NotJoined(ResponseError::InconsistentGroupProtocol, text("")));
}

#[test]
fn what_members_read_is_not_forgotten() {
    let mut world = World::new();
    let reads_t = Bytes::from_static(b"\0\0\0\0\0\x01\0\x01t");
    world.ask(Asked::Join(Box::new(Join { protocols: vec![(text("range"), reads_t)], ..plain("a", "") })));
    world.told(sync("a", 1, &["a"]));
    let both = ["t", "u"].map(|topic| TopicPartition::new(topic, 0));
    let five = Commit { offset: 5, leader_epoch: -1, metadata: text("") };
    let offsets = both.iter().map(|tp| (tp.clone(), five.clone())).collect();
    assert_eq!(
        world.told(Asked::Commit(Commits { who: who("a", 1), by_epoch: false, offsets })),
        Answer::Offsets(vec![Ok(()), Ok(())])
    );
    let told = world.told(Asked::Forget(text("g"), both.to_vec()));
    assert_eq!(told, Answer::Offsets(vec![Err(ResponseError::GroupSubscribedToTopic), Ok(())]));
    let left: Vec<_> = world.shard.all_committed(&text("g")).map(|(tp, _)| tp.clone()).collect();
    assert_eq!(left, both[..1]);
}
