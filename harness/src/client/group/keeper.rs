//! Keeps a member alive: carries out what its machine wants, tells it the answers and the time, and holds the way to the
//! coordinator.
//!
//! Two connections lead there. Brokers answer one connection's requests in turn, and a JoinGroup may wait for minutes:
//! commits go the other way, so that a member can commit while a round gathers (KIP-429).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use broker::env::{Env, Mono};
use broker::ids::TopicPartition;
use kafka_protocol::messages::{ConsumerGroupHeartbeatResponse, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::Request;
use uuid::Uuid;

use super::assign::Partitions;
use super::config::GroupConfig;
use super::member::Membership;
use super::member::words::{Answer, Beaten, Effect, Input, Say, Ticket};
use super::requests;
use super::watch::Step;
use crate::client::link::Link;
use crate::client::outcome::{self, Failure};
use crate::client::signal::Signal;
use crate::client::{Client, call};

/// A JoinGroup is answered when the round is over, or a little later.
const ROUND_GRACE: Duration = Duration::from_secs(5);

/// The shortest time between two heartbeats, whatever a broker says.
const SHORTEST: Duration = Duration::from_millis(10);

/// What the application must hear of, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    Assigned(i32, BTreeSet<TopicPartition>),
    Revoke(Ticket, BTreeSet<TopicPartition>),
    Lost(BTreeSet<TopicPartition>),
}

/// The way to the coordinator.
struct Ways<E: Env> {
    /// JoinGroup, SyncGroup, Heartbeat.
    rounds: Rc<Link<E>>,
    /// Commits and the rest.
    offsets: Rc<Link<E>>,
}

impl<E: Env> Drop for Ways<E> {
    fn drop(&mut self) {
        self.rounds.close();
        self.offsets.close();
    }
}

/// One member with its connections.
pub(super) struct Keeper<E: Env> {
    pub client: Client<E>,
    pub config: Rc<GroupConfig>,
    machine: RefCell<Membership>,
    ways: RefCell<Option<Ways<E>>>,
    pub news: RefCell<VecDeque<News>>,
    /// Why the group does not want this member.
    pub fatal: Cell<Option<i16>>,
    /// The application is gone: whatever is still under way, the member is dead.
    stopped: Cell<bool>,
    /// LeaveGroups under way.
    pub leaving: Cell<u32>,
    /// Raised with everything that happens to the member.
    pub came: Rc<Signal>,
    /// The identities of topics that it was assigned something of (KIP-848).
    ids: RefCell<BTreeMap<Arc<str>, Uuid>>,
    me: Weak<Self>,
}

impl<E: Env> Drop for Keeper<E> {
    fn drop(&mut self) {
        // Whoever waits for time to pass sees that there is nobody left to tell.
        self.came.raise();
    }
}

impl<E: Env> Keeper<E> {
    /// A member of nothing yet.
    pub fn new(client: Client<E>, config: Rc<GroupConfig>) -> Rc<Self> {
        let rules = config.rules(client.settings().retry);
        let machine = Membership::new(rules, client.env().draw(), client.env().now());
        let keeper = Rc::new_cyclic(|me| Self {
            client,
            config,
            machine: RefCell::new(machine),
            ways: RefCell::default(),
            news: RefCell::default(),
            fatal: Cell::new(None),
            stopped: Cell::new(false),
            leaving: Cell::new(0),
            came: Rc::default(),
            ids: RefCell::default(),
            me: me.clone(),
        });
        keeper.client.env().spawn("group member", tell_time(keeper.me.clone()));
        keeper
    }

    /// The member id and generation to commit with, if it is in a generation.
    pub fn identity(&self) -> Option<(Arc<str>, i32)> {
        self.machine.borrow().identity()
    }

    /// The generation it is in, -1 for none.
    pub fn generation(&self) -> i32 {
        self.identity().map_or(-1, |(_, generation)| generation)
    }

    /// What it owns, as far as it knows.
    pub fn owned(&self) -> BTreeSet<TopicPartition> {
        self.machine.borrow().owned().clone()
    }

    /// Whether it is in a generation and has nothing left to do in it.
    pub fn is_stable(&self) -> bool {
        self.machine.borrow().is_stable()
    }

