//! Our subscribing consumer against the broker in this tree, over real sockets: members come and go, the broker is started
//! anew, and under every assignor everything is read, no partition has two owners, and what is committed stays.

mod common;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use broker::config::{BrokerConfig, GroupConfig as Coordination};
use broker::env::real::{RealEnv, block_on};
use broker::env::{Env, Mono};
use broker::ids::TopicPartition;
use harness::client::consumer::{ConsumerConfig, OutOfRange};
use harness::client::group::assign::Assignor;
use harness::client::group::config::{GroupConfig, Promise, Topics};
use harness::client::group::consumer::{Got, GroupConsumer};
use harness::client::producer::{Producer, ProducerConfig};
use harness::client::record::Record;
use harness::client::{Client, Settings};
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(20);
const PARTITIONS: i32 = 4;

/// Runs the broker of this tree, whose groups do not wait.
async fn with_broker<F: Future<Output = ()>>(root: &Path, port: u16, work: impl FnOnce(u16) -> F) {
    let groups = Coordination {
        initial_rebalance_delay: Duration::ZERO,
        min_session_timeout: Duration::from_millis(100),
        offsets_topic_partitions: 2,
        ..Coordination::default()
    };
    common::with_broker(root, port, BrokerConfig { groups, ..BrokerConfig::default() }, work).await;
}

/// What all members of one group did, as they saw it.
#[derive(Default)]
struct Log {
    /// How often each record was handed out, by partition and offset.
    seen: RefCell<BTreeMap<(i32, i64), u32>>,
    /// Who owns what.
    owners: RefCell<BTreeMap<TopicPartition, u32>>,
    members: Cell<u32>,
}

impl Log {
    fn take(&self, member: u32, got: Got) {
        match got {
            Got::Nothing => {}
            Got::Records(polled) => {
                for part in polled {
                    assert_eq!(part.error, None);
                    assert_eq!(
                        self.owners.borrow().get(&part.tp),
                        Some(&member),
                        "reads {} and does not own it",
                        part.tp
                    );
                    for record in part.records {
                        *self.seen.borrow_mut().entry((part.tp.partition, record.offset)).or_default() += 1;
                    }
                }
            }
            Got::Assigned(_, placed) => {
                for tp in placed.into_keys() {
                    let other = self.owners.borrow_mut().insert(tp.clone(), member);
                    assert_eq!(other, None, "{tp} is given to {member} too");
                }
            }
            Got::Revoking(what) | Got::Lost(what) => {
                for tp in what {
                    // What was never begun was never noted.
                    let owner = self.owners.borrow_mut().remove(&tp);
                    assert!(owner.is_none_or(|owner| owner == member), "{member} gives up {tp} of {owner:?}");
                }
            }
        }
    }

    fn owned_by(&self, member: u32) -> usize {
        self.owners.borrow().values().filter(|owner| **owner == member).count()
    }
}

struct Exercise {
    env: RealEnv,
    client: Client<RealEnv>,
    topic: Arc<str>,
}

impl Exercise {
    fn new(root: &Path, port: u16) -> Self {
        let env = RealEnv::new(root.join("client")).unwrap();
        let settings = Settings { bootstrap: vec![format!("127.0.0.1:{port}")], ..Settings::default() };
        Self { client: Client::new(env.clone(), settings), env, topic: "orders".into() }
    }

    fn deadline(&self) -> Mono {
        self.env.now().after(PATIENCE)
    }

    async fn topic(&self) {
        let configs = [("flush.messages", "1")];
        self.client.create_topic(&self.topic, PARTITIONS, 1, &configs, self.deadline()).await.unwrap();
        self.client.wait_topic(&self.topic, 4, self.deadline()).await.unwrap();
    }

    async fn produce(&self, each: usize) {
        let config = ProducerConfig { delivery_timeout: PATIENCE, ..ProducerConfig::default() };
        let producer = Producer::new(self.client.clone(), config);
        let mut tickets = Vec::new();
        for n in 0..each {
            for partition in 0..PARTITIONS {
                let record = Record { partition: Some(partition), ..Record::new(self.topic.clone(), format!("{n}")) };
                tickets.push(producer.enqueue(record).await.unwrap());
            }
        }
        for ticket in tickets {
            ticket.await.unwrap();
        }
    }

    fn config(&self, assignor: Assignor) -> GroupConfig {
        GroupConfig {
            assignors: vec![assignor],
            session_timeout: Duration::from_secs(2),
            heartbeat_interval: Duration::from_millis(30),
            auto_commit: Some(Duration::from_millis(20)),
            fetch: ConsumerConfig {
                out_of_range: OutOfRange::Earliest,
                max_wait: Duration::from_millis(50),
                ..ConsumerConfig::default()
            },
            ..GroupConfig::new(format!("g-{}", assignor.name()))
        }
    }

