//! The subscribing consumer against a scripted broker: what comes out of its polls, and what it commits when.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use broker::env::Env;
use broker::ids::TopicPartition;

use super::fake::Fake;
use super::world::{self, World};
use super::{client, config, ms, start};
use crate::client::consumer::{ConsumerConfig, OutOfRange};
use crate::client::group::assign::Assignor;
use crate::client::group::config::{GroupConfig, Promise, Topics};
use crate::client::group::consumer::{Got, GroupConsumer};
use crate::client::group::watch::OnTape;
use crate::client::outcome::NO_OFFSET;
use crate::client::producer::Producer;
use crate::client::record::Record;
use crate::history::{Call, GroupStep, Kind, Outcome, Reply, Tape};

/// A broker of `partitions` partitions with so many records in each: bytes, first the partition, then the offset.
async fn filled(world: &World, partitions: i32, each: u8) -> Rc<Fake> {
    let (fake, client) = start(world, partitions);
    let producer = Producer::new(client, config());
    for partition in 0..partitions {
        for n in 0..each {
            let value = vec![u8::try_from(partition).unwrap(), n];
            producer.send(Record { partition: Some(partition), ..Record::new("t", value) }).await.unwrap();
        }
    }
    fake
}

fn grouped() -> GroupConfig {
    GroupConfig {
        assignors: vec![Assignor::CooperativeSticky],
        session_timeout: ms(300),
        heartbeat_interval: ms(100),
        max_poll_interval: ms(400),
        patience: ms(500),
        fetch: ConsumerConfig {
            out_of_range: OutOfRange::Earliest,
            max_wait: ms(20),
            partition_max_bytes: 70,
            ..ConsumerConfig::default()
        },
        ..GroupConfig::new("g")
    }
}

fn member(world: &World, config: GroupConfig) -> GroupConsumer<World> {
    let consumer = GroupConsumer::new(client(world), config);
    consumer.subscribe(Topics::List(["t".into()].into()));
    consumer
}

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

/// What polls brought: in words, and the records by partition.
#[derive(Default)]
struct Seen {
    words: Vec<String>,
    records: BTreeMap<i32, Vec<u8>>,
}

impl Seen {
    fn take(&mut self, got: Got) {
        let list = |of: Vec<&TopicPartition>| of.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        match got {
            Got::Nothing => {}
            Got::Records(polled) => {
                for part in polled {
                    assert_eq!(part.error, None);
                    let values = part.records.iter().map(|record| record.value.as_ref().unwrap()[1]);
                    self.records.entry(part.tp.partition).or_default().extend(values);
                }
            }
            Got::Assigned(_, placed) => {
                let at = placed.iter().map(|(tp, offset)| format!("{tp}@{offset}")).collect::<Vec<_>>();
                self.words.push(format!("assigned {}", at.join(" ")));
            }
            Got::Revoking(what) => self.words.push(format!("revoking {}", list(what.iter().collect()))),
            Got::Lost(what) => self.words.push(format!("lost {}", list(what.iter().collect()))),
        }
    }
}

/// Polls for so many milliseconds.
async fn poll_for(world: &World, consumer: &GroupConsumer<World>, seen: &mut Seen, millis: u64) {
    let until = world.now().after(ms(millis));
    while world.now() < until {
        seen.take(consumer.poll(ms(20)).await.unwrap());
    }
}

#[test]
fn reads_everything_commits_what_is_processed_and_the_next_goes_on_there() {
    world::run(|world| async move {
        let fake = filled(&world, 2, 5).await;
        let consumer = member(&world, grouped());
        let mut seen = Seen::default();
        poll_for(&world, &consumer, &mut seen, 800).await;
        assert_eq!(seen.words, ["assigned t-0@0 t-1@0"]);
        assert_eq!(seen.records, BTreeMap::from([(0, (0..5).collect()), (1, (0..5).collect())]));
        assert_eq!(consumer.committed(&[tp(0)].into(), world.now().after(ms(100))).await.unwrap()[&tp(0)], -1);
        consumer.close(world.now().after(ms(500))).await;
        assert_eq!(*fake.group.committed.borrow(), BTreeMap::from([(0, 5), (1, 5)]));
        let next = member(&world, grouped());
        let mut seen = Seen::default();
        poll_for(&world, &next, &mut seen, 300).await;
        assert_eq!((seen.words, seen.records.len()), (vec!["assigned t-0@5 t-1@5".to_owned()], 0));
    });
}