    /// What its plan was made from, if it made the running one.
    pub fn planned(&self) -> Option<Partitions> {
        self.machine.borrow().planned().cloned()
    }

    /// Tells the machine, and does what it wants done.
    pub fn tell(&self, input: Input) {
        if self.stopped.get() {
            return;
        }
        let mut effects = Vec::new();
        self.machine.borrow_mut().step(self.client.env().now(), input, &mut effects);
        effects.into_iter().for_each(|effect| self.carry_out(effect));
        self.came.raise();
    }

    /// The member falls silent, at once and for good.
    pub fn stop(&self) {
        self.stopped.set(true);
        drop(self.ways.take());
        self.came.raise();
    }

    /// Whether it has fallen silent.
    pub fn is_stopped(&self) -> bool {
        self.stopped.get()
    }

    /// Tells the watcher, if there is one.
    pub fn note(&self, generation: i32, step: Step) {
        if let Some(watch) = &self.config.watch {
            watch.step(generation, step);
        }
    }

    /// The connections for commits, once a coordinator is known; `None` at `deadline` or if the group does not want this
    /// member.
    pub async fn offsets_way(&self, deadline: Mono) -> Option<Rc<Link<E>>> {
        loop {
            let seen = self.came.count();
            if let Some(ways) = &*self.ways.borrow() {
                return Some(ways.offsets.clone());
            }
            let left = deadline.since(self.client.env().now());
            if left.is_zero() || self.fatal.get().is_some() || self.stopped.get() {
                return None;
            }
            self.client.env().timeout(left, self.came.past(seen)).await;
        }
    }

    fn carry_out(&self, effect: Effect) {
        let (config, timeout) = (&self.config, self.client.settings().request_timeout);
        match effect {
            Effect::Find(ticket) => self.find(ticket),
            Effect::Forget => drop(self.ways.take()),
            Effect::Join(ticket, id, protocols) => {
                let request = requests::join(config, &id, protocols);
                let patience = config.max_poll_interval.saturating_add(ROUND_GRACE);
                self.ask(ticket, request, patience, |said| Answer::Joined(Box::new(requests::joined(said))));
            }
            Effect::Sync { ticket, member_id, generation, protocol, assignments } => {
                let request = requests::sync(config, &member_id, generation, protocol, assignments);
                let patience = config.max_poll_interval.saturating_add(ROUND_GRACE);
                self.ask(ticket, request, patience, |said| Answer::Synced(said.error_code, said.assignment));
            }
            Effect::Beat(ticket, id, generation) => {
                let request = requests::beat(config, &id, generation);
                self.ask(ticket, request, timeout, |said| Answer::Beat(said.error_code));
            }
            Effect::Say(ticket, say) => self.say(ticket, &say),
            Effect::Leave(id) => self.leave(&id),
            Effect::Lookup(ticket, topics) => self.look_up(ticket, topics),
            Effect::Entered { generation, leads } => {
                self.note(generation, Step::Entered(leads, config.instance.clone()));
            }
            Effect::Synced { generation } => self.note(generation, Step::Synced),
            Effect::Told { generation } => self.note(generation, Step::Told),
            Effect::Revoke(ticket, what) => self.news.borrow_mut().push_back(News::Revoke(ticket, what)),
            Effect::Assigned { generation, added } => {
                if !added.is_empty() {
                    self.news.borrow_mut().push_back(News::Assigned(generation, added));
                }
            }
            Effect::Lost(what) if what.is_empty() => self.note(-1, Step::Out),
            Effect::Lost(what) => {
                // It is over now, whenever the application hears of it.
                for tp in &what {
                    self.note(-1, Step::Lost(tp.clone()));
                }
                self.news.borrow_mut().push_back(News::Lost(what));
            }
            Effect::Fatal(code) => self.fatal.set(Some(code)),
        }
    }

