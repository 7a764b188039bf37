//! Any broker that speaks Kafka's protocol, by our own client.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use broker::config::FlushPolicy;
use broker::env::Env;
use broker::env::real::RealEnv;
use broker::ids::TopicPartition;
use bytes::Bytes;
use harness::client::consumer::{Consumer as Fetcher, ConsumerConfig, OutOfRange, Polled, Position};
use harness::client::group::assign::Assignor;
use harness::client::group::config::{GroupConfig, Topics};
use harness::client::group::consumer::{Got, GroupConsumer};
use harness::client::producer::{Producer as Batcher, ProducerConfig, Ticket};
use harness::client::record::Record;
use harness::client::{Client, Settings};

use crate::driver::{Consumer, Driver, Producer};
use crate::spec::{Protocol, Reading, Spec};
use crate::stamp::Stamp;

/// How long a call may take that is not timed, and a record until it is given up.
const PATIENCE: Duration = Duration::from_secs(60);
/// `request.timeout.ms` where brokers may stand still: whoever waits longer for one does not look for its successor.
const IMPATIENCE: Duration = Duration::from_secs(2);
/// How long it may take to leave a group.
const LEAVING: Duration = Duration::from_secs(5);
/// How long a poll waits.
const POLL: Duration = Duration::from_millis(100);
/// The longest answer that is taken, in bytes: as long as any can be, since some brokers send all there is, whatever is asked for.
const LONGEST: usize = i32::MAX as usize;
/// `buffer.memory`.
const BUFFER: usize = 64 << 20;

/// A cluster, and the topic that is written to.
#[derive(Clone, Debug)]
pub struct Kafka {
    bootstrap: Vec<String>,
    topic: Arc<str>,
    /// The group of those who share it out.
    group: Arc<str>,
    /// Where the client may put files; it has none.
    scratch: PathBuf,
}

impl Kafka {
    /// The cluster that is found at `bootstrap` (each `host:port`); `topic` is made, and deleted.
    pub fn new(bootstrap: Vec<String>, topic: &str) -> Self {
        // Another one each time: what a group has committed outlives its topic.
        let group = format!("{topic}-{:08x}", crate::run::mark());
        Self { bootstrap, topic: topic.into(), group: group.into(), scratch: std::env::temp_dir() }
    }

    fn client(&self, request_timeout: Duration) -> io::Result<Client<RealEnv>> {
        let settings = Settings {
            bootstrap: self.bootstrap.clone(),
            request_timeout,
            max_answer_bytes: LONGEST,
            ..Settings::default()
        };
        Ok(Client::new(RealEnv::new(self.scratch.clone())?, settings))
    }

    async fn found(&self, spec: &Spec) -> io::Result<Client<RealEnv>> {
        let client = self.client(if spec.events.is_empty() { PATIENCE } else { IMPATIENCE })?;
        let deadline = client.env().now().after(PATIENCE);
        client.wait_topic(&self.topic, spec.partitions.cast_unsigned(), deadline).await.map_err(io::Error::other)?;
        Ok(client)
    }
}

/// How a topic is asked to be made durable, under Kafka's names.
fn flush_settings(policy: FlushPolicy) -> Vec<(&'static str, String)> {
    match policy {
        FlushPolicy::Never => Vec::new(),
        FlushPolicy::Records(n) => vec![("flush.messages", n.to_string())],
        FlushPolicy::Millis(ms) => vec![("flush.ms", ms.to_string())],
        FlushPolicy::Always => vec![("flush.messages", "1".into())],
    }
}

impl Kafka {
    fn member(&self, client: Client<RealEnv>, protocol: Protocol, fetch: ConsumerConfig) -> KafkaConsumer {
        let assignor = match protocol {
            Protocol::Eager => Assignor::Range,
            Protocol::Cooperative => Assignor::CooperativeSticky,
            Protocol::Consumer => Assignor::Brokers,
        };
        let fetch = ConsumerConfig { out_of_range: OutOfRange::Earliest, ..fetch };
        let config = GroupConfig { assignors: vec![assignor], fetch, ..GroupConfig::new(self.group.clone()) };
        let env = client.env().clone();
        let member = GroupConsumer::new(client, config);
        member.subscribe(Topics::List([self.topic.clone()].into()));
        KafkaConsumer { from: Source::Member(Box::new(member), env), skipped: false }
    }
}

impl Driver for Kafka {
    type Producer = KafkaProducer;
    type Consumer = KafkaConsumer;

    async fn prepare(&self, spec: &Spec) -> io::Result<()> {
        let client = self.client(PATIENCE)?;
        let deadline = client.env().now().after(PATIENCE);
        let mut configs = flush_settings(spec.flush);
        configs.push(("min.insync.replicas", spec.min_insync.to_string()));
        let largest = spec.batch_bytes.max(spec.record_bytes) + (64 << 10);
        if largest > 1 << 20 {
            configs.push(("max.message.bytes", (largest + spec.record_bytes).to_string()));
        }
        if spec.compacted {
            configs.push(("cleanup.policy", "compact".into()));
        }
        if let Some(megabytes) = spec.retain_megabytes {
            configs.push(("retention.bytes", (megabytes * 1_000_000).to_string()));
            configs.push(("segment.bytes", (megabytes * 250_000).to_string()));
        }
        let configs: Vec<_> = configs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let made = client.create_topic(&self.topic, spec.partitions, spec.replication, &configs, deadline).await;
        made.map_err(io::Error::other)?;
        client.wait_topic(&self.topic, spec.partitions.cast_unsigned(), deadline).await.map_err(io::Error::other)
    }

