//! The consumer against a scripted broker.

use std::rc::Rc;

use broker::env::Env;
use broker::ids::TopicPartition;
use bytes::Bytes;

use super::fake::Fake;
use super::world::{self, World};
use super::{config, ms, start};
use crate::client::Client;
use crate::client::consumer::{Consumer, ConsumerConfig, OutOfRange, Polled, Position};
use crate::client::outcome::TRUNCATED;
use crate::client::producer::Producer;
use crate::client::record::Record;

fn tp() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// A broker with three batches of four records each, `0` to `11`.
async fn filled(world: &World) -> (Rc<Fake>, Client<World>) {
    let (fake, client) = start(world, 1);
    fill(&client, 0..3).await;
    (fake, client)
}

/// Sends batches of four records each.
async fn fill(client: &Client<World>, batches: std::ops::Range<u8>) {
    let producer = Producer::new(client.clone(), config());
    for batch in batches {
        let mut tickets = Vec::new();
        for n in 0..4 {
            let header = (Bytes::from("h"), Some(Bytes::from(vec![n])));
            let record =
                Record { key: Some("k".into()), headers: vec![header], ..Record::new("t", vec![batch * 4 + n]) };
            tickets.push(producer.enqueue(record).await.unwrap());
        }
        for ticket in tickets {
            ticket.await.unwrap();
        }
    }
}

async fn assigned(client: &Client<World>, from: Position, policy: OutOfRange) -> Consumer<World> {
    let consumer = Consumer::new(client.clone(), ConsumerConfig { out_of_range: policy, ..ConsumerConfig::default() });
    let deadline = client.env().now().after(ms(1000));
    consumer.assign(tp(), from, deadline).await.unwrap();
    consumer
}

fn values(polled: &[Polled]) -> Vec<u8> {
    polled.iter().flat_map(|p| &p.records).map(|record| record.value.as_ref().unwrap()[0]).collect()
}

#[test]
fn hands_out_everything_from_the_position_on_and_nothing_below() {
    world::run(|world| async move {
        let (_fake, client) = filled(&world).await;
        let consumer = assigned(&client, Position::Offset(6), OutOfRange::Error).await;
        let polled = consumer.poll(ms(100)).await;
        assert_eq!(values(&polled), [6, 7, 8, 9, 10, 11]);
        assert_eq!((polled[0].from, polled[0].position, polled[0].high), (6, 12, 12));
        let first = &polled[0].records[0];
        assert_eq!((first.offset, first.epoch, first.key.as_deref()), (6, 3, Some(&b"k"[..])));
        assert_eq!(first.headers, [(Bytes::from("h"), Some(Bytes::from(vec![2])))]);
        assert!(consumer.seek(&tp(), 1));
        assert_eq!(values(&consumer.poll(ms(100)).await), (1..12).collect::<Vec<_>>());
    });
}

#[test]
fn an_empty_poll_lasts_as_long_as_asked_and_asks_once() {
    world::run(|world| async move {
        let (fake, client) = filled(&world).await;
        let consumer = assigned(&client, Position::Latest, OutOfRange::Error).await;
        let (began, asked) = (world.ms(), fake.fetched.get());
        assert!(consumer.poll(ms(300)).await.is_empty());
        assert!(consumer.poll(ms(150)).await.is_empty());
        assert_eq!((world.ms() - began, fake.fetched.get() - asked), (450, 1));
        assert_eq!(consumer.high(&tp()), Some(-1));
    });
}

#[test]
fn a_damaged_batch_is_told_and_never_handed_out() {
    world::run(|world| async move {
        let (fake, client) = filled(&world).await;
        let mut damaged = fake.logs.borrow()[&0][1].1.to_vec();
        *damaged.last_mut().unwrap() ^= 1;
        fake.logs.borrow_mut().get_mut(&0).unwrap()[1].1 = damaged.into();
        let consumer = assigned(&client, Position::Earliest, OutOfRange::Error).await;
        assert_eq!(values(&consumer.poll(ms(100)).await), [0, 1, 2, 3], "what is whole before it is handed out");
        let asked = fake.fetched.get();
        for _ in 0..3 {
            let polled = consumer.poll(ms(5000)).await;
            assert_eq!(polled[0].error.unwrap().code, 2);
            assert_eq!((polled[0].position, polled[0].records.len()), (4, 0));
        }
        assert_eq!(fake.fetched.get() - asked, 3);
        assert!(consumer.seek(&tp(), 8));
        assert_eq!(values(&consumer.poll(ms(100)).await), [8, 9, 10, 11]);
    });
}