    /// Sends `request` the rounds' way, and tells the machine what came of it.
    fn ask<R: Request + 'static>(
        &self,
        ticket: Ticket,
        request: R,
        patience: Duration,
        answered: impl FnOnce(R::Response) -> Answer + 'static,
    ) {
        let way = self.ways.borrow().as_ref().map(|ways| ways.rounds.clone());
        let deadline = self.client.env().now().after(patience);
        let me = self.me.clone();
        self.client.env().spawn("group request", async move {
            let said = match way {
                Some(way) => call(&way, &request, deadline).await,
                None => Err(Failure::NotSent),
            };
            let Some(me) = me.upgrade() else { return };
            me.tell(Input::Answer(ticket, said.map_or(Answer::Failed, answered)));
        });
    }

    /// Sends a heartbeat of the newer protocol. What it tells by topic id is told on by name, once that is known.
    fn say(&self, ticket: Ticket, say: &Say) {
        let way = self.ways.borrow().as_ref().map(|ways| ways.rounds.clone());
        let request = requests::say(&self.config, say, &self.ids.borrow());
        // The answer tells of them by their identities.
        for topic in say.topics.iter().flatten() {
            self.client.partitions(topic, 1);
        }
        let (env, me) = (self.client.env().clone(), self.me.clone());
        let deadline = env.now().after(self.client.settings().request_timeout);
        env.spawn("group heartbeat", async move {
            let said = match way {
                Some(way) => call(&way, &request, deadline).await,
                None => Err(Failure::NotSent),
            };
            let Some(me) = me.upgrade() else { return };
            let answer = match said {
                Err(_) => Answer::Failed,
                Ok(refused) if refused.error_code != 0 => Answer::Beaten(Err(refused.error_code)),
                Ok(told) => Answer::Beaten(Ok(me.by_name(told).await)),
            };
            me.tell(Input::Answer(ticket, answer));
        });
    }

    /// What a heartbeat was told, by the names of topics. Those that do not come to light soon are left out.
    async fn by_name(&self, told: ConsumerGroupHeartbeatResponse) -> Beaten {
        let interval = Duration::from_millis(u64::try_from(told.heartbeat_interval_ms).unwrap_or(0)).max(SHORTEST);
        let mut beaten = Beaten { epoch: told.member_epoch, interval, assigned: None, whole: true };
        let Some(assignment) = told.assignment else { return beaten };
        let mut assigned = BTreeSet::new();
        let deadline = self.client.env().now().after(interval);
        for topic in assignment.topic_partitions {
            if self.client.topic_by_id(topic.topic_id).is_none() {
                self.client.refresh();
            }
            let Some(name) = self.client.until(deadline, || self.client.topic_by_id(topic.topic_id)).await else {
                beaten.whole = false;
                continue;
            };
            self.ids.borrow_mut().insert(name.clone(), topic.topic_id);
            assigned.extend(topic.partitions.iter().map(|number| TopicPartition::new(name.clone(), *number)));
        }
        beaten.assigned = Some(assigned);
        beaten
    }

    fn find(&self, ticket: Ticket) {
        let (client, me, request) = (self.client.clone(), self.me.clone(), requests::find(&self.config));
        self.client.env().spawn("find coordinator", async move {
            let deadline = client.env().now().after(client.settings().request_timeout);
            let said = client.call_any(&request, deadline).await;
            let Some(me) = me.upgrade() else { return };
            let answer = match said {
                Ok(found) if found.error_code == 0 => {
                    if !me.stopped.get() {
                        *me.ways.borrow_mut() = Some(me.ways_to(&found));
                    }
                    Answer::Found(0)
                }
                Ok(refused) => Answer::Found(refused.error_code),
                Err(Failure::NoCommonVersion) => Answer::Found(outcome::NO_COMMON_VERSION),
                Err(_) => Answer::Failed,
            };
            me.tell(Input::Answer(ticket, answer));
        });
    }

    fn ways_to(&self, found: &FindCoordinatorResponse) -> Ways<E> {
        let settings = Rc::new(self.client.settings().clone());
        let addr = format!("{}:{}", &*found.host, found.port);
        let link =
            || Link::new(self.client.env().clone(), addr.clone(), settings.clone(), self.client.changed().clone());
        Ways { rounds: link(), offsets: link() }
    }

    fn leave(&self, id: &str) {
        let ways = self.ways.borrow();
        match ways.as_ref() {
            // After the heartbeat that may be under way.
            ways if self.config.is_brokers() => {
                self.take_leave(ways.map(|ways| ways.rounds.clone()), requests::say_goodbye(&self.config, id));
            }
            Some(ways) => self.take_leave(Some(ways.offsets.clone()), requests::leave(&self.config, id)),
            None => {}
        }
    }

    /// Takes leave of the coordinator, which is looked for if there is no way to it. If that is lost, as with a connection that
    /// breaks over what was said before, it is said again: until its session ended by itself, a static member's name would be
    /// nobody else's. Not once it has asked to be let in again.
    fn take_leave<R: Request + 'static>(&self, way: Option<Rc<Link<E>>>, request: R) {
        let (client, me, find) = (self.client.clone(), self.me.clone(), requests::find(&self.config));
        let deadline = self.client.env().now().after(self.client.settings().request_timeout);
        self.leaving.set(self.leaving.get() + 1);
        self.client.env().spawn("leave group", async move {
            let mut failures = 0;
            while !Self::goodbye(&client, &me, way.as_ref(), (&find, &request), deadline).await {
                failures += 1;
                client.pause(failures, deadline).await;
                let over = me.upgrade().is_none_or(|me| me.machine.borrow().has_asked());
                if over || client.env().now() >= deadline {
                    break;
                }
            }
            let Some(me) = me.upgrade() else { return };
            me.leaving.set(me.leaving.get() - 1);
            me.came.raise();
        });
    }

    /// Says that once; whether it was answered.
    async fn goodbye<R: Request + 'static>(
        client: &Client<E>,
        me: &Weak<Self>,
        way: Option<&Rc<Link<E>>>,
        (find, request): (&FindCoordinatorRequest, &R),
        deadline: Mono,
    ) -> bool {
        let own = match way {
            Some(_) => None,
            None => {
                let found = client.call_any(find, deadline).await.ok().filter(|found| found.error_code == 0);
                found.and_then(|found| Some(me.upgrade()?.ways_to(&found)))
            }
        };
        match way.or(own.as_ref().map(|ways| &ways.rounds)) {
            Some(way) => call(way, request, deadline).await.is_ok(),
            None => false,
        }
    }

    /// Finds out how many partitions there are. A topic that does not exist, or does not come to light in time, has none.
    fn look_up(&self, ticket: Ticket, topics: BTreeSet<Arc<str>>) {
        let (client, me) = (self.client.clone(), self.me.clone());
        self.client.env().spawn("partitions to share out", async move {
            let deadline = client.env().now().after(client.settings().request_timeout);
            // What was heard long ago may have changed: the plan is made from fresh metadata.
            client.refresh();
            let heard = |topic: &Arc<str>| {
                count(&client, topic).is_some() || client.topic_code(topic).is_some_and(|code| code != 0)
            };
            // Those that do not come to light are left out.
            let _ = client.until(deadline, || topics.iter().all(heard).then_some(())).await;
            let one = |topic: &Arc<str>| (topic.clone(), count(&client, topic).unwrap_or(0));
            let partitions: Partitions = topics.iter().map(one).collect();
            if let Some(me) = me.upgrade() {
                me.tell(Input::Answer(ticket, Answer::Partitions(partitions)));
            }
        });
    }
}

/// How many partitions a topic has, if that is known.
pub(super) fn count<E: Env>(client: &Client<E>, topic: &Arc<str>) -> Option<i32> {
    client.partitions(topic, 1).and_then(|count| i32::try_from(count).ok())
}

/// Tells the machine when its time has come, as long as there is one.
async fn tell_time<E: Env>(keeper: Weak<Keeper<E>>) {
    while let Some(me) = keeper.upgrade().filter(|me| !me.stopped.get()) {
        let (env, came) = (me.client.env().clone(), me.came.clone());
        let next = me.machine.borrow().next();
        if next.is_some_and(|next| next <= env.now()) {
            me.tell(Input::Tick);
        }
        let seen = came.count();
        // A millisecond at least: whatever the machine wants, time goes on.
        let wait = me.machine.borrow().next().map(|next| next.since(env.now()).max(Duration::from_millis(1)));
        drop(me);
        match wait {
            Some(wait) => drop(env.timeout(wait, came.past(seen)).await),
            None => came.past(seen).await,
        }
    }
}
