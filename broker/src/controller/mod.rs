//! The cluster's metadata: what topics there are, who leads their partitions, how they are configured.
//!
//! It is a fold over [`record::MetadataRecord`]s. The active controller plans requests as records against the image of
//! all records so far; a record counts once the quorum has committed it.

mod alter_partition;
pub mod config_table;
pub mod configs;
mod elect;
pub mod image;
mod liveness;
mod place;
pub mod plan;
pub mod record;
mod request;

#[cfg(test)]
mod tests;

use kafka_protocol::error::ResponseError;

use crate::env::Mono;
use crate::ids::{BrokerEpoch, NodeId, Offset};
use image::Image;
use liveness::Sessions;
use record::{MetadataRecord, TopicId};

pub use plan::Settings;
pub use request::{Altered, Answer, Change, Decision, Request};

/// Producer ids given to a broker at a time (`ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
const PRODUCER_IDS: i32 = 1000;

/// The active controller.
pub struct Controller {
    image: Image,
    settings: Settings,
    sessions: Sessions,
}

impl Controller {
    /// Becomes active at `now`, over the image of everything in the metadata log, committed or not. Every broker is
    /// believed alive for one session from now.
    pub fn new(image: Image, settings: Settings, now: Mono) -> Self {
        let sessions = Sessions::new(&image, settings.session_timeout, now);
        Self { image, settings, sessions }
    }

    /// The cluster, with everything decided so far.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Decides, and takes the decision for made. `end`: the offset that its first record gets.
    pub fn handle(
        &mut self,
        now: Mono,
        end: Offset,
        request: &Request,
        draw: &mut dyn FnMut() -> u64,
    ) -> Decision {
        let mut records = Vec::new();
        let answer = self.decide(now, end, request, draw, &mut records);
        if answer.is_err() {
            records.clear();
        }
        Decision { records, answer }
    }

    fn decide(
        &mut self,
        now: Mono,
        end: Offset,
        request: &Request,
        draw: &mut dyn FnMut() -> u64,
        records: &mut Vec<MetadataRecord>,
    ) -> Result<Answer, ResponseError> {
        match request {
            Request::Register { .. } => self.register(now, end, request, records),
            Request::Heartbeat { .. } => self.heartbeat(now, request, records),
            Request::AlterPartition { .. } => self.alter_partition(request, records),
            Request::AllocateProducerIds { node, epoch } => {
                self.check_epoch(*node, *epoch)?;
                let first = self.image.next_producer_id();
                let next = first.checked_add(i64::from(PRODUCER_IDS)).ok_or(ResponseError::UnknownServerError)?;
                self.put(MetadataRecord::ProducerIds { node: *node, epoch: *epoch, next }, records);
                Ok(Answer::ProducerIds { first, count: PRODUCER_IDS })
            }
            Request::Change { changes, dry } => {
                Ok(Answer::Changed(changes.iter().map(|change| self.change(change, *dry, draw, records)).collect()))
            }
        }
    }

    /// Carries one change out, or only says what would become of it.
    fn change(
        &mut self,
        change: &Change,
        dry: bool,
        draw: &mut dyn FnMut() -> u64,
        records: &mut Vec<MetadataRecord>,
    ) -> Result<image::Topic, plan::Denied> {
        let id = TopicId::draw(&mut *draw);
        let planned = plan::plan(&self.image, &self.settings, change, id)?;
        if let Some(gone) = planned.gone {
            if !dry {
                planned.records.into_iter().for_each(|record| self.put(record, records));
            }
            return Ok(gone);
        }
        let mut after = Image::default();
        if let Some(topic) = self.image.topic_by_id(planned.topic) {
            after.insert(topic.clone());
        }
        planned.records.iter().for_each(|record| after.apply(record));
        if !dry {
            planned.records.into_iter().for_each(|record| self.put(record, records));
        }
        match after.topic_by_id(planned.topic) {
            Some(topic) => Ok(topic.clone()),
            None => plan::denied(ResponseError::UnknownServerError, "The planned topic is missing."),
        }
    }

    /// Decides one record.
    fn put(&mut self, record: MetadataRecord, records: &mut Vec<MetadataRecord>) {
        self.image.apply(&record);
        records.push(record);
    }

    /// Whether a request comes from the process that the cluster knows under that id.
    fn check_epoch(&self, node: NodeId, epoch: BrokerEpoch) -> Result<(), ResponseError> {
        match self.image.broker(node) {
            Some(broker) if broker.epoch == epoch => Ok(()),
            _ => Err(ResponseError::StaleBrokerEpoch),
        }
    }

    /// What time has brought about: brokers whose session is over are fenced, and others lead what they led.
    pub fn tick(&mut self, now: Mono) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        while let Some(node) = self.sessions.over(now) {
            self.fence(node, &mut records);
        }
        records
    }

    /// When [`Controller::tick`] is to be called next.
    pub fn next_tick(&self) -> Option<Mono> {
        self.sessions.next()
    }
}
