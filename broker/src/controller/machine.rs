//! The controller: takes requests and time, and decides records. Nothing is written, sent or waited for here.
//!
//! A tick and each request are one batch of records, so that no crash keeps half a decision.
//!
//! It decides on its own image, which holds all that it has decided, committed or not. If a decision cannot be written,
//! or another controller is elected, this one must be dropped: what it has in mind may never be so.

use std::time::Duration;

use kafka_protocol::error::ResponseError;

use super::configs;
use super::elect::{Election, Proposal};
use super::image::{Image, Topic};
use super::partition::PartitionState;
use super::plan::{self, Denied, denied};
use super::record::{MetadataRecord, TopicId};
use super::request::{Answer, Change, Changed, Decision, Request, Settings};
use super::sessions::Sessions;
use crate::env::Mono;
use crate::ids::{BrokerEpoch, NodeId, Offset};

/// Elections that one tick makes at most, other than those that a fenced broker makes necessary; more follow with the
/// next (`maxElectionsPerImbalance`).
const MAX_ELECTIONS: usize = 1_000;
/// Producer ids handed out at a time (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
const PRODUCER_IDS: i32 = 1_000;

/// The active controller.
#[derive(Debug)]
pub struct Controller {
    pub(super) image: Image,
    pub(super) settings: Settings,
    pub(super) sessions: Sessions,
    next_balance: Option<Mono>,
    next_unclean: Mono,
}

impl Controller {
    /// A new controller, with the image at the end of the metadata log: what is not yet committed included. Every broker
    /// has a whole session to be heard of.
    pub fn new(image: Image, settings: Settings, now: Mono) -> Self {
        let sessions = Sessions::new(settings.session_timeout, &image, now);
        let next_balance = settings.balance_interval.map(|interval| now.after(interval));
        let next_unclean = now.after(settings.unclean_interval);
        Self { image, settings, sessions, next_balance, next_unclean }
    }

    /// The cluster, all decisions included.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Decides on a request, and at once takes the decision for made. `end`: the offset that its first record will get.
    pub fn handle(&mut self, now: Mono, end: Offset, request: &Request, draw: &mut dyn FnMut() -> u64) -> Decision {
        let mut records = Vec::new();
        let answer = match request {
            Request::Register(registration) => self.register(now, end, registration, &mut records),
            Request::Heartbeat(heartbeat) => self.heartbeat(now, end, heartbeat, &mut records),
            Request::AlterPartitions { node, epoch, partitions } => match self.current(*node, *epoch) {
                Ok(()) => Answer::AlterPartitions(
                    partitions.iter().map(|asked| self.alter_partition(*node, asked, &mut records)).collect(),
                ),
                Err(error) => Answer::Refused(error),
            },
            Request::AllocateProducerIds { node, epoch } => self.allocate_producer_ids(*node, *epoch, &mut records),
            Request::Change { changes, dry: true } => {
                Answer::Changed(changes.iter().map(|change| self.rehearse(change, draw)).collect())
            }
            Request::Change { changes, dry: false } => {
                Answer::Changed(changes.iter().map(|change| self.change(change, &mut records, draw)).collect())
            }
            Request::ElectLeaders { unclean, partitions } => {
                Answer::ElectLeaders(self.elect_leaders(*unclean, partitions.as_deref(), &mut records))
            }
            Request::AlterReassignments(asked) => {
                Answer::Reassigned(asked.iter().map(|one| self.reassign(one, &mut records)).collect())
            }
            Request::Unregister(node) => self.unregister(*node, &mut records),
        };
        Decision { records, answer }
    }