#[test]
fn a_leader_older_than_what_was_committed_is_not_followed() {
    world::run(|world| async move {
        let fake = filled(&world, 1, 5).await;
        // Its successor had more, and that was read; this one is cut off, and believes that it leads.
        fake.group.committed.borrow_mut().insert(0, 8);
        fake.group.committed_epoch.set(4);
        let consumer = member(&world, grouped());
        let mut seen = Seen::default();
        poll_for(&world, &consumer, &mut seen, 800).await;
        assert_eq!((&*seen.words, seen.records.len()), (&["assigned t-0@8".to_owned()][..], 0));
        fake.epoch.set(5);
        fake.epoch_end.set((4, 10));
        let producer = Producer::new(client(&world), config());
        for n in 5..10 {
            producer.send(Record::new("t", vec![0, n])).await.unwrap();
        }
        let asked = fake.asked_epochs.get();
        poll_for(&world, &consumer, &mut seen, 800).await;
        assert_eq!((seen.words.len(), &*seen.records[&0]), (1, &[8, 9][..]));
        assert_eq!((asked, fake.asked_epochs.get()), (0, 1), "whether its log has what was read is asked of it first");
    });
}

#[test]
fn what_is_being_processed_is_not_committed() {
    world::run(|world| async move {
        let fake = filled(&world, 1, 5).await;
        let config = GroupConfig { auto_commit: Some(ms(1)), ..grouped() };
        let consumer = member(&world, config);
        let mut seen = Seen::default();
        while seen.records.get(&0).is_none_or(|records| records.len() < 3) {
            seen.take(consumer.poll(ms(20)).await.unwrap());
            world.sleep(ms(5)).await;
            let read = seen.records.get(&0).map_or(0, Vec::len);
            let committed = fake.group.committed.borrow().get(&0).copied().unwrap_or(-1);
            assert!(committed < i64::try_from(read).unwrap().max(1), "{committed} of {read}: the last is under way");
        }
        drop(consumer);
        let last = *fake.group.committed.borrow().get(&0).unwrap();
        let next = member(&world, grouped());
        let mut again = Seen::default();
        poll_for(&world, &next, &mut again, 1200).await;
        assert_eq!(i64::from(again.records[&0][0]), last, "the crashed one's last records come again");
    });
}

#[test]
fn at_most_once_commits_before_it_hands_out() {
    world::run(|world| async move {
        let fake = filled(&world, 1, 5).await;
        let consumer = member(&world, GroupConfig { promise: Promise::AtMostOnce, ..grouped() });
        let mut seen = Seen::default();
        fake.group.refuse_commits.borrow_mut().extend([12, 12]);
        while seen.records.get(&0).is_none_or(|records| records.len() < 5) {
            seen.take(consumer.poll(ms(20)).await.unwrap());
            let read = seen.records.get(&0).map_or(0, Vec::len);
            let committed = fake.group.committed.borrow().get(&0).copied().unwrap_or(0);
            assert!(committed >= i64::try_from(read).unwrap());
        }
        assert_eq!(seen.records[&0], [0, 1, 2, 3, 4], "refused commits hand nothing out, and lose nothing");
    });
}

#[test]
fn two_share_and_what_moves_is_given_up_and_committed_first() {
    world::run(|world| async move {
        let fake = filled(&world, 2, 9).await;
        let first = Rc::new(member(&world, grouped()));
        let (mut a, mut b) = (Seen::default(), Seen::default());
        poll_for(&world, &first, &mut a, 300).await;
        let (done, polling) = (Rc::new(Cell::new(false)), first.clone());
        let (over, world2) = (done.clone(), world.clone());
        let mut others = Box::pin(async move {
            let second = member(&world2, grouped());
            poll_for(&world2, &second, &mut b, 1500).await;
            second.close(world2.now().after(ms(500))).await;
            over.set(true);
            b
        });
        let mut second = None;
        let both = std::future::poll_fn(|cx| {
            if second.is_none()
                && let std::task::Poll::Ready(seen) = others.as_mut().poll(cx)
            {
                second = Some(seen);
            }
            if done.get() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        });
        let mut going = Box::pin(async {
            loop {
                poll_for(&world, &polling, &mut a, 50).await;
            }
        });
        broker::env::race(async { going.as_mut().await }, both).await;
        drop(going);
        let b = second.unwrap();
        assert_eq!(a.words, ["assigned t-0@0 t-1@0", "revoking t-1"]);
        let begun = fake.group.commits.borrow().iter().filter(|(p, _)| *p == 1).map(|(_, o)| *o).collect::<Vec<_>>();
        assert!(b.words[0].starts_with("assigned t-1@"), "{:?}", b.words);
        assert!(begun.contains(&b.words[0]["assigned t-1@".len()..].parse().unwrap()), "{begun:?} {:?}", b.words);
        let all: Vec<u8> = a.records[&1].iter().chain(b.records.get(&1).into_iter().flatten()).copied().collect();
        assert_eq!(all, (0..9).collect::<Vec<_>>(), "nothing twice, nothing left out");
        poll_for(&world, &first, &mut a, 600).await;
        assert_eq!(a.words.len(), 3, "{:?}: the second has left", a.words);
    });
}

