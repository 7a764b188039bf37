//! The idempotent consumer with slow handlers: workers behind bounded queues, which whoever polls fills. A full queue holds
//! the poll loop up, for a part of `max.poll.interval.ms`; then what the member owns is paused, and it polls on, for its
//! place in the group's sake. Events of one key meet one worker, in order; those of a partition are done in any order, and
//! what is committed stays below the first that is not.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use broker::env::Env;
use broker::ids::{Offset, TopicPartition};
use harness::app::App;
use harness::client::consumer::Polled;
use harness::client::group::config::{GroupConfig, Topics};
use harness::client::group::consumer::{Got, GroupConsumer};
use harness::group_load::GroupLoad;
use harness::history::{Origin, Phase};
use harness::workload::Role;

use super::crew::{Lead, PATIENCE, Post, staff};
use super::idempotent::handle;
use super::queue::Queue;
use super::store::Result;
use super::{Shop, chances};

/// The workers of one member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    /// How many there are, each with a queue of its own.
    pub workers: usize,
    /// Room in each queue, in events.
    pub room: usize,
    /// Work on each event, in microseconds, shortest and longest.
    pub work_us: (u64, u64),
    /// Events that take much longer, per mille.
    pub slow_per_mille: u64,
    /// How long those take, in milliseconds.
    pub slow_ms: u64,
}

/// The application.
pub(crate) fn app(name: &'static str, group: GroupLoad, pool: Pool) -> App {
    App {
        name,
        group,
        play: Rc::new(move |crew| Box::pin(staff(crew, async move |post, shop| member(post, shop, pool).await))),
    }
}

async fn member<E: Env>(post: Post<E>, shop: Rc<Shop<E>>, pool: Pool) {
    post.lives(async |role: &Role<E>| Life::begin(&post, role, &shop, pool).live().await).await;
}

/// An event in a queue.
#[derive(Clone, Debug)]
struct Job {
    tp: TopicPartition,
    of: Origin,
}

/// One life of a member.
struct Life<'a, E: Env> {
    post: &'a Post<E>,
    role: &'a Role<E>,
    consumer: GroupConsumer<E>,
    queues: Queues,
    /// What workers have done, and the consumer was not told yet.
    done: Rc<RefCell<Vec<(TopicPartition, Offset)>>>,
    /// Polled, and in no queue yet, in order: what one poll brings, or little more.
    held: VecDeque<Job>,
    lead: Lead,
    paused: bool,
}

/// The queues of one life: when that is over the workers end.
struct Queues(Vec<Rc<Queue<Job>>>);

impl Drop for Queues {
    fn drop(&mut self) {
        self.0.iter().for_each(|queue| queue.close());
    }
}

impl<'a, E: Env> Life<'a, E> {
    fn begin(post: &'a Post<E>, role: &'a Role<E>, shop: &Rc<Shop<E>>, pool: Pool) -> Self {
        let config = role.member(&post.load, post.group, post.member);
        let consumer = role.join_as(GroupConfig { one_by_one: true, ..config });
        consumer.subscribe(Topics::List(post.topics.iter().cloned().collect()));
        let done = Rc::<RefCell<Vec<_>>>::default();
        let worker = |_| {
            let queue = Rc::new(Queue::new(pool.room));
            role.env.spawn("worker", work(role.clone(), shop.clone(), queue.clone(), done.clone(), pool));
            queue
        };
        let queues = Queues((0..pool.workers.max(1)).map(worker).collect());
        let (held, lead) = (VecDeque::new(), Lead::default());
        Self { post, role, consumer, queues, done, held, lead, paused: false }
    }