    /// Time has passed: fences the broker that has been silent for longest, if that is too long (one at a time, so that
    /// what it leads goes to brokers that are alive); elects where nobody leads, if an unclean leader will do; and puts
    /// preferred leaders back. The records are one batch.
    pub fn tick(&mut self, now: Mono) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        if let Some(node) = self.sessions.stale(&self.image, now) {
            self.fence(node, &mut records);
        }
        if now >= self.next_unclean {
            let leaderless = |state: &PartitionState| state.leader.is_none();
            let made = self.redecide(leaderless, |as_is| as_is, MAX_ELECTIONS, &mut records);
            self.next_unclean = if made < MAX_ELECTIONS { now.after(self.settings.unclean_interval) } else { now };
        }
        if let (Some(due), Some(interval)) = (self.next_balance, self.settings.balance_interval)
            && now >= due
        {
            let unbalanced = |state: &PartitionState| state.leader.is_some() && state.leader != state.preferred();
            let made = self.redecide(unbalanced, |it| it.electing(Election::Preferred), MAX_ELECTIONS, &mut records);
            self.next_balance = Some(if made < MAX_ELECTIONS { now.after(interval) } else { now });
        }
        records
    }

    /// This node has looked at nothing for so long, until now: heartbeats may lie unread.
    pub fn excuse(&mut self, by: Duration, now: Mono) {
        self.sessions.excuse(by, now);
    }

    /// When [`Controller::tick`] has something to do next, if nothing happens before.
    pub fn next_tick(&self) -> Option<Mono> {
        let session = self.sessions.next_end(&self.image);
        [session, self.next_balance, Some(self.next_unclean)].into_iter().flatten().min()
    }

    /// Takes a record for decided.
    pub(super) fn decide(&mut self, record: MetadataRecord, records: &mut Vec<MetadataRecord>) {
        self.image.apply(&record);
        records.push(record);
    }

    /// Whether a broker speaks for its registered start.
    pub(super) fn current(&self, node: NodeId, epoch: BrokerEpoch) -> Result<(), ResponseError> {
        match self.image.broker(node) {
            Some(broker) if broker.epoch == epoch => Ok(()),
            _ => Err(ResponseError::StaleBrokerEpoch),
        }
    }

    /// Decides anew on the partitions that `which` picks, `limit` changes at most, as `how` proposes. Returns how many
    /// have changed.
    pub(super) fn redecide(
        &mut self,
        which: impl Fn(&PartitionState) -> bool,
        how: impl for<'a> Fn(Proposal<'a>) -> Proposal<'a>,
        limit: usize,
        records: &mut Vec<MetadataRecord>,
    ) -> usize {
        let changes = self
            .image
            .all_partitions()
            .filter(|(_, _, state)| which(state))
            .filter_map(|(topic, number, _)| self.propose(topic, number, &how));
        let changes: Vec<MetadataRecord> = changes.take(limit).collect();
        let made = changes.len();
        changes.into_iter().for_each(|change| self.decide(change, records));
        made
    }

    /// What becomes of a partition with a proposal that begins with its topic's settings.
    pub(super) fn propose<'a>(
        &'a self,
        topic: &'a Topic,
        partition: i32,
        how: impl for<'p> FnOnce(Proposal<'p>) -> Proposal<'p>,
    ) -> Option<MetadataRecord> {
        let state = topic.partitions.get(usize::try_from(partition).ok()?)?;
        let active = |node| self.image.is_active(node);
        let min_in_sync = configs::min_in_sync(&self.settings.log, &topic.configs);
        let unclean = configs::is_unclean(self.settings.unclean, &topic.configs);
        let election = if unclean { Election::Unclean } else { Election::Online };
        let change = how(Proposal::new(state, min_in_sync, &active).electing(election)).decide()?;
        Some(MetadataRecord::PartitionChange { topic: topic.id, partition, change })
    }

    fn allocate_producer_ids(&mut self, node: NodeId, epoch: BrokerEpoch, records: &mut Vec<MetadataRecord>) -> Answer {
        if let Err(error) = self.current(node, epoch) {
            return Answer::Refused(error);
        }
        let first = self.image.next_producer_id();
        let Some(next) = first.checked_add(i64::from(PRODUCER_IDS)) else {
            return Answer::Refused(ResponseError::UnknownServerError);
        };
        self.decide(MetadataRecord::ProducerIds { node, epoch, next }, records);
        Answer::ProducerIds { first, count: PRODUCER_IDS }
    }

    fn change(&mut self, change: &Change, records: &mut Vec<MetadataRecord>, draw: &mut dyn FnMut() -> u64) -> Changed {
        let planned = self.plan(change, draw)?;
        planned.records.into_iter().for_each(|record| self.decide(record, records));
        if let Some(gone) = planned.gone {
            return Ok(gone);
        }
        if matches!(change, Change::Alter(..)) {
            // Other settings may make others eligible, or an unclean leader good enough.
            let numbers = self.image.topic_by_id(planned.topic).map_or(0, |topic| topic.partitions.len());
            for number in (0..).take(numbers) {
                let topic = self.image.topic_by_id(planned.topic);
                if let Some(change) = topic.and_then(|topic| self.propose(topic, number, |as_is| as_is)) {
                    self.decide(change, records);
                }
            }
        }
        missing_unless(self.image.topic_by_id(planned.topic))
    }

    /// What would become of the topic.
    fn rehearse(&self, change: &Change, draw: &mut dyn FnMut() -> u64) -> Changed {
        let planned = self.plan(change, draw)?;
        if let Some(gone) = planned.gone {
            return Ok(gone);
        }
        let mut after = Image::default();
        if let Some(topic) = self.image.topic_by_id(planned.topic) {
            after.insert(topic.clone());
        }
        planned.records.iter().for_each(|record| after.apply(record));
        missing_unless(after.topic_by_id(planned.topic))
    }

    fn plan(&self, change: &Change, draw: &mut dyn FnMut() -> u64) -> Result<Planned, Denied> {
        let (image, settings) = (&self.image, &self.settings);
        let id_of = |name: &str| image.topic(name).map_or(TopicId(uuid::Uuid::nil()), |topic| topic.id);
        let planned = |topic, records| Planned { records, topic, gone: None };
        match change {
            Change::Create(new) => {
                let id = TopicId::draw(&mut *draw);
                Ok(planned(id, plan::create(image, settings, new, id, draw)?))
            }
            Change::Delete(name) => match image.topic(name) {
                Some(topic) => {
                    let gone = Some(topic.clone());
                    Ok(Planned { gone, ..planned(topic.id, plan::delete(topic)) })
                }
                None => {
                    denied(ResponseError::UnknownTopicOrPartition, "This server does not host this topic-partition.")
                }
            },
            Change::Grow(name, count, assignments) => {
                let records = plan::grow(image, name, *count, assignments.as_deref(), draw)?;
                Ok(planned(id_of(name), records))
            }
            Change::Alter(name, changes) => Ok(planned(id_of(name), plan::alter(image, settings, name, changes)?)),
        }
    }
}

/// A change planned: its records, and the topic it is about.
struct Planned {
    records: Vec<MetadataRecord>,
    topic: TopicId,
    /// The topic as it was, if it goes.
    gone: Option<Topic>,
}

fn missing_unless(topic: Option<&Topic>) -> Changed {
    match topic {
        Some(topic) => Ok(topic.clone()),
        None => denied(ResponseError::UnknownServerError, "The planned topic is missing."),
    }
}
