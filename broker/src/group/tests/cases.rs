//! Cases that matter by name.

use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::world::*;
use crate::config::GroupConfig;
use crate::controller::record::text;
use crate::group::request::{Commits, Join};
use crate::group::{Answer, Asked, Input};
use crate::ids::TopicPartition;

/// A stable group of `a`, who leads, and `b`, in generation 2.
fn stable() -> World {
    let mut world = World::new();
    assert_eq!(world.enter("a").unwrap().generation, 1);
    let second = world.ask(join("b", ""));
    let first = world.ask(join("a", "a"));
    assert_eq!((world.joined(first).unwrap().generation, world.joined(second).unwrap().generation), (2, 2));
    let waits = world.ask(sync("b", 2, &[]));
    assert!(matches!(world.told(sync("a", 2, &["a", "b"])), Answer::Synced(it) if it.assignment == "a"));
    assert!(matches!(&world.answers[&waits], Answer::Synced(it) if it.assignment == "b"));
    assert_eq!(world.state(), "Stable");
    world
}

#[test]
fn nobody_is_assigned_anything_before_it_is_committed() {
    let mut world = World::new();
    world.prompt = false;
    world.enter("a");
    let waits = world.ask(sync("a", 1, &["a"]));
    assert!(!world.answers.contains_key(&waits));
    // It asks again, having lost patience: there is still one write.
    let again = world.ask(sync("a", 1, &["a"]));
    assert_eq!((world.log.len(), &world.answers[&waits]), (1, &Answer::No(ResponseError::RebalanceInProgress)));
    world.commit_all();
    assert!(matches!(&world.answers[&again], Answer::Synced(it) if it.assignment == "a"));
}

#[test]
fn an_assignment_that_cannot_be_written_has_everyone_join_again() {
    let mut world = World::new();
    world.enter("a");
    world.broken = true;
    assert_eq!(world.told(sync("a", 1, &["a"])), Answer::No(ResponseError::CoordinatorNotAvailable));
    assert_eq!(world.state(), "PreparingRebalance");
    world.broken = false;
    let ticket = world.ask(join("a", "a"));
    assert_eq!(world.joined(ticket).unwrap().generation, 2);
}

#[test]
fn whoever_is_given_nothing_does_not_keep_what_it_had() {
    let mut world = stable();
    world.ask(join("a", "a"));
    world.ask(join("b", "b"));
    world.told(sync("a", 3, &["a"]));
    assert!(matches!(world.told(sync("b", 3, &[])), Answer::Synced(it) if it.assignment.is_empty()));
    assert!(matches!(world.told(sync("a", 3, &[])), Answer::Synced(it) if it.assignment == "a"));
}

#[test]
fn an_offset_is_committed_once_it_is_and_not_before() {
    let mut world = stable();
    world.prompt = false;
    let tp = TopicPartition::new("t", 0);
    let at = |world: &World| world.shard.committed(&text("g"), &tp).map(|committed| committed.offset);
    let first = world.ask(commit(who("a", 2), 0, 5));
    let second = world.ask(commit(who("a", 2), 0, 6));
    assert_eq!((at(&world), world.answers.get(&first)), (None, None));
    let end = world.log[world.log.len() - 2].0;
    world.high = end;
    world.input(Input::HighWatermark(end));
    assert_eq!((at(&world), world.answers.get(&first)), (Some(5), Some(&Answer::Offsets(vec![Ok(())]))));
    assert_eq!(world.answers.get(&second), None);
    world.fail_over();
    assert_eq!(at(&world), Some(5));
}

#[test]
fn offsets_of_former_generations_and_of_strangers_are_refused() {
    let mut world = stable();
    for (asked, error) in [
        (who("a", 1), ResponseError::IllegalGeneration),
        (who("a", 3), ResponseError::IllegalGeneration),
        (who("z", 2), ResponseError::UnknownMemberId),
        (who("", -1), ResponseError::UnknownMemberId),
        (who("a", -1), ResponseError::IllegalGeneration),
    ] {
        assert_eq!(world.told(commit(asked, 0, 9)), Answer::No(error));
    }
    world.ask(join("c", ""));
    assert_eq!(world.told(commit(who("b", 2), 0, 9)), Answer::Offsets(vec![Ok(())]), "before the next generation");
    world.ask(join("a", "a"));
    world.ask(join("b", "b"));
    assert_eq!(world.state(), "CompletingRebalance");
    assert_eq!(world.told(commit(who("b", 3), 0, 9)), Answer::No(ResponseError::RebalanceInProgress));
    let mut long = commit(who("", -1), 0, 9);
    if let Asked::Commit(Commits { who, offsets, .. }) = &mut long {
        who.group = text("other");
        offsets[0].1.metadata = text(&"x".repeat(4097));
    }
    assert_eq!(world.told(long), Answer::Offsets(vec![Err(ResponseError::OffsetMetadataTooLarge)]));
    assert!(world.shard.describe(&text("other")).is_none(), "nothing is left of it");
}