    async fn producer(&self, spec: &Spec) -> io::Result<KafkaProducer> {
        let config = ProducerConfig {
            acks: spec.acks,
            compression: spec.compression.0,
            batch_bytes: spec.batch_bytes,
            linger: Duration::from_micros(spec.linger_us),
            max_in_flight: spec.requests_in_flight,
            idempotent: spec.idempotent,
            max_request_bytes: (spec.batch_bytes + spec.record_bytes).max(1 << 20),
            buffer_bytes: BUFFER,
            delivery_timeout: PATIENCE,
            max_block: PATIENCE,
            ..ProducerConfig::default()
        };
        let client = self.found(spec).await?;
        Ok(KafkaProducer { topic: self.topic.clone(), producer: Batcher::new(client.clone(), config), client })
    }

    async fn consumer(&self, spec: &Spec, share: usize) -> io::Result<KafkaConsumer> {
        let client = self.found(spec).await?;
        let deadline = client.env().now().after(PATIENCE);
        // Where nothing is deleted the log begins at 0, or something is wrong.
        let out_of_range = if spec.retain_megabytes.is_some() { OutOfRange::Earliest } else { OutOfRange::Error };
        let config = ConsumerConfig { prefetch: true, out_of_range, ..ConsumerConfig::default() };
        if let Reading::Group { protocol } = spec.reading {
            return Ok(self.member(client, protocol, config));
        }
        let fetcher = Fetcher::new(client, config);
        for partition in (0..spec.partitions).skip(share).step_by(spec.consumers) {
            let tp = TopicPartition { topic: self.topic.clone(), partition };
            fetcher.assign(tp, Position::Offset(0), deadline).await.map_err(io::Error::other)?;
        }
        Ok(KafkaConsumer { from: Source::Assigned(fetcher), skipped: false })
    }

    async fn remove(&self) -> io::Result<()> {
        let client = self.client(PATIENCE)?;
        let deadline = client.env().now().after(PATIENCE);
        client.delete_topic(&self.topic, deadline).await.map_err(io::Error::other)
    }
}

/// One producer, on connections of its own.
pub struct KafkaProducer {
    topic: Arc<str>,
    client: Client<RealEnv>,
    producer: Batcher<RealEnv>,
}

impl Producer for KafkaProducer {
    type Ack = Acked;

    async fn send(&self, key: Option<Bytes>, value: Bytes) -> Option<(usize, Acked)> {
        let record = Record { key, timestamp: Some(coarse_wall()), ..Record::new(self.topic.clone(), value) };
        let mut lane = 0;
        let ticket = self.producer.enqueue_with(record, |_, partition| lane = partition).await.ok()?;
        Some((usize::try_from(lane).unwrap_or(0), Acked(ticket)))
    }

    async fn flush(&self) {
        self.producer.flush(self.client.env().now().after(PATIENCE)).await;
    }
}

/// The wall clock in milliseconds, as of the last tick of the kernel: records need it no finer, and it costs a tenth of the exact one.
fn coarse_wall() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// A record's acknowledgement.
pub struct Acked(Ticket);

impl Future for Acked {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        Pin::new(&mut self.0).poll(cx).map(|end| end.is_ok())
    }
}

/// One consumer, on connections of its own.
pub struct KafkaConsumer {
    from: Source,
    skipped: bool,
}

enum Source {
    /// It is told which partitions it reads.
    Assigned(Fetcher<RealEnv>),
    /// Its group shares them out.
    Member(Box<GroupConsumer<RealEnv>>, RealEnv),
}

impl Consumer for KafkaConsumer {
    async fn poll(&mut self, into: &mut Vec<(i32, Stamp)>) -> io::Result<()> {
        let polled = match &mut self.from {
            Source::Assigned(fetcher) => fetcher.poll(POLL).await,
            Source::Member(member, _) => match member.poll(POLL).await.map_err(io::Error::other)? {
                Got::Records(polled) => polled,
                _ => Vec::new(),
            },
        };
        self.skipped |= polled.iter().any(|part| part.reset);
        polled.iter().try_for_each(|part| stamps(part, into))
    }

    fn has_skipped(&mut self) -> bool {
        std::mem::take(&mut self.skipped)
    }

    fn is_settled(&self) -> bool {
        match &self.from {
            Source::Assigned(_) => true,
            Source::Member(member, _) => member.is_settled(),
        }
    }

    async fn close(self) {
        if let Source::Member(member, env) = self.from {
            member.close(env.now().after(LEAVING)).await;
        }
    }
}

fn stamps(part: &Polled, into: &mut Vec<(i32, Stamp)>) -> io::Result<()> {
    if let Some(error) = part.error {
        return Err(io::Error::other(format!("{}-{}: {error}", part.tp.topic, part.tp.partition)));
    }
    let stamps = part.records.iter().filter_map(|record| Stamp::read(record.value.as_deref()?));
    into.extend(stamps.map(|stamp| (part.tp.partition, stamp)));
    Ok(())
}
