//! Connections and metadata against a scripted broker: finding it, losing it, following the leader.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use broker::env::Env;
use broker::ids::{NodeId, TopicPartition};

use super::fake::{ADDR, Act, Fake};
use super::world::{self, World};
use super::{client, config, ms, start};
use crate::client::consumer::{Consumer, ConsumerConfig, Position};
use crate::client::outcome;
use crate::client::producer::Producer;
use crate::client::record::Record;
use crate::client::{Client, Settings};
use crate::history::event::Outcome;

fn tp() -> TopicPartition {
    TopicPartition::new("t", 0)
}

async fn latest(client: &Client<World>) -> Result<i64, crate::client::CallError> {
    let deadline = client.env().now().after(ms(1000));
    client.list_offsets(&tp(), -1, deadline).await.map(|listed| listed.offset)
}

#[test]
fn producers_and_consumers_follow_the_leader() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        let producer = Producer::new(client.clone(), config());
        let consumer = Consumer::new(client.clone(), ConsumerConfig::default());
        consumer.assign(tp(), Position::Offset(0), world.now().after(ms(1000))).await.unwrap();
        for n in 0..6_u8 {
            fake.leader.set(1 + i32::from(n) % 2);
            assert_eq!(producer.send(Record::new("t", vec![n])).await.unwrap().offset, i64::from(n));
            let polled = consumer.poll(ms(2000)).await;
            assert_eq!(polled[0].records[0].value.as_deref(), Some(&[n][..]));
        }
        assert_eq!(fake.connections.get(), 2, "one for each node");
    });
}

#[test]
fn a_leader_that_died_is_left_for_the_one_that_took_over() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        let producer = Producer::new(client.clone(), config());
        producer.send(Record::new("t", "a")).await.unwrap();
        world.serve(ADDR, drop);
        fake.script([Act::Drop]);
        let ticket = producer.enqueue(Record::new("t", "b")).await.unwrap();
        world.sleep(ms(300)).await;
        fake.leader.set(2);
        assert_eq!(ticket.await.unwrap().offset, 1);
    });
}

#[test]
fn a_broker_that_knows_only_the_oldest_handshake_is_asked_again_in_it() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        fake.is_old.set(true);
        assert_eq!(latest(&client).await, Ok(0));
        assert_eq!(fake.connections.get(), 1);
    });
}

#[test]
fn an_answer_to_another_question_leaves_the_send_in_doubt() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        fake.lies.set(true);
        let producer = Producer::new(client, config());
        let end = producer.send(Record::new("t", "x")).await.unwrap_err();
        assert_eq!((end.outcome, end.code), (Outcome::Info, outcome::EXPIRED));
        assert!(fake.connections.get() > 2, "a connection that lost its order is not used again");
    });
}

#[test]
fn a_dead_address_is_tried_seldom_and_found_again_when_it_lives() {
    world::run(|world| async move {
        let tried = Rc::new(Cell::new(0));
        let counting = tried.clone();
        world.serve(ADDR, move |stream| {
            counting.set(counting.get() + 1);
            drop(stream);
        });
        let client = client(&world);
        assert_eq!(latest(&client).await.unwrap_err().code, outcome::NOT_SENT);
        assert_eq!(world.ms(), 1000);
        assert!((3..=12).contains(&tried.get()), "{} connections in one second", tried.get());
        let fake = Fake::start(&world, 1);
        assert_eq!(latest(&client).await, Ok(0));
        assert_eq!(fake.connections.get(), 1);
    });
}

#[test]
fn the_second_bootstrap_address_is_tried_when_the_first_is_dead() {
    for order in [["nobody:1", ADDR], [ADDR, "nobody:1"]] {
        world::run(|world| async move {
            let _fake = Fake::start(&world, 1);
            let bootstrap = order.map(str::to_owned).to_vec();
            let client = Client::new(world.clone(), Settings { bootstrap, ..Settings::default() });
            assert_eq!(latest(&client).await, Ok(0));
        });
    }
}

#[test]
fn metadata_is_asked_for_when_it_is_old_and_not_before() {
    world::run(|world| async move {
        let fake = Fake::start(&world, 1);
        let settings = Settings { bootstrap: vec![ADDR.into()], metadata_max_age: ms(5000), ..Settings::default() };
        let client = Client::new(world.clone(), settings);
        latest(&client).await.unwrap();
        let before = fake.asked_metadata.get();
        for _ in 0..40 {
            world.sleep(ms(100)).await;
            latest(&client).await.unwrap();
        }
        assert_eq!(fake.asked_metadata.get(), before);
        world.sleep(ms(2000)).await;
        latest(&client).await.unwrap();
        world.sleep(ms(100)).await;
        assert_eq!(fake.asked_metadata.get(), before + 1);
    });
}

#[test]
fn waiting_for_a_topic_ends_when_it_is_there_and_by_the_deadline() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        let topic: Arc<str> = "t".into();
        let growing = fake.clone();
        let clock = world.clone();
        world.spawn("grow", async move {
            clock.sleep(ms(300)).await;
            growing.partitions.set(3);
        });
        client.wait_topic(&topic, 3, world.now().after(ms(2000))).await.unwrap();
        assert!((300..500).contains(&world.ms()), "{} ms", world.ms());
        let began = world.ms();
        let error = client.wait_topic(&topic, 4, world.now().after(ms(700))).await.unwrap_err();
        assert_eq!((error.outcome, world.ms() - began), (Outcome::Fail, 700));
        assert!(fake.asked_metadata.get() < 40, "asked {} times", fake.asked_metadata.get());
        assert_eq!(client.leader(&topic, 2), Some((NodeId(1), 3)));
    });
}

#[test]
fn an_overdue_request_ends_its_connection_and_what_was_behind_it() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        latest(&client).await.unwrap();
        fake.script([Act::Stall]);
        let producer = Producer::new(client.clone(), config());
        let ticket = producer.enqueue(Record::new("t", "x")).await.unwrap();
        world.sleep(ms(1)).await;
        let began = world.ms();
        assert!(latest(&client).await.is_ok(), "a read is repeated on the next connection");
        assert!((199..400).contains(&(world.ms() - began)), "{} ms", world.ms() - began);
        assert_eq!(ticket.await.unwrap().offset, 0);
    });
}

#[test]
fn the_last_handle_takes_the_connections_with_it() {
    world::run(|world| async move {
        let (fake, client) = start(&world, 1);
        latest(&client).await.unwrap();
        assert_eq!(fake.alive.get(), 1);
        drop(client);
        world.sleep(ms(10)).await;
        assert_eq!(fake.alive.get(), 0);
    });
}