#[test]
fn the_silent_go_and_those_who_wait_do_not() {
    let mut world = stable();
    world.pass(900);
    assert_eq!(world.told(Asked::Heartbeat(who("a", 2))), Answer::Done);
    world.pass(200);
    assert_eq!(world.state(), "PreparingRebalance");
    assert_eq!(world.told(Asked::Heartbeat(who("a", 2))), Answer::No(ResponseError::RebalanceInProgress));
    assert_eq!(world.told(Asked::Heartbeat(who("b", 2))), Answer::No(ResponseError::UnknownMemberId));
    // Nobody else is there to wait for.
    let ticket = world.ask(join("a", "a"));
    assert_eq!(world.joined(ticket).unwrap().generation, 3);
    // Its SyncGroup never comes.
    for _ in 0..3 {
        world.pass(900);
        world.told(Asked::Heartbeat(who("a", 3)));
    }
    world.pass(900);
    assert_eq!(
        (world.state(), world.told(Asked::Heartbeat(who("a", 3)))),
        ("Empty", Answer::No(ResponseError::UnknownMemberId))
    );
}

#[test]
fn a_rebalance_waits_for_members_as_long_as_they_asked_for() {
    let mut world = stable();
    let fresh = world.ask(join("c", ""));
    for _ in 0..3 {
        world.pass(900);
        world.told(Asked::Heartbeat(who("a", 2)));
        world.told(Asked::Heartbeat(who("b", 2)));
    }
    assert_eq!(world.state(), "PreparingRebalance");
    world.pass(400);
    // `a` and `b` have not joined again in 3 s: they are out.
    let joined = world.joined(fresh).unwrap();
    assert_eq!((joined.generation, &*joined.leader, joined.members.len()), (3, "c", 1));
}

#[test]
fn the_first_members_of_a_group_are_waited_for_together() {
    let delay = Duration::from_millis(100);
    let mut world = World::with(GroupConfig { initial_rebalance_delay: delay, ..World::new().settings });
    let first = world.ask(join("a", ""));
    world.pass(60);
    let second = world.ask(join("b", ""));
    world.pass(60);
    assert!(!world.answers.contains_key(&first), "somebody came, so somebody more may come");
    world.pass(60);
    world.pass(60);
    assert_eq!((world.joined(first).unwrap().members.len(), world.joined(second).unwrap().generation), (2, 1));
}

#[test]
fn a_member_without_an_id_has_to_come_twice() {
    let mut world = World::new();
    let asked = |member: &str| Asked::Join(Box::new(Join { twice: true, ..plain("a", member) }));
    assert_eq!(world.told(asked("")), Answer::NotJoined(ResponseError::MemberIdRequired, text("a")));
    assert_eq!(world.state(), "Empty");
    let ticket = world.ask(asked("a"));
    assert_eq!(world.joined(ticket).unwrap().generation, 1);
    let nobody = world.told(asked("z"));
    assert_eq!(nobody, Answer::NotJoined(ResponseError::UnknownMemberId, text("z")));
    // An id that is never used is forgotten, and the group with it.
    let mut world = World::new();
    world.told(asked(""));
    world.pass(1001);
    assert_eq!(world.state(), "none");
}

#[test]
fn who_joins_again_without_news_has_its_answer_again() {
    let mut world = stable();
    let ticket = world.ask(join("b", "b"));
    assert_eq!((world.joined(ticket).unwrap().generation, world.state()), (2, "Stable"), "it lost the answer");
    world.ask(join("a", "a"));
    assert_eq!(world.state(), "PreparingRebalance", "a leader wants another assignment");
}

#[test]
fn members_that_can_nothing_together_do_not_form_a_group() {
    let mut world = stable();
    let mut other = plain("c", "");
    other.protocols[0].0 = text("roundrobin");
    assert!(matches!(
        world.told(Asked::Join(Box::new(other.clone()))),
        Answer::NotJoined(ResponseError::InconsistentGroupProtocol, _)
    ));
    other.protocols.extend(plain("c", "").protocols);
    world.ask(Asked::Join(Box::new(other)));
    world.ask(join("a", "a"));
    let ticket = world.ask(join("b", "b"));
    assert_eq!(&*world.joined(ticket).unwrap().protocol, "range", "the one that all can");
}

fn fixed(name: &str, member: &str) -> Join {
    Join { instance: Some(text("i")), ..plain(name, member) }
}

#[test]
fn a_static_member_comes_back_without_a_rebalance_and_fences_its_former_self() {
    let mut world = World::new();
    world.ask(Asked::Join(Box::new(fixed("old", ""))));
    world.told(sync("old", 1, &["old"]));
    let ticket = world.ask(Asked::Join(Box::new(fixed("new", ""))));
    let joined = world.joined(ticket).unwrap();
    assert_eq!((joined.generation, &*joined.member, &*joined.leader, joined.members.len()), (1, "new", "old", 0));
    assert!(matches!(world.told(sync("new", 1, &[])), Answer::Synced(it) if it.assignment == "old"));
    let mut former = who("old", 1);
    former.instance = Some(text("i"));
    assert_eq!(world.told(Asked::Heartbeat(former.clone())), Answer::No(ResponseError::FencedInstanceId));
    assert_eq!(world.told(commit(former, 0, 1)), Answer::No(ResponseError::FencedInstanceId));
    world.fail_over();
    assert_eq!(world.told(Asked::Heartbeat(who("new", 1))), Answer::Done, "the next coordinator knows it");
    // One that leads and knows that it need not assign is told everything.
    let ticket = world.ask(Asked::Join(Box::new(Join { may_skip: true, ..fixed("newer", "") })));
    let joined = world.joined(ticket).unwrap();
    assert_eq!((joined.skip, &*joined.leader, joined.members.len()), (true, "newer", 1));
}