#[test]
fn what_is_in_the_log_again_when_it_asks_where_to_go_on_needs_no_other_position() {
    world::run(|world| async move {
        let (fake, client) = filled(&world).await;
        fake.log_start.set(8);
        let consumer = assigned(&client, Position::Offset(2), OutOfRange::Earliest).await;
        assert!(consumer.poll(ms(0)).await.is_empty());
        world.sleep(ms(50)).await;
        fake.log_start.set(0);
        let polled = consumer.poll(ms(100)).await;
        assert_eq!(values(&polled), (2..12).collect::<Vec<_>>());
        assert!(!polled[0].reset);
        // Not so where the log was cut below the position, and reaches as far again.
        let consumer = assigned(&client, Position::Offset(20), OutOfRange::Earliest).await;
        assert!(consumer.poll(ms(0)).await.is_empty());
        world.sleep(ms(50)).await;
        fill(&client, 3..8).await;
        let polled = consumer.poll(ms(100)).await;
        assert_eq!((polled[0].reset, polled[0].from, polled[0].position), (true, 20, 0));
    });
}

#[test]
fn out_of_range_is_answered_as_configured() {
    world::run(|world| async move {
        let (fake, client) = filled(&world).await;
        fake.log_start.set(8);
        let consumer = assigned(&client, Position::Offset(2), OutOfRange::Error).await;
        let polled = consumer.poll(ms(100)).await;
        assert_eq!((polled[0].error.unwrap().code, polled[0].position), (1, 2));
        let consumer = assigned(&client, Position::Offset(2), OutOfRange::Earliest).await;
        let polled = consumer.poll(ms(100)).await;
        assert_eq!((polled[0].reset, polled[0].from, polled[0].position), (true, 2, 8));
        assert_eq!(values(&consumer.poll(ms(100)).await), [8, 9, 10, 11]);
        let consumer = assigned(&client, Position::Offset(99), OutOfRange::Latest).await;
        assert_eq!(consumer.poll(ms(100)).await[0].position, 12);
    });
}

#[test]
fn a_broken_fetch_brings_no_busy_loop() {
    world::run(|world| async move {
        let (fake, client) = filled(&world).await;
        let consumer = assigned(&client, Position::Earliest, OutOfRange::Error).await;
        fake.answer_fetch.set(6);
        let asked = fake.fetched.get();
        assert!(consumer.poll(ms(3000)).await.is_empty());
        let asks = fake.fetched.get() - asked;
        assert!((3..=10).contains(&asks), "{asks} fetches in three seconds");
        fake.answer_fetch.set(0);
        assert_eq!(values(&consumer.poll(ms(3000)).await).len(), 12);
    });
}

/// A consumer that has read everything, and then another leader whose log is cut so.
async fn under_a_new_leader(world: &World, policy: OutOfRange, end: (i32, i64)) -> (Rc<Fake>, Consumer<World>) {
    let (fake, client) = filled(world).await;
    let consumer = assigned(&client, Position::Earliest, policy).await;
    assert_eq!(values(&consumer.poll(ms(100)).await).len(), 12);
    fake.epoch.set(4);
    fake.epoch_end.set(end);
    if end.1 == 4 {
        fake.logs.borrow_mut().get_mut(&0).unwrap().truncate(1);
    }
    (fake, consumer)
}

#[test]
fn under_a_new_leader_the_position_is_asked_for_once_and_reading_goes_on() {
    world::run(|world| async move {
        let (fake, consumer) = under_a_new_leader(&world, OutOfRange::Error, (3, 12)).await;
        let producer = Producer::new(super::client(&world), config());
        producer.send(Record::new("t", vec![12])).await.unwrap();
        let mut read = Vec::new();
        for _ in 0..10 {
            read.extend(values(&consumer.poll(ms(100)).await));
        }
        assert_eq!((read, fake.asked_epochs.get()), (vec![12], 1));
    });
}

#[test]
fn a_log_that_was_cut_below_the_position_is_an_error_or_begins_where_it_was_cut() {
    world::run(|world| async move {
        let (_fake, consumer) = under_a_new_leader(&world, OutOfRange::Error, (3, 4)).await;
        let polled = consumer.poll(ms(2000)).await;
        assert_eq!((polled[0].error.unwrap().code, polled[0].position), (TRUNCATED, 12));
    });
    world::run(|world| async move {
        let (fake, consumer) = under_a_new_leader(&world, OutOfRange::Earliest, (3, 4)).await;
        let polled = consumer.poll(ms(2000)).await;
        assert_eq!((polled[0].reset, polled[0].from, polled[0].position), (true, 12, 4));
        let producer = Producer::new(super::client(&world), config());
        producer.send(Record::new("t", vec![99])).await.unwrap();
        assert_eq!(values(&consumer.poll(ms(2000)).await), [99]);
        assert_eq!(fake.asked_epochs.get(), 1);
    });
}

#[test]
fn an_epoch_that_the_new_leader_never_heard_of_leaves_it_to_the_policy() {
    world::run(|world| async move {
        let (_fake, consumer) = under_a_new_leader(&world, OutOfRange::Earliest, (-1, -1)).await;
        let polled = consumer.poll(ms(2000)).await;
        assert_eq!((polled[0].reset, polled[0].from, polled[0].position), (true, 12, 0));
    });
}
