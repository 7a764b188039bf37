//! Three live brokers and one producer in this process: acks=all with three replicas beside one, in turns.
//!
//! Three replicas are three times the bytes through one disk and the same cores, but the producer's own work is done once.
//! Two ceilings are measured in the same rounds. The cores': what would be left if three replicas took exactly three times
//! the brokers' processor time of one. The disk's: how plain `write()` of three copies compares to that of one.

#![expect(
    clippy::disallowed_methods,
    reason = "measures the machine: real files, the real clock, a thread for each node; no simulated world"
)]

use std::fmt;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use broker::config::BrokerConfig;
use broker::env::Env;
use broker::env::real::{RealEnv, block_on};
use broker::ids::NodeId;
use bytes::Bytes;
use tokio::sync::watch;

use super::plain::{self, Shape};
use crate::client::producer::{Producer, ProducerConfig};
use crate::client::record::Record;
use crate::client::{CallError, Client, Settings};
use crate::run::cost::{process_cpu_ns, thread_cpu_ns};

/// Brokers, and replicas of the one with more.
const NODES: u16 = 3;
/// How long a call, a round or a start may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What to measure with.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Options {
    /// Partitions of a topic.
    pub partitions: i32,
    /// Bytes of values produced in a turn.
    pub bytes: usize,
    /// Bytes of a record's value.
    pub record_bytes: usize,
    /// Bytes of a batch at most: one row for each.
    pub batch_bytes: Vec<usize>,
    /// Rounds; the median is reported.
    pub rounds: usize,
}

impl Default for Options {
    fn default() -> Self {
        let batch_bytes = vec![64 << 10, 1 << 20];
        Self { partitions: 16, bytes: 96 << 20, record_bytes: 1 << 10, batch_bytes, rounds: 5 }
    }
}

/// One turn, or the medians of many.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Turn {
    /// MB (10^6 bytes) of values acknowledged in a second.
    pub rate: f64,
    /// Processor seconds that the producer took for a GB.
    pub client: f64,
    /// Processor seconds that the brokers took for a GB.
    pub nodes: f64,
}

/// Plain writing of as many copies, or the medians of many.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Plain {
    /// MB (10^6 bytes) of one copy in a second.
    pub rate: f64,
    /// Processor seconds for a GB of one copy.
    pub cpu: f64,
}

/// What one round gave.
struct Round {
    one: Turn,
    three: Turn,
    plain: (Plain, Plain),
}

/// Three replicas beside one.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// Bytes of a batch at most.
    pub batch_bytes: usize,
    /// With one replica.
    pub one: Turn,
    /// With three, two of which must have a record before it is acknowledged.
    pub three: Turn,
    /// One copy by plain `write()`.
    pub plain_one: Plain,
    /// Three copies at once.
    pub plain_three: Plain,
    /// Median, least and most of the rounds' ratios of throughput, three / one.
    pub ratio: (f64, f64, f64),
    /// The ratio if the brokers' processor time were exactly three times as long.
    pub cores: f64,
    /// Median, least and most of the rounds' ratios of plain writing, three copies / one.
    pub disk: (f64, f64, f64),
}

/// What [`run`] measured.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ClusterBench {
    /// How it was measured.
    pub options: Options,
    /// A row for each size of batch.
    pub rows: Vec<Row>,
}

impl fmt::Display for ClusterBench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let o = &self.options;
        writeln!(
            f,
            "cluster of {NODES}, {} partitions, {} B records, acks=all, {} MiB a turn, median (least..most) of {} rounds",
            o.partitions,
            o.record_bytes,
            o.bytes >> 20,
            o.rounds
        )?;
        for row in &self.rows {
            let spread = |(median, least, most): (f64, f64, f64)| format!("{median:.2} ({least:.2}..{most:.2})");
            let ratio = spread(row.ratio);
            writeln!(f, "\nbatches of {} KiB {:>14} {:>10}   RF=3 / RF=1", row.batch_bytes >> 10, "RF=1", "RF=3")?;
            writeln!(f, "acknowledged {:>13.0} MB/s {:>5.0} MB/s   {ratio}", row.one.rate, row.three.rate)?;
            writeln!(
                f,
                "plain write() {:>12.0} MB/s {:>5.0} MB/s   {} <- ceiling by the disk",
                row.plain_one.rate,
                row.plain_three.rate,
                spread(row.disk)
            )?;
            writeln!(
                f,
                "brokers' CPU {:>13.2} s/GB {:>5.2} s/GB   {:.2} <- ceiling by the cores",
                row.one.nodes, row.three.nodes, row.cores
            )?;
            writeln!(
                f,
                "CPU of plain write() {:>5.2} s/GB {:>5.2} s/GB   producer's CPU {:.2} s/GB",
                row.plain_one.cpu, row.plain_three.cpu, row.one.client
            )?;
        }
        writeln!(f, "\nThree replicas are three times the bytes through one disk and the same cores.")?;
        writeln!(
            f,
            "By the disk: how fast three copies are written by plain write(), beside one, into as many files."
        )?;
        writeln!(f, "By the cores: three times the brokers' CPU of RF=1, the producer's once.")
    }
}

