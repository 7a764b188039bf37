//! The subscribing consumer: a member of a group that reads what it is assigned.
//!
//! Everything comes out of [`GroupConsumer::poll`], one thing at a time: records, or word that partitions were assigned,
//! must be given up, or are lost. Calling it again says that what it brought before is processed, unless that is said of
//! each record ([`GroupConsumer::done`]). So a poll that brings
//! [`Got::Revoking`] is the moment to finish and to commit; the partitions are given up with the poll after it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use broker::env::{Env, Mono, race};
use broker::ids::{Offset, TopicPartition};
use broker::planted::{Defect, planted};

use super::assign::Partitions;
use super::config::{GroupConfig, Promise, Topics};
use super::keeper::{Keeper, News, count};
use super::member::answers::ILLEGAL_GENERATION;
use super::member::words::{Input, Ticket};
use super::places::Places;
use super::placing::Search;
use super::requests::{self, Commits};
use super::watch::Step;
use crate::client::consumer::{Consumer, Polled};
use crate::client::{CallError, Client};
use crate::history::event::Outcome;

/// What one poll brought.
#[derive(Clone, Debug)]
pub enum Got {
    /// Nothing, in the time that was given.
    Nothing,
    /// Records, or errors, of partitions it owns.
    Records(Vec<Polled>),
    /// It owns these from now on, each from this offset on; in this generation.
    Assigned(i32, BTreeMap<TopicPartition, Offset>),
    /// It must give these up, and has with the next poll. They are not read any more; they can be committed still.
    Revoking(BTreeSet<TopicPartition>),
    /// It does not own these any more, and cannot commit them.
    Lost(BTreeSet<TopicPartition>),
}

/// A member of a group that reads what it is assigned. Dropped without [`GroupConsumer::close`] it is as if crashed.
pub struct GroupConsumer<E: Env> {
    pub(super) keeper: Rc<Keeper<E>>,
    pub(super) reader: Consumer<E>,
    topics: RefCell<Option<Topics>>,
    /// What [`Topics`] came to last.
    subscribed: RefCell<BTreeSet<Arc<str>>>,
    pub(super) places: Rc<RefCell<Places>>,
    /// Assigned, and not begun: where to begin is being found out. By the generation they came in.
    pub(super) unplaced: RefCell<BTreeMap<TopicPartition, i32>>,
    pub(super) search: Rc<Search>,
    /// Given up with the next poll.
    revoking: RefCell<Option<(Ticket, BTreeSet<TopicPartition>)>>,
    next_commit: Cell<Mono>,
    /// Asynchronous commits under way.
    committing: Rc<Cell<u32>>,
}

impl<E: Env> Drop for GroupConsumer<E> {
    fn drop(&mut self) {
        self.keeper.stop();
    }
}

impl<E: Env> GroupConsumer<E> {
    /// A member of no group yet, on `client`'s connections and two of its own to the coordinator.
    pub fn new(client: Client<E>, config: GroupConfig) -> Self {
        let config = Rc::new(config);
        let reader = Consumer::new(client.clone(), config.fetch.clone());
        let next_commit = client.env().now().after(config.auto_commit.unwrap_or_default());
        Self {
            keeper: Keeper::new(client, config),
            reader,
            topics: RefCell::default(),
            subscribed: RefCell::default(),
            places: Rc::default(),
            unplaced: RefCell::default(),
            search: Rc::default(),
            revoking: RefCell::default(),
            next_commit: Cell::new(next_commit),
            committing: Rc::default(),
        }
    }

    /// Subscribes to these, and to nothing else any more. The member joins by itself; polling brings what comes of it.
    pub fn subscribe(&self, topics: Topics) {
        self.keeper.tell(Input::Polled);
        *self.topics.borrow_mut() = Some(topics);
        self.resolve();
    }

    /// What it owns, as far as it knows.
    pub fn owned(&self) -> BTreeSet<TopicPartition> {
        self.keeper.owned()
    }

    /// The generation it is in; -1 for none.
    pub fn generation(&self) -> i32 {
        self.keeper.generation()
    }

    /// Whether it is in a generation and has nothing left to do in it: neither to join nor to give up nor to begin.
    pub fn is_settled(&self) -> bool {
        self.keeper.is_stable() && self.unplaced.borrow().is_empty() && self.keeper.news.borrow().is_empty()
    }

    /// The next offset wanted of a partition that it reads.
    pub fn position(&self, tp: &TopicPartition) -> Option<Offset> {
        self.reader.position(tp)
    }