#[test]
fn whoever_is_forgotten_hears_that_it_lost_everything_and_comes_back() {
    world::run(|world| async move {
        let fake = filled(&world, 1, 3).await;
        let consumer = member(&world, grouped());
        let mut seen = Seen::default();
        poll_for(&world, &consumer, &mut seen, 300).await;
        fake.group.coordinator.borrow_mut().forgets_all();
        poll_for(&world, &consumer, &mut seen, 600).await;
        assert_eq!(seen.words, ["assigned t-0@0", "lost t-0", "assigned t-0@0"]);
    });
}

#[test]
fn what_was_lost_while_it_was_being_processed_is_not_committed_in_a_newer_generation() {
    world::run(|world| async move {
        let fake = filled(&world, 1, 3).await;
        let consumer = member(&world, GroupConfig { auto_commit: Some(ms(1)), ..grouped() });
        let mut seen = Seen::default();
        while seen.records.is_empty() {
            seen.take(consumer.poll(ms(20)).await.unwrap());
        }
        fake.group.coordinator.borrow_mut().forgets_all();
        let before = fake.group.commits.borrow().len();
        // Longer than a heartbeat, shorter than it may take: it is a member again before the batch is done.
        world.sleep(ms(300)).await;
        assert!(consumer.generation() >= 0, "it has joined again");
        let all = BTreeMap::from([(tp(0), 1)]);
        let refused = consumer.commit_sync(&all, world.now().after(ms(100))).await.unwrap_err();
        assert_eq!((refused.outcome, refused.code), (Outcome::Fail, 22));
        let Got::Lost(lost) = consumer.poll(ms(20)).await.unwrap() else { panic!("not told of its loss") };
        assert_eq!((lost, fake.group.commits.borrow().len()), ([tp(0)].into(), before));
    });
}

#[test]
fn a_coordinator_that_moves_is_followed_and_nothing_is_lost() {
    world::run(|world| async move {
        let fake = filled(&world, 1, 3).await;
        let consumer = member(&world, grouped());
        let mut seen = Seen::default();
        poll_for(&world, &consumer, &mut seen, 300).await;
        let now = world.ms();
        fake.group.coordinator.borrow_mut().moves(now, 200);
        poll_for(&world, &consumer, &mut seen, 900).await;
        assert_eq!(seen.words, ["assigned t-0@0"]);
        let offsets = BTreeMap::from([(tp(0), 2)]);
        consumer.commit_sync(&offsets, world.now().after(ms(500))).await.unwrap();
        assert_eq!(fake.group.committed.borrow()[&0], 2);
    });
}

#[test]
fn a_commit_does_not_outlive_its_generation() {
    world::run(|world| async move {
        let fake = filled(&world, 1, 3).await;
        let consumer = member(&world, GroupConfig { auto_commit: None, ..grouped() });
        let mut seen = Seen::default();
        poll_for(&world, &consumer, &mut seen, 300).await;
        // It is told to try again, until another generation has long begun.
        fake.group.refuse_commits.borrow_mut().extend([14; 40]);
        fake.group.coordinator.borrow_mut().forgets_all();
        let (offsets, deadline) = (BTreeMap::from([(tp(0), 2)]), world.now().after(ms(10_000)));
        let polling = poll_for(&world, &consumer, &mut seen, 10_000);
        let end = broker::env::race(consumer.commit_sync(&offsets, deadline), polling).await.unwrap();
        assert_eq!(end.unwrap_err().outcome, Outcome::Fail);
        assert!(fake.group.commits.borrow().is_empty());
    });
}

#[test]
fn a_commit_that_may_have_been_made_is_not_reported_as_failed() {
    world::run(|world| async move {
        let fake = filled(&world, 1, 3).await;
        let consumer = member(&world, GroupConfig { auto_commit: None, ..grouped() });
        poll_for(&world, &consumer, &mut Seen::default(), 300).await;
        let (offsets, deadline) = (BTreeMap::from([(tp(0), 2)]), world.now().after(ms(2000)));
        for (codes, outcome) in [(vec![12], Outcome::Fail), (vec![7, 12], Outcome::Info)] {
            fake.group.refuse_commits.borrow_mut().extend(codes);
            let error = consumer.commit_sync(&offsets, deadline).await.unwrap_err();
            assert_eq!((error.code, error.outcome), (12, outcome));
        }
    });
}