    /// Until the final read, until it goes to come again, or until the group does not want it.
    async fn live(mut self) -> Result<()> {
        let (shortest, longest) = self.post.load.stay_ms;
        let until = (longest > 0).then(|| self.role.within(self.role.draws().between(shortest, longest)));
        let goes = |role: &Role<E>| role.loading() && until.is_some_and(|until| role.env.now() >= until);
        while self.role.stage.phase() < Phase::FinalRead && !goes(self.role) {
            match self.role.turn(&self.consumer).await {
                Ok(Got::Records(polled)) => self.takes(&polled).await,
                Ok(Got::Revoking(gone) | Got::Lost(gone)) => self.drops(&gone),
                Ok(Got::Assigned(_, placed)) => self.lead.begins(|tp| placed.contains_key(tp)),
                Ok(Got::Nothing) => {}
                Err(_) => return Ok(()),
            }
            let full = !self.hand_over().await;
            self.tell_done();
            let lags = self.lead.is_long() && !self.commits().await;
            self.pause(full || lags);
        }
        self.tell_done();
        self.consumer.close(self.role.env.now().after(PATIENCE)).await;
        Ok(())
    }

    async fn takes(&mut self, polled: &[Polled]) {
        for part in polled {
            self.lead.add(part);
            for record in &part.records {
                match self.role.origin(&part.tp, record) {
                    Some(of) => self.held.push_back(Job { tp: part.tp.clone(), of }),
                    // Not one of the run's: there is nothing to do.
                    None => self.consumer.done(&part.tp, record.offset),
                }
            }
        }
        if polled.iter().any(|part| part.error.is_some()) {
            self.role.pause(20).await;
        }
    }

    /// What it does not own any more it does not begin: whoever has it now does.
    fn drops(&mut self, gone: &BTreeSet<TopicPartition>) {
        self.held.retain(|job| !gone.contains(&job.tp));
        self.queues.0.iter().for_each(|queue| queue.retain(|job| !gone.contains(&job.tp)));
    }

    /// Puts what it holds into the queues. False if there was no room for all of it in the time that a poll loop has.
    async fn hand_over(&mut self) -> bool {
        let until = self.role.within(self.post.load.max_poll_ms / 4);
        while let Some(job) = self.held.front() {
            // By key, so that each key's events stay in order; without one they may go anywhere.
            let lane = job.of.key.map_or(job.of.id.seq, u64::from) as usize % self.queues.0.len();
            let put = self.queues.0[lane].put(job.clone());
            if self.role.env.timeout(until.since(self.role.env.now()), put).await.is_none() {
                return false;
            }
            self.held.pop_front();
        }
        true
    }

    fn tell_done(&self) {
        self.done.take().iter().for_each(|(tp, offset)| self.consumer.done(tp, *offset));
    }

    async fn commits(&mut self) -> bool {
        let committed = self.consumer.commit_processed(self.role.env.now().after(PATIENCE)).await.is_ok();
        if committed {
            self.lead.begins(|_| true);
        }
        committed
    }

    /// Hands out nothing more of what it owns, or goes on.
    fn pause(&mut self, paused: bool) {
        if paused || self.paused {
            for tp in self.consumer.owned() {
                // What has not begun yet is paused once it has.
                _ = if paused { self.consumer.pause(&tp) } else { self.consumer.resume(&tp) };
            }
        }
        self.paused = paused;
    }
}

/// One worker, until its queue is closed.
async fn work<E: Env>(
    role: Role<E>,
    shop: Rc<Shop<E>>,
    queue: Rc<Queue<Job>>,
    done: Rc<RefCell<Vec<(TopicPartition, Offset)>>>,
    pool: Pool,
) {
    while let Some(Job { tp, of }) = queue.take().await {
        let mut draw = chances(of);
        let work = Duration::from_micros(draw.between(pool.work_us.0, pool.work_us.1));
        let slow = draw.chance(pool.slow_per_mille);
        role.env.sleep(if slow { Duration::from_millis(pool.slow_ms) } else { work }).await;
        if let Err(e) = handle(&role, &shop, true, std::iter::once(of)).await {
            return role.env.halt(&format!("the application's database: {e}"));
        }
        done.borrow_mut().push((tp, of.offset));
    }
}