    /// The high watermark last heard of a partition that it reads; -1 before the first answer.
    pub fn high(&self, tp: &TopicPartition) -> Option<Offset> {
        self.reader.high(tp)
    }

    /// Goes elsewhere in a partition that it reads. False if it does not read it.
    pub fn seek(&self, tp: &TopicPartition, position: Offset) -> bool {
        self.places.borrow_mut().seek(tp, position);
        self.reader.seek(tp, position)
    }

    /// Hands out nothing more of a partition that it reads, until [`GroupConsumer::resume`]. False if it does not read it.
    pub fn pause(&self, tp: &TopicPartition) -> bool {
        self.reader.pause(tp, true)
    }

    /// Goes on with a paused partition. False if it does not read it.
    pub fn resume(&self, tp: &TopicPartition) -> bool {
        self.reader.pause(tp, false)
    }

    /// The next thing, at most after `timeout`, and what commits take ([`GroupConfig::patience`] for each at most: when
    /// partitions are given up, and at most once before records). An error is for good: the group does not want this member.
    pub async fn poll(&self, timeout: Duration) -> Result<Got, CallError> {
        let env = self.keeper.client.env();
        let deadline = env.now().after(timeout);
        self.process();
        self.give_up().await;
        self.commit_sometimes();
        // Whoever waits in a poll is alive, however long it may take.
        let most = self.keeper.config.max_poll_interval / 3;
        loop {
            if let Some(code) = self.keeper.fatal.get() {
                // Whoever polls on all the same must not stop time.
                self.keeper.client.pause(1, deadline).await;
                return Err(CallError { outcome: Outcome::Fail, code });
            }
            self.keeper.tell(Input::Polled);
            self.resolve();
            let seen = self.keeper.came.count();
            if let Some(news) = self.hear().await {
                return Ok(news);
            }
            if let Some(placed) = self.place().await {
                return Ok(placed);
            }
            if self.keeper.news.borrow().is_empty() {
                let left = deadline.since(env.now()).min(most);
                let polled = race(self.reader.poll(left), self.keeper.came.past(seen)).await.unwrap_or_default();
                let polled = self.hand_out(polled).await;
                if !polled.is_empty() {
                    return Ok(Got::Records(polled));
                }
            }
            if env.now() >= deadline && self.keeper.news.borrow().is_empty() {
                return Ok(Got::Nothing);
            }
        }
    }

    /// A record that was handed out is processed, where that is said of each ([`GroupConfig::one_by_one`]). What is committed
    /// stays below the first that is not. Of a partition that it does not own any more this says nothing.
    pub fn done(&self, tp: &TopicPartition, offset: Offset) {
        if let Some(position) = self.places.borrow_mut().done(tp, offset) {
            self.keeper.note(self.keeper.generation(), Step::Processed(tp.clone(), position));
        }
    }

    /// Commits these next offsets, and waits until that is done, at most until `deadline`.
    pub async fn commit_sync(
        &self,
        offsets: &BTreeMap<TopicPartition, Offset>,
        deadline: Mono,
    ) -> Result<(), CallError> {
        let offsets = offsets.iter().map(|(tp, offset)| (tp.clone(), (*offset, -1))).collect();
        self.commit(&offsets, deadline).await
    }

    /// Everything handed out is processed, unless that is said of each record: commits what is, and waits until that is done,
    /// at most until `deadline`.
    pub async fn commit_processed(&self, deadline: Mono) -> Result<(), CallError> {
        self.process();
        let mine = self.places.borrow().all();
        let due = self.places.borrow().due(&mine);
        self.commit(&due, deadline).await
    }

    /// Commits these next offsets without waiting. It is tried once: a second attempt might undo a later commit.
    pub fn commit_async(&self, offsets: &BTreeMap<TopicPartition, Offset>) {
        self.commit_later(offsets.iter().map(|(tp, offset)| (tp.clone(), (*offset, -1))).collect());
    }

    /// The offset committed of each partition, -1 for none; at most until `deadline`.
    pub async fn committed(
        &self,
        partitions: &BTreeSet<TopicPartition>,
        deadline: Mono,
    ) -> Result<BTreeMap<TopicPartition, Offset>, CallError> {
        Ok(requests::offsets(&self.keeper.committed(partitions, deadline).await?))
    }

