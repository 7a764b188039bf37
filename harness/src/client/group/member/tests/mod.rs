//! A member by transcript: what it is told, and what it then wants done, word by word.

pub(crate) mod coordinator;
mod epochs;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use broker::ids::TopicPartition;
use bytes::Bytes;

use super::super::assign::Partitions;
use super::super::protocol::{Assignment, Subscription};
use super::words::{Answer, Joined};
use super::*;
use crate::client::backoff::Backoff;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn rules(assignor: Assignor) -> Rules {
    Rules {
        instance: None,
        assignors: vec![assignor],
        session_timeout: ms(300),
        heartbeat_interval: ms(100),
        max_poll_interval: ms(1000),
        retry: Backoff { first: ms(10), most: ms(50) },
    }
}

fn set(of: &[i32]) -> BTreeSet<TopicPartition> {
    of.iter().map(|number| TopicPartition::new("t", *number)).collect()
}

/// A member and its clock.
struct Subject {
    member: Membership,
    now: Mono,
}

impl Subject {
    fn new(rules: Rules) -> Self {
        Self { member: Membership::new(rules, 7, Mono(0)), now: Mono(0) }
    }

    fn tell(&mut self, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.member.step(self.now, input, &mut out);
        out
    }

    fn pass(&mut self, millis: u64) -> Vec<Effect> {
        self.now = self.now.after(ms(millis));
        self.tell(Input::Tick)
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer) -> Vec<Effect> {
        self.tell(Input::Answer(ticket, answer))
    }

    /// Subscribes, finds the coordinator, and sends its first JoinGroup. Returns its ticket.
    fn joining(&mut self) -> Ticket {
        assert_eq!(self.tell(Input::Subscribe(["t".into()].into())), [Effect::Find(1)]);
        let out = self.answer(1, Answer::Found(0));
        let [Effect::Join(ticket, id, _)] = &out[..] else { panic!("{out:?}") };
        assert_eq!(&**id, "");
        *ticket
    }

    /// Joins as a follower with that id; `assigned` in generation 5.
    fn follows(&mut self, assigned: &[i32]) {
        let ticket = self.joining();
        self.follows_on(ticket, 5, assigned);
    }

    /// The answers to a JoinGroup and the SyncGroup after it. Returns what followed.
    fn follows_on(&mut self, ticket: Ticket, generation: i32, assigned: &[i32]) -> Vec<Effect> {
        let out = self.answer(ticket, Answer::Joined(Box::new(self.joined(generation, "leader"))));
        let [Effect::Entered { leads: false, .. }, Effect::Sync { ticket, assignments, .. }] = &out[..] else {
            panic!("{out:?}")
        };
        assert!(assignments.is_empty());
        let mut out = self.answer(*ticket, Answer::Synced(0, Assignment { partitions: set(assigned) }.encode()));
        assert_eq!(out.remove(0), Effect::Synced { generation });
        out
    }

    fn joined(&self, generation: i32, leader: &str) -> Joined {
        Joined {
            generation,
            protocol: self.member.rules.assignors[0].name().into(),
            leader: leader.into(),
            member_id: "me".into(),
            ..Joined::default()
        }
    }

    /// The ticket of the one JoinGroup in `out`, and what it tells of the partitions owned.
    fn join_in(out: &[Effect]) -> (Ticket, BTreeSet<TopicPartition>, i32) {
        let joins = out.iter().find_map(|effect| match effect {
            Effect::Join(ticket, _, protocols) => Some((*ticket, protocols[0].1.clone())),
            _ => None,
        });
        let (ticket, metadata) = joins.unwrap_or_else(|| panic!("no join in {out:?}"));
        let told = Subscription::decode(&metadata).unwrap();
        (ticket, told.owned, told.generation)
    }

    /// Lets time pass until the next heartbeat, and answers it so.
    fn beat(&mut self, code: i16) -> Vec<Effect> {
        let out = self.pass(100);
        let [Effect::Beat(ticket, ..)] = out[..] else { panic!("{out:?}") };
        self.answer(ticket, Answer::Beat(code))
    }
}