#[test]
fn static_members_without_patience_do_not_keep_their_coordinator_busy() {
    let mut world = World::new();
    world.ask(Asked::Join(Box::new(Join { rebalance_timeout: Duration::ZERO, ..fixed("i", "") })));
    world.told(sync("i", 1, &["i"]));
    world.ask(Asked::Join(Box::new(Join { rebalance_timeout: Duration::ZERO, ..plain("a", "") })));
    world.ask(leave("a"));
    // It does not join again, and is not out before its session ends.
    world.pass(60);
    assert_eq!((world.state(), world.shard.due() > world.now.mono), ("PreparingRebalance", true));
}

#[test]
fn a_group_with_members_is_not_deleted_and_keeps_its_offsets() {
    let long = Duration::from_secs(1000);
    let patient = |member: &str| {
        Asked::Join(Box::new(Join { session_timeout: long, rebalance_timeout: long, ..plain("a", member) }))
    };
    let mut world = World::new();
    world.ask(patient(""));
    world.told(sync("a", 1, &["a"]));
    world.told(commit(who("a", 1), 0, 5));
    assert_eq!(world.told(Asked::Delete(text("g"))), Answer::No(ResponseError::NonEmptyGroup));
    // In a rebalance, at the time of the check, long after the offset was committed.
    world.ask(patient("a"));
    let week: u64 = 7 * 24 * 3600 * 1000;
    world.now.wall += i64::try_from(week).unwrap() + 1;
    world.pass(601_000);
    assert_eq!(world.state(), "CompletingRebalance");
    assert!(world.shard.committed(&text("g"), &TopicPartition::new("t", 0)).is_some());
    world.pass(400_000);
    assert_eq!(world.state(), "Empty");
    world.pass(week - 1);
    assert_eq!(world.state(), "Empty");
    world.pass(601_000);
    assert_eq!(world.state(), "none");
    world.fail_over();
    assert_eq!(world.state(), "none");
}

#[test]
fn a_group_that_was_deleted_with_its_last_generation_unrefuted_leaves_nothing_that_is_due() {
    let mut world = World::new();
    world.enter("a");
    world.told(sync("a", 1, &["a"]));
    // That it is empty cannot be written.
    world.broken = true;
    world.told(leave("a"));
    world.broken = false;
    assert_eq!(world.told(Asked::Delete(text("g"))), Answer::Done);
    world.fail_over();
    world.pass(5000);
    assert_eq!((world.state(), world.shard.due() > world.now.mono), ("none", true));
}

#[test]
fn two_who_delete_a_group_are_both_told_that_it_is_gone() {
    let mut world = World::new();
    world.told(commit(who("", -1), 0, 5));
    world.prompt = false;
    let (first, second) = (world.ask(Asked::Delete(text("g"))), world.ask(Asked::Delete(text("g"))));
    world.commit_all();
    assert_eq!((&world.answers[&first], &world.answers[&second]), (&Answer::Done, &Answer::Done));
}

#[test]
fn an_assignment_that_is_not_committed_in_time_is_not_waited_for() {
    let mut world = World::new();
    world.prompt = false;
    world.enter("a");
    let waits = world.ask(sync("a", 1, &["a"]));
    world.pass(5001);
    assert_eq!(world.answers[&waits], Answer::No(ResponseError::CoordinatorNotAvailable));
    assert_eq!(world.state(), "PreparingRebalance");
    world.commit_all();
    assert_eq!(world.state(), "PreparingRebalance", "it comes too late");
}

#[test]
fn what_is_committed_for_a_topic_goes_with_it() {
    let mut world = World::new();
    let tp = TopicPartition::new("t", 0);
    world.told(commit(who("", -1), 0, 5));
    world.prompt = false;
    let waits = world.ask(commit(who("", -1), 1, 6));
    world.input(Input::TopicGone("t".into()));
    world.commit_all();
    assert_eq!(world.answers[&waits], Answer::Offsets(vec![Ok(())]));
    assert_eq!((world.shard.committed(&text("g"), &tp), world.shard.all_committed(&text("g")).count()), (None, 0));
    world.fail_over();
    assert_eq!(world.shard.all_committed(&text("g")).count(), 0);
}

#[test]
fn sessions_begin_when_everything_is_loaded() {
    let mut world = stable();
    world.now.mono = world.now.mono.after(Duration::from_secs(3600));
    world.fail_over();
    assert_eq!(world.told(Asked::Heartbeat(who("a", 2))), Answer::Done);
}