    /// Everything handed out is processed, unless that is said of each record, and committed where the consumer does that by
    /// itself; then it leaves, or, as a static member, just goes. Ends by `deadline`; what is left undone then, the session's
    /// end will do.
    pub async fn close(self, deadline: Mono) {
        self.process();
        let mine = self.places.borrow().all();
        self.stop(&mine);
        self.commit_all(&mine, deadline).await;
        let generation = self.keeper.generation();
        for tp in &mine {
            self.places.borrow_mut().end(tp);
            self.keeper.note(generation, Step::Revoked(tp.clone()));
        }
        self.keeper.tell(Input::Leave);
        if self.keeper.config.instance.is_none() {
            self.keeper.note(generation, Step::Left);
        }
        self.wait(deadline, || self.keeper.leaving.get() == 0).await;
    }

    /// What was handed out is processed: the application has come back.
    fn process(&self) {
        if self.keeper.config.one_by_one {
            return;
        }
        let done = self.places.borrow_mut().process();
        let generation = self.keeper.generation();
        done.into_iter().for_each(|(tp, position)| self.keeper.note(generation, Step::Processed(tp, position)));
    }

    /// Takes the topics there are now, and tells the machine what changed.
    fn resolve(&self) {
        let client = &self.keeper.client;
        let topics = match &*self.topics.borrow() {
            None => return,
            Some(Topics::List(list)) => list.clone(),
            Some(Topics::Matching(says_yes)) => {
                let there = client.topic_names();
                there.into_iter().filter(|topic| says_yes(topic)).collect()
            }
        };
        if *self.subscribed.borrow() != topics {
            self.subscribed.borrow_mut().clone_from(&topics);
            self.keeper.tell(Input::Subscribe(topics));
        }
        if let Some(planned) = self.keeper.planned() {
            // What is not known for the moment is as it was.
            let known = planned.iter().map(|(topic, had)| (topic.clone(), count(client, topic).unwrap_or(*had)));
            let known: Partitions = known.collect();
            if known != planned {
                self.keeper.tell(Input::Partitions(known));
            }
        }
    }

    /// Takes in what happened to the membership.
    async fn hear(&self) -> Option<Got> {
        loop {
            let news = self.keeper.news.borrow_mut().pop_front()?;
            match news {
                News::Assigned(generation, added) => {
                    self.unplaced.borrow_mut().extend(added.into_iter().map(|tp| (tp, generation)));
                }
                News::Revoke(ticket, what) => {
                    self.stop(&what);
                    if !planted(Defect::CcCommitAfterRevoke) {
                        self.commit_all(&what, self.soon()).await;
                    }
                    *self.revoking.borrow_mut() = Some((ticket, what.clone()));
                    return Some(Got::Revoking(what));
                }
                News::Lost(what) => {
                    self.stop(&what);
                    for tp in &what {
                        self.places.borrow_mut().end(tp);
                    }
                    // Whatever was to be given up is gone already.
                    self.revoking.take();
                    return Some(Got::Lost(what));
                }
            }
        }
    }

    fn stop(&self, what: &BTreeSet<TopicPartition>) {
        if planted(Defect::CcStaleFetchAfterReassign) {
            return;
        }
        for tp in what {
            self.reader.unassign(tp);
            self.unplaced.borrow_mut().remove(tp);
        }
    }

    /// Gives up what the last poll said it must.
    async fn give_up(&self) {
        let Some((ticket, what)) = self.revoking.take() else { return };
        // A commit that lands later would undo the next owner's.
        self.wait(self.soon(), || self.committing.get() == 0).await;
        let generation = self.keeper.generation();
        for tp in &what {
            // What was never begun is not told of; lost meanwhile, it was told of as lost.
            let was_begun = planted(Defect::CcCommitAfterRevoke) || self.places.borrow_mut().end(tp);
            if was_begun && self.keeper.owned().contains(tp) {
                self.keeper.note(generation, Step::Revoked(tp.clone()));
            }
        }
        self.keeper.tell(Input::GivenUp(ticket));
    }

    /// Whether there is word, not yet heard, that a partition goes.
    pub(super) fn is_going(&self, tp: &TopicPartition) -> bool {
        !planted(Defect::CcStaleFetchAfterReassign)
            && self.keeper.news.borrow().iter().any(|news| match news {
                News::Revoke(_, what) | News::Lost(what) => what.contains(tp),
                News::Assigned(..) => false,
            })
    }