    /// A member that polls until it is told to close, or to vanish.
    fn member(&self, log: &Rc<Log>, config: GroupConfig) -> Running {
        let number = log.members.get();
        log.members.set(number + 1);
        let (close, mut closing) = oneshot::channel::<bool>();
        let (closed, end) = oneshot::channel();
        let consumer = GroupConsumer::new(Client::new(self.env.clone(), self.client.settings().clone()), config);
        consumer.subscribe(Topics::List([self.topic.clone()].into()));
        let (log, env) = (log.clone(), self.env.clone());
        self.env.spawn("member", async move {
            let nicely = loop {
                if let Ok(nicely) = closing.try_recv() {
                    break nicely;
                }
                log.take(number, consumer.poll(Duration::from_millis(20)).await.unwrap());
            };
            if nicely {
                consumer.close(env.now().after(PATIENCE)).await;
            } else {
                drop(consumer);
            }
            log.owners.borrow_mut().retain(|_, owner| *owner != number);
            closed.send(()).unwrap();
        });
        Running { number, close, end }
    }

    /// Waits for what must come.
    async fn until(&self, what: &str, come: impl Fn() -> bool) {
        let deadline = self.deadline();
        while !come() {
            assert!(self.env.now() < deadline, "not in time: {what}");
            self.env.sleep(Duration::from_millis(5)).await;
        }
    }

    async fn members_come_and_go(&self, assignor: Assignor, produced: usize) {
        let log = Rc::new(Log::default());
        let first = self.member(&log, self.config(assignor));
        self.until("the first owns all", || log.owned_by(first.number) == 4).await;
        let second = self.member(&log, self.config(assignor));
        let third = self.member(&log, self.config(assignor));
        let (b, c) = (second.number, third.number);
        self.until("three share", || {
            let loads = [log.owned_by(first.number), log.owned_by(b), log.owned_by(c)];
            loads.iter().sum::<usize>() == 4 && loads.iter().all(|load| *load > 0)
        })
        .await;
        self.produce(50).await;
        first.stops(true).await;
        self.until("two share", || log.owned_by(b) == 2 && log.owned_by(c) == 2).await;
        third.stops(false).await;
        self.until("the last owns all", || log.owned_by(b) == 4).await;
        let all = 4 * (produced + 50);
        self.until("all is read", || log.seen.borrow().len() == all).await;
        second.stops(true).await;
        self.check_committed(assignor, produced + 50).await;
        let twice = log.seen.borrow().values().filter(|count| **count > 1).count();
        assert!(twice < all, "{twice} of {all} came twice");
    }

    /// The next member finds everything committed, up to the end.
    async fn check_committed(&self, assignor: Assignor, end: usize) {
        let observer = GroupConsumer::new(self.client.clone(), self.config(assignor));
        observer.subscribe(Topics::List([self.topic.clone()].into()));
        let deadline = self.deadline();
        let placed = loop {
            assert!(self.env.now() < deadline);
            if let Got::Assigned(_, placed) = observer.poll(Duration::from_millis(50)).await.unwrap() {
                break placed;
            }
        };
        assert_eq!(placed.into_values().collect::<BTreeSet<_>>(), BTreeSet::from([i64::try_from(end).unwrap()]));
        observer.close(self.deadline()).await;
    }
}

struct Running {
    number: u32,
    close: oneshot::Sender<bool>,
    end: oneshot::Receiver<()>,
}

impl Running {
    /// Closes nicely, or vanishes.
    async fn stops(self, nicely: bool) {
        self.close.send(nicely).unwrap();
        self.end.await.unwrap();
    }
}

#[test]
fn members_come_and_go_under_every_assignor() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let serving = with_broker(root, 0, |port| async move {
        let exercise = Exercise::new(root, port);
        exercise.topic().await;
        let assignors = [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky];
        for (assignor, round) in assignors.into_iter().zip(0..) {
            exercise.members_come_and_go(assignor, 50 * round).await;
        }
    });
    block_on(serving).unwrap();
}

#[test]
fn a_member_outlives_its_coordinator_and_a_static_one_its_own_restart() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let test = async {
        let (log, chosen) = (Rc::new(Log::default()), Rc::new(Cell::new(0)));
        let exercise = RefCell::new(None);
        with_broker(root, 0, |port| {
            let (log, exercise) = (log.clone(), &exercise);
            chosen.set(port);
            async move {
                let with = Exercise::new(root, port);
                with.topic().await;
                with.produce(20).await;
                let member = with.member(&log, with.config(Assignor::CooperativeSticky));
                with.until("all is read", || log.seen.borrow().len() == 80).await;
                *exercise.borrow_mut() = Some((with, member));
            }
        })
        .await;
        let (with, member) = exercise.take().unwrap();
        with_broker(root, chosen.get(), |_| {
            let log = log.clone();
            async move {
                with.produce(20).await;
                with.until("the rest is read", || log.seen.borrow().len() == 160).await;
                member.stops(true).await;
                with.check_committed(Assignor::CooperativeSticky, 40).await;
                let named = |group: &str| GroupConfig {
                    instance: Some("one".into()),
                    promise: Promise::AtMostOnce,
                    ..GroupConfig { group: group.into(), ..with.config(Assignor::Range) }
                };
                let log = Rc::new(Log::default());
                let before = with.member(&log, named("static"));
                with.until("all is read", || log.seen.borrow().len() == 160).await;
                before.stops(true).await;
                let after = with.member(&log, named("static"));
                with.until("it is back", || log.owned_by(after.number) == 4).await;
                with.produce(5).await;
                with.until("the rest is read", || log.seen.borrow().len() == 180).await;
                assert!(log.seen.borrow().values().all(|count| *count == 1), "at most once");
                after.stops(true).await;
            }
        })
        .await;
    };
    block_on(test).unwrap();
}
