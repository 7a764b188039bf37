//! For tests: a broker on loopback and a directory of its own, and a client that speaks the protocol crate's messages.

use std::cell::RefCell;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use crate::config::{BrokerConfig, FlushPolicy, LogConfig};
use crate::controller::record::text;
use crate::env::real::{RealEnv, block_on};
use crate::env::{Env, Net};
use crate::fact::Fact;
use crate::ids::NodeId;
use crate::record::{BatchBuilder, Compression};

/// A real node whose facts and halts are kept.
#[derive(Clone)]
pub struct TestEnv {
    real: RealEnv,
    /// What it stated.
    pub facts: Rc<RefCell<Vec<Fact>>>,
}

impl TestEnv {
    /// With its files below `root`.
    pub fn new(root: &Path) -> Self {
        let real = RealEnv::with_halt(root.to_owned(), Rc::new(|why| panic!("halted: {why}"))).unwrap();
        Self { real, facts: Rc::default() }
    }
}

impl Env for TestEnv {
    type Net = <RealEnv as Env>::Net;
    type Disk = <RealEnv as Env>::Disk;

    fn net(&self) -> &Self::Net {
        self.real.net()
    }
    fn disk(&self) -> &Self::Disk {
        self.real.disk()
    }
    fn now(&self) -> crate::env::Mono {
        self.real.now()
    }
    fn wall(&self) -> i64 {
        self.real.wall()
    }
    fn sleep(&self, d: Duration) -> impl Future<Output = ()> {
        self.real.sleep(d)
    }
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        self.real.spawn(name, task);
    }
    fn draw(&self) -> u64 {
        self.real.draw()
    }
    fn hears(&self) -> bool {
        true
    }
    fn tell(&self, fact: Fact) {
        self.facts.borrow_mut().push(fact);
    }
    fn halt(&self, why: &str) {
        self.real.halt(why);
    }
}

/// Settings for a broker on any free port.
pub fn settings(flush: FlushPolicy) -> BrokerConfig {
    let log = LogConfig { flush, ..LogConfig::default() };
    BrokerConfig { listen: "127.0.0.1:0".into(), log, ..BrokerConfig::default() }
}

/// Runs a broker over the files in `root`, lets `work` use it, and shuts it down cleanly. Returns what `work` made of it,
/// and the facts stated.
pub fn with_broker<T, F: Future<Output = T>>(
    root: &Path,
    config: BrokerConfig,
    work: impl FnOnce(Wire) -> F,
) -> (T, Vec<Fact>) {
    run(root, config, work, true)
}

/// As [`with_broker`], but the process dies at the end.
pub fn with_broker_killed<T, F: Future<Output = T>>(
    root: &Path,
    config: BrokerConfig,
    work: impl FnOnce(Wire) -> F,
) -> (T, Vec<Fact>) {
    run(root, config, work, false)
}

fn run<T, F: Future<Output = T>>(
    root: &Path,
    config: BrokerConfig,
    work: impl FnOnce(Wire) -> F,
    clean: bool,
) -> (T, Vec<Fact>) {
    block_on(async {
        let env = TestEnv::new(root);
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, port) = oneshot::channel();
        let (done, ended) = oneshot::channel();
        let serving = env.clone();
        env.spawn("broker", async move {
            let stopped = async move { stopped.await.unwrap_or(()) };
            let end = super::serve_ready(serving, config, stopped, |port| ready.send(port).unwrap()).await;
            let _ = done.send(end);
        });
        let port = match port.await {
            Ok(port) => port,
            Err(_) => panic!("did not start: {:?}", ended.await),
        };
        let wire = Wire::connect(&env, port).await;
        let made = work(wire).await;
        if clean {
            stop.send(()).unwrap();
            ended.await.unwrap().unwrap();
        }
        let facts = env.facts.take();
        (made, facts)
    })
    .unwrap()
}

/// One broker of several.
pub struct Member {
    env: TestEnv,
    root: PathBuf,
    config: BrokerConfig,
    port: u16,
    stop: oneshot::Sender<()>,
    ready: oneshot::Receiver<()>,
    ended: oneshot::Receiver<std::io::Result<()>>,
}

impl Member {
    /// Starts a broker with its files in `root`.
    pub fn start(root: &Path, config: BrokerConfig) -> Self {
        let env = TestEnv::new(root);
        let port = config.listen.rsplit_once(':').unwrap().1.parse().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (is_ready, ready) = oneshot::channel();
        let (done, ended) = oneshot::channel();
        let (serving, settings) = (env.clone(), config.clone());
        env.spawn("broker", async move {
            let stopped = async move { stopped.await.unwrap_or(()) };
            let _ = done.send(super::serve_ready(serving, settings, stopped, |_| is_ready.send(()).unwrap()).await);
        });
        Self { env, root: root.to_owned(), config, port, stop, ready, ended }
    }