#[test]
fn takes_the_id_it_is_given_and_joins_with_it_at_once() {
    let mut me = Subject::new(rules(Assignor::Range));
    let ticket = me.joining();
    let required = Joined { code: 79, member_id: "me".into(), ..Joined::default() };
    let out = me.answer(ticket, Answer::Joined(Box::new(required)));
    let [Effect::Join(ticket, id, _)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(&**id, "me");
    let out = me.follows_on(*ticket, 1, &[0]);
    assert_eq!(out, [Effect::Assigned { generation: 1, added: set(&[0]) }]);
    assert_eq!(me.member.identity(), Some(("me".into(), 1)));
    assert!(me.member.is_stable());
}

#[test]
fn the_leader_shares_out_what_there_is_and_looks_out_for_more() {
    let mut me = Subject::new(rules(Assignor::Range));
    let ticket = me.joining();
    let topics = BTreeSet::from(["t".into()]);
    let told = |id: &str| Told {
        id: id.into(),
        instance: None,
        metadata: Assignor::Range.subscription(&topics, &BTreeSet::new(), -1).encode(),
    };
    let joined = Joined { members: vec![told("me"), told("you")], ..me.joined(1, "me") };
    let out = me.answer(ticket, Answer::Joined(Box::new(joined)));
    assert_eq!(out, [Effect::Entered { generation: 1, leads: true }, Effect::Lookup(3, topics)]);
    let partitions = |count| Partitions::from([("t".into(), count)]);
    let out = me.answer(3, Answer::Partitions(partitions(3)));
    let [Effect::Sync { ticket, assignments, .. }] = &out[..] else { panic!("{out:?}") };
    let share = |of: &[i32]| Assignment { partitions: set(of) }.encode();
    assert_eq!(*assignments, [("me".into(), share(&[0, 1])), ("you".into(), share(&[2]))]);
    me.answer(*ticket, Answer::Synced(0, share(&[0, 1])));
    assert_eq!(me.tell(Input::Partitions(partitions(3))), []);
    let out = me.tell(Input::Partitions(partitions(4)));
    assert_eq!(out, [Effect::Revoke(5, set(&[0, 1]))], "more to share out: a new round");
}

#[test]
fn an_eager_member_gives_everything_up_before_it_joins() {
    let mut me = Subject::new(rules(Assignor::Sticky));
    me.follows(&[0, 1]);
    let out = me.beat(27);
    let [Effect::Revoke(ticket, what)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(*what, set(&[0, 1]));
    assert!(matches!(me.pass(100)[..], [Effect::Beat(..)]), "alive while it gives up");
    let out = me.tell(Input::GivenUp(*ticket));
    let [Effect::Join(_, _, protocols)] = &out[..] else { panic!("{out:?}") };
    assert!(me.member.owned().is_empty());
    let seen = Assignor::Sticky.member("me".into(), None, &protocols[0].1);
    assert_eq!((seen.owned, seen.generation), (set(&[0, 1]), 5), "the leader hears what it had");
}

#[test]
fn a_cooperative_member_keeps_what_stays_and_joins_again_for_what_it_gave_up() {
    let mut me = Subject::new(rules(Assignor::CooperativeSticky));
    me.follows(&[0, 1]);
    let (ticket, owned, generation) = Subject::join_in(&me.beat(27));
    assert_eq!((owned, generation), (set(&[0, 1]), 5));
    let out = me.follows_on(ticket, 6, &[1, 2]);
    let [Effect::Revoke(ticket, what)] = &out[..] else { panic!("{out:?}") };
    assert_eq!(*what, set(&[0]));
    assert_eq!(*me.member.owned(), set(&[0, 1]), "until it is given up");
    let out = me.tell(Input::GivenUp(*ticket));
    assert_eq!(out[0], Effect::Assigned { generation: 6, added: set(&[2]) });
    let (_, owned, generation) = Subject::join_in(&out);
    assert_eq!((owned, generation), (set(&[1, 2]), 6));
}

#[test]
fn a_leader_that_has_left_something_to_nobody_asks_for_the_second_round_if_nobody_else_does() {
    let topics = BTreeSet::from(["t".into()]);
    let told = |id: &str, owned: &[i32], fixed: bool| Told {
        id: id.into(),
        instance: fixed.then(|| id.into()),
        metadata: Assignor::CooperativeSticky.subscription(&topics, &set(owned), 4).encode(),
    };
    let lead = |owned: &[i32], skip_assignment, fixed| {
        let mut me = Subject::new(rules(Assignor::CooperativeSticky));
        let ticket = me.joining();
        let members = vec![told("me", &[], false), told("you", owned, fixed)];
        let joined = Joined { members, skip_assignment, ..me.joined(5, "me") };
        me.answer(ticket, Answer::Joined(Box::new(joined)));
        let out = me.answer(3, Answer::Partitions(Partitions::from([("t".into(), 4)])));
        let [Effect::Sync { ticket, .. }] = out[..] else { panic!("{out:?}") };
        me.answer(ticket, Answer::Synced(0, Assignment { partitions: set(&[]) }.encode()));
        me
    };
    let joins_in_a_session = |mut me: Subject| {
        let early = [me.beat(0), me.beat(0)].concat();
        assert!(!early.iter().any(|effect| matches!(effect, Effect::Join(..))), "{early:?}");
        assert_eq!(me.member.next(), Some(me.now.after(ms(100))));
        me.pass(100).iter().any(|effect| matches!(effect, Effect::Join(..)))
    };
    assert!(
        joins_in_a_session(lead(&[0, 1, 2, 3], false, true)),
        "you keep two, and me gets them only once you have given them up"
    );
    assert!(!joins_in_a_session(lead(&[0, 1], false, true)), "all is somebody's");
    assert!(!joins_in_a_session(lead(&[0, 1, 2, 3], false, false)), "whoever gives up is there to say so");
    assert!(joins_in_a_session(lead(&[], true, true)), "it does not know what it shared out in its last life");
}

#[test]
fn a_member_that_missed_a_round_says_when_it_was_given_what_it_claims() {
    let mut me = Subject::new(rules(Assignor::CooperativeSticky));
    me.follows(&[0]);
    let (ticket, ..) = Subject::join_in(&me.beat(27));
    let joined = me.joined(6, "leader");
    let out = me.answer(ticket, Answer::Joined(Box::new(joined)));
    let Some(Effect::Sync { ticket, .. }) = out.last() else { panic!("{out:?}") };
    assert_eq!(me.answer(*ticket, Answer::Synced(27, Bytes::new())), []);
    let (_, owned, generation) = Subject::join_in(&me.pass(20));
    assert_eq!((owned, generation), (set(&[0]), 5), "not 6: it was given nothing in 6");
}

#[test]
fn whoever_is_fenced_has_lost_what_it_owned() {
    for (code, id) in [(22, "me"), (25, "")] {
        let mut me = Subject::new(rules(Assignor::CooperativeSticky));
        me.follows(&[3]);
        let out = me.beat(code);
        assert_eq!(out[0], Effect::Lost(set(&[3])), "code {code}");
        assert_eq!(me.member.identity(), None, "nothing is committed in its name any more");
        let Effect::Join(_, with, _) = &out[1] else { panic!("{out:?}") };
        assert_eq!(&**with, id, "code {code}");
    }
    let mut me = Subject::new(Rules { instance: Some("i".into()), ..rules(Assignor::Range) });
    me.follows(&[3]);
    assert_eq!(me.beat(82), [Effect::Lost(set(&[3])), Effect::Fatal(82)]);
    assert_eq!((me.pass(10_000), me.member.next()), (vec![], None), "another has its name: it is over");
}

#[test]
fn a_new_coordinator_finds_the_member_where_it_was() {
    let mut me = Subject::new(rules(Assignor::Range));
    me.follows(&[0]);
    let out = me.beat(16);
    let [Effect::Forget, Effect::Find(ticket)] = out[..] else { panic!("{out:?}") };
    assert_eq!(me.answer(ticket, Answer::Failed), []);
    let out = me.pass(60);
    let [Effect::Find(ticket)] = out[..] else { panic!("{out:?}") };
    let out = me.answer(ticket, Answer::Found(0));
    assert!(out.is_empty() && me.member.is_stable(), "{out:?}");
    assert_eq!(me.beat(0), []);
    assert_eq!(*me.member.owned(), set(&[0]));
}

#[test]
fn silence_for_a_session_is_a_lost_coordinator() {
    let mut me = Subject::new(rules(Assignor::Range));
    me.follows(&[0]);
    assert!(matches!(me.pass(100)[..], [Effect::Beat(..)]));
    assert_eq!(me.pass(150), []);
    assert!(matches!(me.pass(50)[..], [Effect::Forget, Effect::Find(_)]));
}

#[test]
fn whoever_does_not_poll_leaves_and_comes_back_when_it_does() {
    let mut me = Subject::new(rules(Assignor::Range));
    me.follows(&[0]);
    for _ in 0..9 {
        me.beat(0);
    }
    assert_eq!(me.pass(100), [Effect::Leave("me".into()), Effect::Lost(set(&[0]))]);
    assert_eq!((me.pass(5000), me.member.next()), (vec![], None));
    assert!(matches!(me.tell(Input::Polled)[..], [Effect::Join(..)]));
    let mut me = Subject::new(Rules { instance: Some("i".into()), ..rules(Assignor::Range) });
    me.follows(&[0]);
    assert_eq!(me.pass(1000), [Effect::Lost(set(&[0]))], "a static member says nothing");
}

#[test]
fn a_commit_that_was_refused_tells_of_the_fence() {
    let mut me = Subject::new(rules(Assignor::CooperativeSticky));
    me.follows(&[0]);
    assert_eq!(me.tell(Input::CommitRefused { generation: 4, code: 22 }), [], "of an older generation");
    let out = me.tell(Input::CommitRefused { generation: 5, code: 22 });
    assert_eq!(out[0], Effect::Lost(set(&[0])));
    assert_eq!(me.tell(Input::CommitRefused { generation: -1, code: 22 }), [], "it is joining already");
}

#[test]
fn nothing_begins_that_is_not_wanted_any_more() {
    let mut me = Subject::new(rules(Assignor::Range));
    let ticket = me.joining();
    me.tell(Input::Subscribe(["u".into()].into()));
    let out = me.follows_on(ticket, 1, &[0, 1]);
    assert_eq!(out[0], Effect::Assigned { generation: 1, added: set(&[]) });
    assert!(matches!(out[1], Effect::Join(..)), "it joins again for what it wants");
}

#[test]
fn leaving_is_said_by_dynamic_members_only() {
    let mut me = Subject::new(rules(Assignor::Range));
    me.follows(&[0]);
    assert_eq!(me.tell(Input::Leave), [Effect::Leave("me".into())]);
    assert_eq!(me.member.next(), None);
    let mut me = Subject::new(Rules { instance: Some("i".into()), ..rules(Assignor::Range) });
    me.follows(&[0]);
    assert_eq!(me.tell(Input::Leave), []);
}

#[test]
fn stale_answers_are_nothing() {
    let mut me = Subject::new(rules(Assignor::Range));
    let ticket = me.joining();
    let joined = me.joined(9, "leader");
    assert_eq!(me.answer(ticket + 1, Answer::Joined(Box::new(joined))), []);
    assert_eq!(me.answer(ticket, Answer::Failed), [Effect::Forget], "the way to the coordinator broke");
    let joined = me.joined(9, "leader");
    assert_eq!(me.answer(ticket, Answer::Joined(Box::new(joined))), []);
    assert_eq!(me.member.identity(), None);
}