/// Measures in `dir`, which is created, and left empty.
pub fn run(dir: &Path, options: &Options) -> io::Result<ClusterBench> {
    let nodes = Nodes::start(dir)?;
    let measured = block_on(async {
        let env = RealEnv::new(dir.join("client"))?;
        let settings = Settings { bootstrap: nodes.addresses.clone(), ..Settings::default() };
        let bench = Bench { client: Client::new(env, settings), options, dir };
        bench.all().await
    })
    .and_then(|done| done);
    nodes.stop()?;
    std::fs::remove_dir_all(dir)?;
    Ok(ClusterBench { options: options.clone(), rows: measured? })
}

/// The brokers, a thread each.
struct Nodes {
    addresses: Vec<String>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Nodes {
    /// Returns when each of them knows that all of them serve.
    fn start(dir: &Path) -> io::Result<Self> {
        // All are held at once, so that they are different.
        let held = (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<io::Result<Vec<_>>>()?;
        let ports = held.iter().map(|held| Ok(held.local_addr()?.port())).collect::<io::Result<Vec<_>>>()?;
        drop(held);
        let addresses: Vec<_> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let voters: Vec<_> = (0..).map(NodeId).zip(addresses.iter().cloned()).collect();
        let (stop, stopped) = watch::channel(false);
        let (whole, is_whole) = mpsc::channel();
        let start = |(node_id, listen): &(NodeId, String)| {
            let config = BrokerConfig {
                node_id: *node_id,
                listen: listen.clone(),
                voters: voters.clone(),
                ..BrokerConfig::default()
            };
            let (data, stopped, whole) = (dir.join(format!("node-{}", node_id.0)), stopped.clone(), whole.clone());
            thread::spawn(move || node(data, config, stopped, whole))
        };
        let threads = voters.iter().map(start).collect();
        let this = Self { addresses, stop, threads };
        for _ in 0..NODES {
            if is_whole.recv_timeout(PATIENCE).is_err() {
                this.stop()?;
                return Err(io::Error::other("the brokers do not become ready"));
            }
        }
        Ok(this)
    }

    fn stop(self) -> io::Result<()> {
        self.stop.send_replace(true);
        let ends =
            self.threads.into_iter().map(|thread| thread.join().unwrap_or_else(|why| std::panic::resume_unwind(why)));
        ends.collect::<Vec<_>>().into_iter().collect()
    }
}

fn node(
    data: PathBuf,
    config: BrokerConfig,
    mut stopped: watch::Receiver<bool>,
    whole: mpsc::Sender<()>,
) -> io::Result<()> {
    block_on(async {
        let stop = async move { drop(stopped.wait_for(|stop| *stop).await) };
        let beside = |node: std::rc::Rc<broker::node::Node<RealEnv>>| async move {
            node.until_whole().await;
            // An error means that nobody waits any more.
            let _ = whole.send(());
        };
        broker::node::live::serve(RealEnv::new(data)?, config, stop, beside).await
    })?
}

struct Bench<'a> {
    client: Client<RealEnv>,
    options: &'a Options,
    dir: &'a Path,
}

impl Bench<'_> {
    async fn all(&self) -> io::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for &batch_bytes in &self.options.batch_bytes {
            // The first turns find memory and connections cold.
            self.round(batch_bytes, true).await?;
            let mut rounds = Vec::new();
            for round in 0..self.options.rounds.max(1) {
                rounds.push(self.round(batch_bytes, round % 2 == 0).await?);
            }
            rows.push(row(batch_bytes, &rounds));
        }
        Ok(rows)
    }

    /// By turns first, so that what the machine does over time falls on both.
    async fn round(&self, batch_bytes: usize, one_first: bool) -> io::Result<Round> {
        let turn = async |replicas| self.turn(batch_bytes, replicas).await.map_err(io::Error::other);
        let plain = |copies| self.plain(batch_bytes, copies);
        if one_first {
            let (one, three) = (turn(1).await?, turn(3).await?);
            Ok(Round { one, three, plain: (plain(1)?, plain(NODES)?) })
        } else {
            let (plain_three, plain_one) = (plain(NODES)?, plain(1)?);
            let (three, one) = (turn(3).await?, turn(1).await?);
            Ok(Round { one, three, plain: (plain_one, plain_three) })
        }
    }

    fn plain(&self, piece: usize, copies: u16) -> io::Result<Plain> {
        let files = usize::try_from(self.options.partitions).unwrap_or(1);
        let (took, cpu) = plain::write(self.dir, copies, Shape { files, bytes: self.options.bytes, piece })?;
        let bytes = figure(self.options.bytes as u64);
        Ok(Plain { rate: bytes / 1e6 / took.as_secs_f64(), cpu: figure(cpu) / bytes })
    }

    /// Produces to a new topic of so many replicas until all is acknowledged. The clock starts when every partition has
    /// acknowledged a record: a follower that asks before its leader knows of the topic rests for
    /// `replica.fetch.backoff.ms`.
    async fn turn(&self, batch_bytes: usize, replicas: i16) -> Result<Turn, CallError> {
        let env = self.client.env();
        let deadline = env.now().after(PATIENCE);
        let topic: std::sync::Arc<str> = format!("bench-{:x}", env.draw()).into();
        let least = if replicas > 1 { "2" } else { "1" };
        let configs = [("min.insync.replicas", least)];
        self.client.create_topic(&topic, self.options.partitions, replicas, &configs, deadline).await?;
        let partitions = self.options.partitions.cast_unsigned();
        self.client.wait_topic(&topic, partitions, deadline).await?;
        let config = ProducerConfig {
            batch_bytes,
            linger: Duration::from_millis(5),
            idempotent: true,
            max_in_flight: 5,
            max_request_bytes: 8 << 20,
            buffer_bytes: 64 << 20,
            delivery_timeout: PATIENCE,
            ..ProducerConfig::default()
        };
        let producer = Producer::new(self.client.clone(), config);
        let value = Bytes::from(vec![b'x'; self.options.record_bytes]);
        let count = self.options.bytes.div_ceil(value.len());
        let send = async |count| {
            let mut tickets = Vec::with_capacity(count);
            for partition in (0..self.options.partitions).cycle().take(count) {
                let record = Record { partition: Some(partition), ..Record::new(topic.clone(), value.clone()) };
                tickets.push(producer.enqueue(record).await?);
            }
            producer.flush(deadline).await;
            Ok::<_, CallError>(tickets)
        };
        for ticket in send(partitions as usize).await? {
            ticket.await?;
        }
        let (began, own, whole) = (Instant::now(), thread_cpu_ns(), process_cpu_ns());
        let tickets = send(count).await?;
        let (took, own, whole) = (began.elapsed(), thread_cpu_ns() - own, process_cpu_ns() - whole);
        for ticket in tickets {
            ticket.await?;
        }
        self.client.delete_topic(&topic, deadline).await?;
        let bytes = figure((count * value.len()) as u64);
        let (client, nodes) = (figure(own) / bytes, figure(whole.saturating_sub(own)) / bytes);
        Ok(Turn { rate: bytes / 1e6 / took.as_secs_f64(), client, nodes })
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures to read")]
fn figure(n: u64) -> f64 {
    n as f64
}

fn spread(mut all: Vec<f64>) -> (f64, f64, f64) {
    all.sort_by(f64::total_cmp);
    (all[all.len() / 2], all[0], all[all.len() - 1])
}

fn row(batch_bytes: usize, rounds: &[Round]) -> Row {
    let of = |pick: fn(&Round) -> f64| spread(rounds.iter().map(pick).collect());
    let median = |pick| of(pick).0;
    let one = Turn { rate: median(|r| r.one.rate), client: median(|r| r.one.client), nodes: median(|r| r.one.nodes) };
    let three =
        Turn { rate: median(|r| r.three.rate), client: median(|r| r.three.client), nodes: median(|r| r.three.nodes) };
    Row {
        batch_bytes,
        one,
        three,
        plain_one: Plain { rate: median(|r| r.plain.0.rate), cpu: median(|r| r.plain.0.cpu) },
        plain_three: Plain { rate: median(|r| r.plain.1.rate), cpu: median(|r| r.plain.1.cpu) },
        ratio: of(|r| r.three.rate / r.one.rate),
        cores: (one.client + one.nodes) / (one.client + 3.0 * one.nodes),
        disk: of(|r| r.plain.1.rate / r.plain.0.rate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_everything_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("bench");
        let options =
            Options { partitions: 3, bytes: 1 << 20, batch_bytes: vec![16 << 10], rounds: 2, ..Options::default() };
        let bench = run(&dir, &options).unwrap();
        let row = &bench.rows[0];
        let (one, three) = (row.one, row.three);
        let rates = [one.rate, three.rate, row.plain_one.rate, row.plain_three.rate, row.ratio.0, row.disk.0];
        for figure in rates.into_iter().chain([one.client, one.nodes, three.nodes]) {
            assert!(figure > 0.0 && figure.is_finite(), "{bench}");
        }
        assert!((1.0 / 3.0..1.0).contains(&row.cores), "{bench}");
        assert!(row.ratio.1 <= row.ratio.0 && row.ratio.0 <= row.ratio.2, "{bench}");
        let text = bench.to_string();
        assert!(["RF=1", "RF=3", "ceiling"].iter().all(|word| text.contains(word)), "{text}");
        assert!(!dir.exists());
    }
}
