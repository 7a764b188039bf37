//! Groups of the newer protocol: cases that matter by name.

use std::time::Duration;

use kafka_protocol::error::ResponseError;
use uuid::Uuid;

use super::world::*;
use crate::config::GroupConfig;
use crate::controller::record::{TopicId, text};
use crate::group::consumer::entry::Entry;
use crate::group::consumer::{Beat, Beaten, Parts, Progress, Resolved, Roster, Said, Standing};
use crate::group::record::Record;
use crate::group::request::Commits;
use crate::group::{Answer, Asked, Input};
use crate::ids::TopicPartition;

pub fn topic(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

pub fn parts(numbers: impl IntoIterator<Item = i32>) -> Parts {
    numbers.into_iter().map(|number| (topic(1), number)).collect()
}

impl World {
    /// With so many partitions of topic `t`.
    pub fn of_consumers(count: i32) -> Self {
        let mut world = World::new();
        world.tell_topics(&[("t", 1, count)]);
        world
    }

    /// These are the topics from now on: name, identity, partitions.
    pub fn tell_topics(&mut self, all: &[(&str, u128, i32)]) {
        self.topics.version += 1;
        self.topics.all = all.iter().map(|(name, id, count)| ((*name).into(), (topic(*id), *count))).collect();
        self.input(Input::Topics(self.topics.clone().into()));
    }

    pub fn roster(&self) -> Roster {
        self.shard.roster(&text("g")).cloned().unwrap_or_default()
    }

    pub fn beaten(&mut self, beat: Beat) -> Beaten {
        match self.told(Asked::Beat(Box::new(beat))) {
            Answer::Beaten(beaten) => beaten,
            other => panic!("refused: {other:?}"),
        }
    }

    pub fn refusal(&mut self, beat: Beat) -> ResponseError {
        match self.told(Asked::Beat(Box::new(beat))) {
            Answer::No(error) => error,
            other => panic!("not refused: {other:?}"),
        }
    }
}

/// The first heartbeat of a member that wants to read `t`.
pub fn enters(member: &str) -> Beat {
    Beat {
        group: text("g"),
        member: text(member),
        rebalance_timeout: Some(3000),
        names: Some([text("t")].into()),
        owns: Some(Parts::new()),
        ..Beat::default()
    }
}

/// A later one, in which nothing is new; `owns`: that it says what it owns.
pub fn beat(member: &str, epoch: i32, owns: Option<Parts>) -> Beat {
    Beat { group: text("g"), member: text(member), epoch, owns, ..Beat::default() }
}

#[test]
fn a_partition_goes_to_its_next_owner_once_the_last_one_has_given_it_up() {
    let mut world = World::of_consumers(4);
    let first = world.beaten(enters("a"));
    assert_eq!((first.epoch, first.assigned), (1, Some(parts(0..4))));
    let second = world.beaten(enters("b"));
    assert_eq!((second.epoch, second.assigned), (2, Some(parts([]))), "all of it is the other's still");
    assert_eq!(world.roster().state(), "Reconciling");
    let told = world.beaten(beat("a", 1, None));
    let kept = told.assigned.unwrap();
    assert_eq!((told.epoch, kept.len()), (1, 2), "in its old epoch it gives up");
    assert_eq!(world.beaten(beat("b", 2, None)).assigned, None);
    assert_eq!(world.beaten(beat("a", 1, None)).assigned, None, "and has not yet");
    assert_eq!(world.told(commit(who("a", 1), 0, 5)), Answer::Offsets(vec![Ok(())]));
    let Asked::Commit(commits) = commit(who("a", 1), 0, 6) else { unreachable!() };
    let old = Asked::Commit(Commits { by_epoch: false, ..commits });
    assert_eq!(world.told(old), Answer::No(ResponseError::UnsupportedVersion), "version 8 has generations only");
    let told = world.beaten(beat("a", 1, Some(kept.clone())));
    assert_eq!((told.epoch, told.assigned), (2, None), "what it has is not news");
    assert_eq!(world.told(commit(who("a", 1), 0, 6)), Answer::No(ResponseError::StaleMemberEpoch));
    let told = world.beaten(beat("b", 2, None));
    assert_eq!(told.assigned.unwrap(), parts(0..4).difference(&kept).copied().collect::<Parts>());
    assert_eq!((world.roster().state(), world.beaten(beat("b", 2, None)).assigned), ("Stable", None));
}

#[test]
fn nobody_is_answered_before_it_is_committed_and_what_waits_is_taken_in_together() {
    let mut world = World::of_consumers(2);
    world.prompt = false;
    let first = world.ask(Asked::Beat(Box::new(enters("a"))));
    let others = ["b", "c"].map(|name| world.ask(Asked::Beat(Box::new(enters(name)))));
    assert_eq!((world.log.len(), world.answers.len(), world.roster()), (1, 0, Roster::default()));
    world.commit_all();
    assert!(world.answers.contains_key(&first));
    assert_eq!((world.log.len(), world.roster().members.len()), (2, 1));
    world.commit_all();
    assert!(others.iter().all(|ticket| matches!(&world.answers[ticket], Answer::Beaten(it) if it.epoch > 1)));
    assert_eq!(world.roster().members.len(), 3);
}

#[test]
fn what_cannot_be_written_is_not_so() {
    let mut world = World::of_consumers(2);
    world.broken = true;
    assert_eq!(world.refusal(enters("a")), ResponseError::CoordinatorNotAvailable);
    assert_eq!((world.state(), world.shard.due() > world.now.mono), ("none", true));
    world.broken = false;
    world.beaten(enters("a"));
    world.broken = true;
    world.pass(46_000);
    assert_eq!((world.roster().members.len(), world.shard.due() > world.now.mono), (1, true));
    world.broken = false;
    world.pass(500);
    assert_eq!((world.roster().members.len(), world.roster().state()), (0, "Empty"));
}

#[test]
fn the_silent_and_those_who_give_nothing_up_are_thrown_out() {
    let mut world = World::of_consumers(2);
    world.beaten(enters("a"));
    world.beaten(enters("b"));
    assert_eq!(world.beaten(beat("a", 1, None)).assigned.unwrap().len(), 1);
    world.pass(2900);
    assert_eq!(world.beaten(beat("a", 1, None)).epoch, 1);
    world.pass(200);
    assert_eq!(world.refusal(beat("a", 1, None)), ResponseError::UnknownMemberId, "3 s were enough");
    assert_eq!(world.roster().state(), "Assigning");
    assert_eq!(world.beaten(beat("b", 2, None)).assigned.unwrap().len(), 2);
    world.pass(44_000);
    assert_eq!(world.roster().members.len(), 1);
    world.pass(1100);
    assert_eq!(world.roster().members.len(), 0);
    assert_eq!(world.told(commit(who("b", 3), 0, 5)), Answer::No(ResponseError::UnknownMemberId));
}

#[test]
fn whoever_has_given_up_in_time_has_as_long_again_for_what_comes_next() {
    let mut world = World::of_consumers(4);
    world.beaten(enters("a"));
    world.beaten(enters("b"));
    let kept = world.beaten(beat("a", 1, None)).assigned.unwrap();
    world.pass(2000);
    world.beaten(enters("c"));
    world.beaten(enters("d"));
    // What it keeps is for others, too, by now.
    let told = world.beaten(beat("a", 1, Some(kept)));
    assert_eq!((told.epoch, told.assigned.map(|it| it.len())), (1, Some(1)));
    world.pass(2000);
    assert_eq!(world.roster().members.len(), 4);
    world.pass(1000);
    assert_eq!(world.roster().members.len(), 3);
}

#[test]
fn epochs_fence_and_lost_answers_do_not() {
    let mut world = World::of_consumers(2);
    assert_eq!(world.refusal(beat("a", 1, None)), ResponseError::GroupIdNotFound);
    world.beaten(enters("a"));
    assert_eq!(world.beaten(enters("a")).assigned, Some(parts(0..2)), "it has not heard of it");
    world.beaten(enters("b"));
    let kept = world.beaten(beat("a", 1, None)).assigned.unwrap();
    world.beaten(beat("a", 1, Some(kept.clone())));
    // It is in epoch 2, and does not know.
    assert_eq!(world.beaten(beat("a", 1, Some(kept))).epoch, 2);
    assert_eq!(world.refusal(beat("a", 1, None)), ResponseError::FencedMemberEpoch);
    assert_eq!(world.refusal(beat("a", 1, Some(parts(0..2)))), ResponseError::FencedMemberEpoch);
    assert_eq!(world.refusal(beat("a", 3, None)), ResponseError::FencedMemberEpoch);
    assert_eq!(world.refusal(beat("z", 1, None)), ResponseError::UnknownMemberId);
    // Whoever is fenced begins anew.
    assert_eq!(world.beaten(enters("a")).epoch, 2);
    let at = |world: &World, member: Option<&str>, epoch| {
        world.shard.check_fetch(&text("g"), member.map(text).as_ref(), epoch)
    };
    assert_eq!(at(&world, Some("a"), 2), Ok(()));
    assert_eq!(at(&world, Some("a"), 1), Err(ResponseError::StaleMemberEpoch));
    assert_eq!(at(&world, Some("z"), 1), Err(ResponseError::UnknownMemberId));
    assert_eq!(at(&world, None, -1), Ok(()));
}

#[test]
fn whoever_is_being_thrown_out_commits_nothing_any_more() {
    let mut world = World::of_consumers(2);
    world.beaten(enters("a"));
    world.prompt = false;
    world.pass(46_000);
    assert_eq!(world.roster().members.len(), 1, "as far as is committed");
    assert_eq!(world.told(commit(who("a", 1), 0, 5)), Answer::No(ResponseError::UnknownMemberId));
}

#[test]
fn a_static_member_keeps_its_place_while_it_is_away() {
    let fixed = |beat: Beat| Beat { instance: Some(text("i")), ..beat };
    let mut world = World::of_consumers(4);
    world.beaten(enters("a"));
    world.beaten(fixed(enters("old")));
    let kept = world.beaten(beat("a", 1, None)).assigned.unwrap();
    world.beaten(beat("a", 1, Some(kept)));
    let had = world.beaten(beat("old", 2, None)).assigned.unwrap();
    assert_eq!((had.len(), world.refusal(fixed(enters("new")))), (2, ResponseError::UnreleasedInstanceId));
    assert_eq!(world.beaten(fixed(beat("old", -2, None))).epoch, -2);
    assert_eq!(world.refusal(fixed(beat("old", 2, None))), ResponseError::FencedMemberEpoch);
    let back = world.beaten(fixed(enters("new")));
    assert_eq!((back.epoch, back.assigned), (2, Some(had)), "nobody else noticed");
    assert_eq!(world.refusal(fixed(beat("old", 2, None))), ResponseError::FencedInstanceId);
    assert_eq!(world.roster().members.len(), 2);
    world.beaten(fixed(beat("new", -2, None)));
    // It does not come back.
    world.pass(40_000);
    world.beaten(beat("a", 2, None));
    world.pass(6000);
    assert_eq!((world.roster().members.len(), world.beaten(beat("a", 2, None)).assigned), (1, Some(parts(0..4))));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut world = World::with(GroupConfig { consumer_max_size: 1, ..World::new().settings });
    world.tell_topics(&[("t", 1, 2)]);
    for senseless in [
        Beat { member: text(""), ..enters("a") },
        Beat { instance: Some(text("")), ..enters("a") },
        Beat { rack: Some(text("")), ..enters("a") },
        Beat { rebalance_timeout: None, ..enters("a") },
        Beat { names: None, ..enters("a") },
        Beat { owns: None, ..enters("a") },
        Beat { owns: Some(parts([1])), ..enters("a") },
        beat("a", -2, None),
        beat("a", -3, None),
    ] {
        assert_eq!(world.refusal(senseless), ResponseError::InvalidRequest);
    }
    let unknown = Beat { assignor: Some(text("sticky")), ..enters("a") };
    assert_eq!(world.refusal(unknown), ResponseError::UnsupportedAssignor);
    for broken in ["(", "a)(b", "[z"] {
        let broken = Beat { regex: Some(text(broken)), ..enters("a") };
        assert_eq!(world.refusal(broken), ResponseError::InvalidRegularExpression);
    }
    assert_eq!(world.state(), "none");
    world.beaten(enters("a"));
    assert_eq!(world.refusal(enters("b")), ResponseError::GroupMaxSizeReached);
}

#[test]
fn topics_that_are_made_grow_or_go_are_shared_out_anew() {
    let mut world = World::of_consumers(1);
    let all = Beat { names: None, regex: Some(text("[tu]\\d?")), assignor: Some(text("range")), ..enters("a") };
    assert_eq!(world.beaten(all).assigned, Some(parts([0])));
    assert_eq!(world.roster().regexes[&text("[tu]\\d?")].topics, [text("t")].into());
    world.tell_topics(&[("t", 1, 2), ("u7", 2, 1), ("tt", 3, 1)]);
    let told = world.beaten(beat("a", 1, None));
    assert_eq!((told.epoch, told.assigned), (2, Some([(topic(1), 0), (topic(1), 1), (topic(2), 0)].into())));
    assert_eq!(world.beaten(beat("a", 2, None)).assigned, None);
    // Another topic of the same name is another topic.
    world.tell_topics(&[("t", 4, 1)]);
    let told = world.beaten(beat("a", 2, None));
    assert_eq!((told.epoch, told.assigned), (2, Some(Parts::new())), "first it gives up what is gone");
    let told = world.beaten(beat("a", 2, Some(Parts::new())));
    assert_eq!((told.epoch, told.assigned), (3, Some([(topic(4), 0)].into())));
    world.fail_over();
    assert_eq!(world.beaten(beat("a", 3, None)).epoch, 3, "the next coordinator sees nothing new");
    let by_name = Beat { regex: Some(text("")), names: Some([text("t")].into()), ..beat("a", 3, None) };
    assert_eq!(world.beaten(by_name).epoch, 4);
    assert!(world.roster().regexes.is_empty());
}

#[test]
fn the_next_coordinator_knows_everything() {
    let mut world = World::of_consumers(4);
    world.beaten(Beat { regex: Some(text("t.*")), rack: Some(text("r")), ..enters("a") });
    world.beaten(Beat { instance: Some(text("i")), assignor: Some(text("uniform")), ..enters("b") });
    world.beaten(beat("a", 1, None));
    let before = world.roster();
    world.fail_over();
    assert_eq!((world.roster(), before.members[&text("a")].standing.progress), (before, Progress::Revoking));
    // Sessions, and the time for giving up, begin anew.
    world.pass(2900);
    assert_eq!(world.roster().members.len(), 2);
    world.pass(200);
    assert_eq!(world.roster().members.len(), 1);
}

#[test]
fn the_two_protocols_do_not_mix_but_follow_one_another() {
    let mut world = World::of_consumers(2);
    world.told(commit(who("", -1), 0, 5));
    world.enter("x");
    assert_eq!(world.refusal(enters("a")), ResponseError::GroupIdNotFound);
    world.told(sync("x", 1, &["x"]));
    world.told(leave("x"));
    world.beaten(enters("a"));
    assert_eq!(world.state(), "none", "there is no classic group of that name");
    let refused = Answer::NotJoined(ResponseError::InconsistentGroupProtocol, text(""));
    assert_eq!(world.told(join("x", "")), refused);
    assert_eq!(world.told(Asked::Heartbeat(who("x", 1))), Answer::No(ResponseError::UnknownMemberId));
    assert_eq!(world.told(Asked::Delete(text("g"))), Answer::No(ResponseError::NonEmptyGroup));
    world.fail_over();
    assert_eq!((world.roster().members.len(), world.state()), (1, "none"));
    world.beaten(beat("a", -1, None));
    assert_eq!(world.enter("x").unwrap().generation, 1);
    world.told(sync("x", 1, &["x"]));
    world.fail_over();
    assert_eq!((world.roster(), world.state()), (Roster::default(), "Stable"));
    let tp = TopicPartition::new("t", 0);
    assert_eq!(world.shard.committed(&text("g"), &tp).map(|it| it.offset), Some(5), "through all of it");
}

#[test]
fn a_group_that_is_deleted_is_gone_for_good() {
    let mut world = World::of_consumers(2);
    world.beaten(Beat { regex: Some(text("t")), ..enters("a") });
    world.told(commit(who("a", 1), 0, 5));
    assert_eq!(
        world.told(Asked::Forget(text("g"), vec![TopicPartition::new("t", 0)])),
        Answer::Offsets(vec![Err(ResponseError::GroupSubscribedToTopic)])
    );
    world.beaten(beat("a", -1, None));
    assert_eq!(world.told(commit(who("", -1), 0, 6)), Answer::Offsets(vec![Ok(())]));
    // Whoever enters meanwhile is in a group.
    world.prompt = false;
    world.ask(Asked::Delete(text("g")));
    world.ask(Asked::Beat(Box::new(enters("b"))));
    world.commit_all();
    world.prompt = true;
    let before = world.roster();
    world.fail_over();
    assert_eq!((world.roster(), before.members.len()), (before, 1));
    world.beaten(beat("b", -1, None));
    assert_eq!(world.told(Asked::Delete(text("g"))), Answer::Done);
    world.fail_over();
    assert_eq!((world.shard.list().count(), world.shard.all_committed(&text("g")).count()), (0, 0));
}

#[test]
fn a_group_without_members_goes_when_what_it_has_committed_expires() {
    let mut world = World::of_consumers(2);
    world.beaten(enters("a"));
    world.told(commit(who("a", 1), 0, 5));
    world.beaten(beat("a", -1, None));
    world.pass(601_000);
    assert_eq!(world.shard.list().count(), 1);
    world.pass(8 * 24 * 3600 * 1000);
    assert_eq!(world.shard.list().count(), 0);
}

/// As `GroupCoordinatorRecordHelpers` of Kafka 4.1 lays them out.
#[test]
fn entries_are_laid_out_as_kafka_lays_them_out() {
    let said = Said {
        instance: None,
        rack: Some(text("r")),
        client_id: text("c"),
        client_host: text("/h"),
        names: [text("t")].into(),
        regex: None,
        rebalance_timeout: 7,
        assignor: Some(text("range")),
    };
    let standing =
        Standing { epoch: 3, previous: 2, progress: Progress::Revoking, assigned: parts([5]), revoking: parts([]) };
    let id = "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01";
    let cases = [
        (Entry::Epoch(Some((4, 9))), "\0\x03\0\x01g", "\0\0\0\0\0\x04\x01\0\x08\0\0\0\0\0\0\0\x09".to_owned()),
        (
            Entry::Member(text("m"), Some(said)),
            "\0\x05\0\x01g\0\x01m",
            "\0\0\0\x02r\x02c\x03/h\x02\x02t\0\0\0\0\x07\x06range\0".into(),
        ),
        (Entry::TargetEpoch(Some(4)), "\0\x06\0\x01g", "\0\0\0\0\0\x04\0".into()),
        (Entry::Target(text("m"), Some(parts([5]))), "\0\x07\0\x01g\0\x01m", format!("\0\0\x02{id}\x02\0\0\0\x05\0\0")),
        (
            Entry::Standing(text("m"), Some(standing)),
            "\0\x08\0\x01g\0\x01m",
            format!("\0\0\0\0\0\x03\0\0\0\x02\x01\x02{id}\x02\0\0\0\x05\0\x01\0"),
        ),
        (
            Entry::Regex(text("t.*"), Some(Resolved { topics: [text("t")].into(), version: 1, at: 2 })),
            "\0\x10\0\x01g\0\x03t.*",
            "\0\0\x02\x02t\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0".into(),
        ),
    ];
    for (entry, key, value) in cases {
        let record = Record::Consumer { group: text("g"), entry };
        assert_eq!(record.encode(), (key.as_bytes().to_vec(), Some(value.clone().into_bytes())));
        assert_eq!(Record::decode(key.as_bytes(), Some(value.as_bytes())), Some(record));
        for cut in 0..value.len() {
            assert_eq!(
                Record::decode(key.as_bytes(), Some(&value.as_bytes()[..cut])).filter(|_| cut < value.len() - 1),
                None
            );
        }
        assert!(matches!(Record::decode(key.as_bytes(), None), Some(Record::Consumer { entry, .. }) if entry.is_end()));
    }
    // As brokers before 4.1 wrote it.
    let old = Record::decode(b"\0\x03\0\x01g", Some(b"\0\0\0\0\0\x04\0"));
    assert_eq!(old, Some(Record::Consumer { group: text("g"), entry: Entry::Epoch(Some((4, 0))) }));
}

#[test]
fn sessions_of_those_who_wait_for_a_write_do_not_end() {
    let mut world = World::of_consumers(2);
    world.beaten(enters("a"));
    world.prompt = false;
    let waits = world.ask(Asked::Beat(Box::new(enters("b"))));
    let beats = world.ask(Asked::Beat(Box::new(beat("a", 1, None))));
    world.now.mono = world.now.mono.after(Duration::from_secs(60));
    world.input(Input::Tick);
    assert!(world.shard.due() > world.now.mono);
    world.prompt = true;
    world.commit_all();
    assert!(matches!((&world.answers[&waits], &world.answers[&beats]), (Answer::Beaten(_), Answer::Beaten(_))));
    assert_eq!(world.roster().members.len(), 2);
}
