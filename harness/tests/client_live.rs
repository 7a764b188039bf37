//! Our client over real sockets, every call of it once.
//!
//! Against any broker of yours with `LOGQUAKE_BROKER=host:port cargo test -p logquake-harness --test client_live -- --ignored`.

mod common;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use broker::config::BrokerConfig;
use broker::env::real::{RealEnv, block_on};
use broker::env::{Env, Mono};
use broker::ids::TopicPartition;
use broker::record::Compression;
use bytes::Bytes;
use harness::client::admin::{EARLIEST, LATEST, MAX_TIMESTAMP};
use harness::client::consumer::{Consumer, ConsumerConfig, OutOfRange, Position};
use harness::client::producer::{Producer, ProducerConfig};
use harness::client::record::{Fetched, Record};
use harness::client::{Client, Settings};
use harness::history::event::Outcome;
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(10);

struct Exercise {
    env: RealEnv,
    client: Client<RealEnv>,
    /// Makes topic names unlike those of an earlier run against the same broker.
    tag: u64,
}

impl Exercise {
    fn deadline(&self) -> Mono {
        self.env.now().after(PATIENCE)
    }

    async fn topic(&self, name: &str, partitions: i32) -> Arc<str> {
        let name: Arc<str> = format!("{name}-{:x}", self.tag).into();
        let configs = [("flush.messages", "1"), ("max.message.bytes", "100000")];
        self.client.create_topic(&name, partitions, 1, &configs, self.deadline()).await.unwrap();
        let count = u32::try_from(partitions).unwrap();
        self.client.wait_topic(&name, count, self.deadline()).await.unwrap();
        name
    }

    fn producer(&self, config: ProducerConfig) -> Producer<RealEnv> {
        Producer::new(self.client.clone(), ProducerConfig { delivery_timeout: PATIENCE, ..config })
    }

    /// Everything of a partition from `from` on.
    async fn read(&self, tp: &TopicPartition, from: Position, count: usize) -> Vec<Fetched> {
        let config = ConsumerConfig { out_of_range: OutOfRange::Error, ..ConsumerConfig::default() };
        let consumer = Consumer::new(self.client.clone(), config);
        consumer.assign(tp.clone(), from, self.deadline()).await.unwrap();
        let mut records = Vec::new();
        while records.len() < count {
            let polled = consumer.poll(PATIENCE).await;
            assert!(!polled.is_empty(), "{} of {count} records came", records.len());
            for polled in polled {
                assert_eq!(polled.error, None);
                records.extend(polled.records);
            }
        }
        records
    }

    async fn every_codec_and_every_acks(&self) {
        for (codec, acks) in [
            (Compression::None, -1),
            (Compression::None, 0),
            (Compression::Gzip, 1),
            (Compression::Snappy, -1),
            (Compression::Lz4, 1),
            (Compression::Zstd, -1),
        ] {
            let topic = self.topic(&format!("codec-{codec:?}-{acks}"), 1).await;
            let config = ProducerConfig { acks, compression: codec, max_in_flight: 5, ..ProducerConfig::default() };
            let producer = self.producer(config);
            let mut tickets = Vec::new();
            for n in 0..3000_i64 {
                let header = |value: Option<&'static str>| (Bytes::from("h"), value.map(Bytes::from));
                let record = Record {
                    key: Some(Bytes::from(vec![1; 5])),
                    headers: vec![header(Some("v")), header(None)],
                    timestamp: Some(1_000_000 + n),
                    ..Record::new(topic.clone(), format!("value {n}"))
                };
                tickets.push(producer.enqueue(record).await.unwrap());
            }
            for (ticket, n) in tickets.into_iter().zip(0..) {
                let sent = ticket.await.unwrap();
                assert_eq!(sent.offset, if acks == 0 { -1 } else { n });
            }
            let read = self.read(&TopicPartition::new(topic, 0), Position::Earliest, 3000).await;
            for (record, n) in read.iter().zip(0..) {
                assert_eq!((record.offset, record.timestamp), (n, 1_000_000 + n));
                assert_eq!(record.value.as_deref(), Some(format!("value {n}").as_bytes()));
                assert_eq!(record.headers, [("h".into(), Some("v".into())), ("h".into(), None)]);
            }
        }
    }

    async fn offsets_by_every_query(&self) {
        let topic = self.topic("offsets", 2).await;
        let tp = TopicPartition::new(topic.clone(), 1);
        let producer = self.producer(ProducerConfig::default());
        for timestamp in [30, 50, 40] {
            let record = Record { partition: Some(1), timestamp: Some(timestamp), ..Record::new(topic.clone(), "x") };
            producer.send(record).await.unwrap();
        }
        let list = async |query| self.client.list_offsets(&tp, query, self.deadline()).await.unwrap();
        assert_eq!((list(EARLIEST).await.offset, list(LATEST).await.offset), (0, 3));
        assert_eq!((list(35).await.offset, list(35).await.timestamp), (1, 50));
        assert_eq!((list(51).await.offset, list(51).await.timestamp), (-1, -1));
        assert_eq!((list(MAX_TIMESTAMP).await.offset, list(MAX_TIMESTAMP).await.timestamp), (1, 50));
        assert_eq!(self.read(&tp, Position::Timestamp(35), 2).await[0].offset, 1);
        assert_eq!(self.client.delete_records(&tp, 2, self.deadline()).await, Ok(2));
        assert_eq!(list(EARLIEST).await.offset, 2);
        assert_eq!(self.read(&tp, Position::Earliest, 1).await[0].timestamp, 40);
    }