    /// Returns when it may lead.
    pub async fn ready(&mut self) {
        (&mut self.ready).await.expect("it starts");
    }

    /// A connection to it.
    pub async fn connect(&self) -> Wire {
        Wire::connect(&self.env, self.port).await
    }

    /// Its doors.
    pub fn env(&self) -> &TestEnv {
        &self.env
    }

    /// What it stated so far.
    pub fn facts(&self) -> Vec<Fact> {
        self.env.facts.borrow().clone()
    }

    /// Stops it cleanly.
    pub async fn stop(self) -> (PathBuf, BrokerConfig) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
        (self.root, self.config)
    }
}

/// Settings for `count` brokers that vote, broker n in rack `r<n>`, each with a port of its own; and for as many more
/// that do not, as `others` says.
pub fn members(config: &BrokerConfig, count: usize, others: usize) -> Vec<BrokerConfig> {
    // All are held at once, so that they are different.
    let held: Vec<_> = (0..count + others).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let ports: Vec<u16> = held.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
    drop(held);
    let at = |port: &u16| format!("127.0.0.1:{port}");
    let voters: Vec<_> = (0..).map(NodeId).zip(ports.iter().map(at)).take(count).collect();
    let one = |(node, port): (NodeId, &u16)| BrokerConfig {
        node_id: node,
        listen: at(port),
        rack: Some(format!("r{}", node.0)),
        voters: voters.clone(),
        ..config.clone()
    };
    (0..).map(NodeId).zip(&ports).map(one).collect()
}

/// Runs `count` brokers with files below `root`, broker n in rack `r<n>`, and lets `work` use them.
pub fn with_cluster<F: Future<Output = ()>>(
    root: &Path,
    count: usize,
    config: &BrokerConfig,
    work: impl FnOnce(Vec<Member>) -> F,
) {
    block_on(async {
        let start = |config: BrokerConfig| Member::start(&root.join(config.node_id.to_string()), config);
        let mut started: Vec<Member> = members(config, count, 0).into_iter().map(start).collect();
        for member in &mut started {
            member.ready().await;
        }
        work(started).await;
    })
    .unwrap();
}

/// A client's connection.
pub struct Wire {
    env: TestEnv,
    port: u16,
    stream: <<TestEnv as Env>::Net as Net>::Stream,
    correlation: i32,
}

impl Wire {
    /// A connection to the broker on that port.
    pub async fn connect(env: &TestEnv, port: u16) -> Self {
        let stream = env.net().connect(&format!("127.0.0.1:{port}"), Duration::from_secs(5)).await.unwrap();
        Self { env: env.clone(), port, stream, correlation: 0 }
    }

    /// Another connection to the same broker.
    pub async fn another(&self) -> Self {
        Self::connect(&self.env, self.port).await
    }

    /// Sends a request.
    pub async fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation += 1;
        let frame = frame(self.correlation, version, request);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        // The broker may have closed already.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next frame; `None` when the broker has closed the connection.
    pub async fn receive_raw(&mut self) -> Option<Bytes> {
        let length = self.stream.read_i32().await.ok()?;
        let mut frame = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(frame.into())
    }

    /// The next response, and its correlation id.
    pub async fn receive<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let mut frame = self.receive_raw().await.expect("the connection was closed");
        let header =
            ResponseHeader::decode(&mut frame, <R::Response as HeaderVersion>::header_version(version)).unwrap();
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining());
        (header.correlation_id, response)
    }

    /// Asks, and waits for the answer.
    pub async fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request).await;
        let (correlation, response) = self.receive::<R>(version).await;
        assert_eq!(correlation, self.correlation);
        response
    }
}

/// A request as one frame.
pub fn frame<R: Request>(correlation: i32, version: i16, request: &R) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i32(0);
    RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(text("test")))
        .encode(&mut out, R::header_version(version))
        .unwrap();
    request.encode(&mut out, version).unwrap();
    let length = i32::try_from(out.len() - 4).unwrap();
    out[..4].copy_from_slice(&length.to_be_bytes());
    out.freeze()
}

/// A batch of these values, timestamped from 1000 on.
pub fn batch(values: &[&str], compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (timestamp, value) in (1000..).zip(values) {
        builder.append(timestamp, None, Some(value.as_bytes()), std::iter::empty::<(&[u8], Option<&[u8]>)>());
    }
    builder.finish(compression)
}