    /// What of `polled` is handed out. What is on its way out stays behind: whoever owns it next begins before it.
    async fn hand_out(&self, polled: Vec<Polled>) -> Vec<Polled> {
        let mut polled: Vec<_> = polled.into_iter().filter(|part| !self.is_going(&part.tp)).collect();
        if self.keeper.config.promise == Promise::AtMostOnce && !self.commit_first(&polled).await {
            for part in &polled {
                self.reader.seek(&part.tp, part.from);
            }
            return Vec::new();
        }
        // The commit took its time.
        let owns = |tp: &TopicPartition| self.keeper.owned().contains(tp) || planted(Defect::CcStaleFetchAfterReassign);
        polled.retain(|part| !self.is_going(&part.tp) && owns(&part.tp));
        for part in &polled {
            let records = part.records.iter().map(|record| (record.offset, record.epoch));
            let (to, one_by_one) = ((part.position, part.epoch), self.keeper.config.one_by_one);
            self.places.borrow_mut().hand_out(&part.tp, to, records, one_by_one);
        }
        if planted(Defect::CcAutocommitUnprocessed) {
            self.commit_sometimes();
        }
        polled
    }

    /// Commits what is about to be handed out. False if that is not known to have happened.
    async fn commit_first(&self, polled: &[Polled]) -> bool {
        let moved = polled.iter().filter(|part| part.position != part.from);
        let offsets = moved.map(|part| (part.tp.clone(), (part.position, part.epoch))).collect();
        self.commit(&offsets, self.soon()).await.is_ok()
    }

    /// Commits what is processed of these, where the consumer does that by itself.
    async fn commit_all(&self, what: &BTreeSet<TopicPartition>, deadline: Mono) {
        if self.commits_by_itself() {
            let due = self.places.borrow().due(what);
            // What comes of it is on record; a failure leaves the group where it was, and records come again.
            let _ = self.commit(&due, deadline).await;
        }
    }

    /// Commits what is processed, when it is time to, where the consumer does that by itself.
    fn commit_sometimes(&self) {
        let now = self.keeper.client.env().now();
        let Some(interval) = self.keeper.config.auto_commit.filter(|_| self.commits_by_itself()) else { return };
        if self.next_commit.get() > now || self.committing.get() > 0 || self.keeper.identity().is_none() {
            return;
        }
        self.next_commit.set(now.after(interval));
        let places = self.places.borrow();
        let due = places.due(&places.all());
        drop(places);
        self.commit_later(due);
    }

    fn commits_by_itself(&self) -> bool {
        let config = &self.keeper.config;
        config.auto_commit.is_some() && config.promise == Promise::AtLeastOnce
    }

    /// Commits, after whatever is being committed.
    async fn commit(&self, offsets: &Commits, deadline: Mono) -> Result<(), CallError> {
        self.wait(deadline, || self.committing.get() == 0).await;
        let own = self.still_own(offsets);
        self.keeper.commit(&own, true, deadline).await?;
        self.places.borrow_mut().commit(&own);
        let all = own.len() == offsets.len();
        // As the coordinator would refuse what is another's by now.
        all.then_some(()).ok_or(CallError { outcome: Outcome::Fail, code: ILLEGAL_GENERATION })
    }

    /// What of `offsets` is this member's to commit. What it has lost may be another's by now, even if the application has
    /// not heard of it, and the member is in a newer generation already, in which the coordinator would believe it.
    fn still_own(&self, offsets: &Commits) -> Commits {
        let news = self.keeper.news.borrow();
        let lost = |tp| news.iter().any(|news| matches!(news, News::Lost(what) if what.contains(tp)));
        offsets.iter().filter(|(tp, _)| !lost(tp)).map(|(tp, place)| (tp.clone(), *place)).collect()
    }

    fn commit_later(&self, offsets: Commits) {
        let offsets = self.still_own(&offsets);
        if offsets.is_empty() {
            return;
        }
        let (keeper, places, committing) = (self.keeper.clone(), self.places.clone(), self.committing.clone());
        let deadline = self.soon();
        committing.set(committing.get() + 1);
        self.keeper.client.env().spawn("group commit", async move {
            if keeper.commit(&offsets, false, deadline).await.is_ok() {
                places.borrow_mut().commit(&offsets);
            }
            committing.set(committing.get() - 1);
            keeper.came.raise();
        });
    }

    /// Waits until `done`, at most until `deadline`.
    async fn wait(&self, deadline: Mono, done: impl Fn() -> bool) {
        let env = self.keeper.client.env();
        loop {
            let (seen, left) = (self.keeper.came.count(), deadline.since(env.now()));
            if done() || left.is_zero() {
                return;
            }
            env.timeout(left, self.keeper.came.past(seen)).await;
        }
    }

    pub(super) fn soon(&self) -> Mono {
        self.keeper.client.env().now().after(self.keeper.config.patience)
    }
}