    async fn administration(&self) {
        let topic = self.topic("admin", 1).await;
        let again = self.client.create_topic(&topic, 1, 1, &[], self.deadline()).await.unwrap_err();
        assert_eq!((again.outcome, again.code), (Outcome::Fail, 36));
        self.client.create_partitions(&topic, 3, self.deadline()).await.unwrap();
        self.client.refresh();
        self.client.wait_topic(&topic, 3, self.deadline()).await.unwrap();
        let get = async |name: &str| {
            let all = self.client.describe_configs(&topic, self.deadline()).await.unwrap();
            all.into_iter().find(|config| config.name == name).and_then(|config| config.value)
        };
        assert_eq!(get("max.message.bytes").await.as_deref(), Some("100000"));
        self.client.alter_configs(&topic, &[("retention.ms", Some("9999999"))], self.deadline()).await.unwrap();
        assert_eq!(get("retention.ms").await.as_deref(), Some("9999999"));
        self.client.alter_configs(&topic, &[("retention.ms", None)], self.deadline()).await.unwrap();
        assert_eq!(get("retention.ms").await.as_deref(), Some("604800000"));
        let config = ProducerConfig { max_request_bytes: 10 << 20, ..ProducerConfig::default() };
        let large = Record { partition: Some(0), ..Record::new(topic.clone(), vec![7; 200_000]) };
        let refused = self.producer(config).send(large).await.unwrap_err();
        assert_eq!((refused.outcome, refused.code), (Outcome::Fail, 10));
        self.client.delete_topic(&topic, self.deadline()).await.unwrap();
        let gone = self.client.delete_topic(&topic, self.deadline()).await.unwrap_err();
        assert_eq!((gone.outcome, gone.code), (Outcome::Fail, 3));
    }

    async fn all(&self) {
        self.every_codec_and_every_acks().await;
        self.offsets_by_every_query().await;
        self.administration().await;
    }
}

#[test]
#[ignore = "needs a broker: LOGQUAKE_BROKER=host:port"]
fn every_call_against_a_broker_of_yours() {
    let addr = std::env::var("LOGQUAKE_BROKER").expect("host:port of a broker");
    let root = tempfile::tempdir().unwrap();
    block_on(async { client(root.path(), &addr).all().await }).unwrap();
}

/// Runs the broker of this tree on `root`, lets `work` use it by its address, and shuts it down.
async fn with_broker<F: Future<Output = ()>>(root: &Path, port: u16, work: impl FnOnce(String) -> F) {
    common::with_broker(root, port, BrokerConfig::default(), |port| work(format!("127.0.0.1:{port}"))).await;
}

fn client(root: &Path, addr: &str) -> Exercise {
    let env = RealEnv::new(root.join("client")).unwrap();
    let settings = Settings { bootstrap: vec![addr.to_owned()], ..Settings::default() };
    let tag = env.draw();
    Exercise { client: Client::new(env.clone(), settings), env, tag }
}

#[test]
fn every_call_against_the_broker_in_this_tree() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let serving = with_broker(root, 0, |addr| async move {
        client(root, &addr).all().await;
    });
    block_on(serving).unwrap();
}

/// What is enqueued while the broker is down is stored when it is back, after what was there before, in order.
#[test]
fn a_producer_outlives_the_broker() {
    let root = tempfile::tempdir().unwrap();
    let test = async {
        let (port, chosen) = oneshot::channel();
        let mut exercise = None;
        with_broker(root.path(), 0, |addr| {
            let _ = port.send(addr.rsplit(':').next().unwrap().parse::<u16>().unwrap());
            exercise = Some(client(root.path(), &addr));
            std::future::ready(())
        })
        .await;
        let (port, exercise) = (chosen.await.unwrap(), exercise.unwrap());
        let producer = exercise.producer(ProducerConfig { batch_bytes: 200, ..ProducerConfig::default() });
        let value = |n: i64| Bytes::from(format!("{n:08}"));
        let mut topic: Arc<str> = "".into();
        with_broker(root.path(), port, |_| async {
            topic = exercise.topic("outlived", 1).await;
            for n in 0..50 {
                producer.send(Record::new(topic.clone(), value(n))).await.unwrap();
            }
        })
        .await;
        let mut tickets = Vec::new();
        for n in 50..300 {
            tickets.push(producer.enqueue(Record::new(topic.clone(), value(n))).await.unwrap());
        }
        with_broker(root.path(), port, |_| async {
            for (ticket, n) in tickets.into_iter().zip(50..) {
                assert_eq!(ticket.await.unwrap().offset, n);
            }
            let read = exercise.read(&TopicPartition::new(topic, 0), Position::Earliest, 300).await;
            let values: Vec<_> = read.into_iter().map(|record| record.value.unwrap()).collect();
            assert_eq!(values, (0..300).map(value).collect::<Vec<_>>());
        })
        .await;
    };
    block_on(test).unwrap();
}