#[test]
fn an_error_is_not_taken_for_no_offset() {
    world::run(|world| async move {
        let fake = filled(&world, 1, 6).await;
        fake.group.committed.borrow_mut().insert(0, 4);
        fake.group.refuse_fetches.borrow_mut().extend([14, 88, 16, 88]);
        let consumer = member(&world, grouped());
        let mut seen = Seen::default();
        poll_for(&world, &consumer, &mut seen, 1500).await;
        assert_eq!((&seen.words[..], &seen.records[&0][..]), (&["assigned t-0@4".to_owned()][..], &[4, 5][..]));
    });
}

#[test]
fn without_an_offset_and_without_a_policy_it_says_so() {
    world::run(|world| async move {
        let _fake = filled(&world, 1, 1).await;
        let fetch = ConsumerConfig { out_of_range: OutOfRange::Error, ..grouped().fetch };
        let consumer = member(&world, GroupConfig { fetch, ..grouped() });
        let Got::Records(polled) = consumer.poll(ms(300)).await.unwrap() else { panic!() };
        assert_eq!(polled[0].error.unwrap().code, NO_OFFSET);
    });
}

#[test]
fn pauses_seeks_and_follows_a_pattern() {
    world::run(|world| async move {
        let _fake = filled(&world, 1, 4).await;
        let consumer = GroupConsumer::new(client(&world), grouped());
        consumer.subscribe(Topics::Matching(Rc::new(|topic| topic.starts_with('t'))));
        let mut seen = Seen::default();
        poll_for(&world, &consumer, &mut seen, 300).await;
        assert_eq!(seen.records[&0], [0, 1, 2, 3]);
        assert!(consumer.seek(&tp(0), 2) && consumer.pause(&tp(0)));
        poll_for(&world, &consumer, &mut seen, 200).await;
        assert_eq!(seen.records[&0].len(), 4);
        assert!(consumer.resume(&tp(0)));
        poll_for(&world, &consumer, &mut seen, 200).await;
        assert_eq!(seen.records[&0], [0, 1, 2, 3, 2, 3]);
    });
}

#[test]
fn its_life_is_on_the_tape() {
    world::run(|world| async move {
        let _fake = filled(&world, 1, 2).await;
        let (clock, client) = (world.clone(), 7);
        let tape = Tape::new(move || clock.ms());
        let watch = Rc::new(OnTape::new(tape.clone(), client, 0, 3));
        let consumer = member(&world, GroupConfig { watch: Some(watch), ..grouped() });
        poll_for(&world, &consumer, &mut Seen::default(), 300).await;
        consumer.close(world.now().after(ms(500))).await;
        let mut events = Vec::new();
        tape.drain(&mut events);
        let steps = events.iter().filter_map(|event| match &event.kind {
            Kind::Group(member) => Some(member.what),
            _ => None,
        });
        let one = tape.tp(&tp(0));
        let steps: Vec<_> = steps.collect();
        let (entered, assigned) =
            (GroupStep::Entered { leads: true, instance: None }, GroupStep::Assigned { tp: one, position: 0 });
        assert_eq!(steps[..3], [entered, GroupStep::Synced, assigned]);
        assert!(steps.contains(&GroupStep::Processed { tp: one, position: 2 }), "{steps:?}");
        assert_eq!(steps[steps.len() - 2..], [GroupStep::Revoked { tp: one }, GroupStep::Left]);
        let calls: Vec<_> = events.iter().filter(|event| matches!(event.kind, Kind::Call { .. })).collect();
        let asked = |call: &Call| calls.iter().any(|e| matches!(&e.kind, Kind::Call { call: c, .. } if c == call));
        assert!(asked(&Call::FetchOffset { group: 3, tp: one }));
        assert!(asked(&Call::Commit { group: 3, tp: one, offset: 2, generation: 1 }));
        let ends: BTreeSet<_> = events
            .iter()
            .filter_map(|e| match e.kind {
                Kind::Return {
                    op, outcome: Outcome::Ok, reply: Reply::None | Reply::Offset { offset: -1 }, ..
                } => Some(op),
                _ => None,
            })
            .collect();
        assert_eq!(ends.len(), calls.len());
    });
}
