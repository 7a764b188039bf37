//! What becomes of an answer: records to hand out, a wait, another position, or an error that the application must know.

use broker::env::{Env, Mono};
use broker::ids::{NodeId, Offset, TopicPartition};
use broker::planted::{Defect, planted};
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::PartitionData;

use super::{Answer, Consumer, OutOfRange, Polled, Reading, Reset};
use crate::client::outcome::{self, Failure, Judged, Kind, Retry};
use crate::client::{admin, fetched};

const OFFSET_OUT_OF_RANGE: i16 = 1;
const CORRUPT_MESSAGE: i16 = 2;

impl<E: Env> Consumer<E> {
    /// Takes one answer in: the records to hand out, and the errors worth telling.
    pub(super) fn absorb(&self, answer: Answer) -> Vec<Polled> {
        let mut polled = Vec::new();
        let mut state = self.state.borrow_mut();
        for (tp, from, _) in &answer.asked {
            // Whoever was seeked or assigned anew meanwhile is not concerned.
            let Some(reading) = state.get_mut(tp).filter(|reading| reading.fetching == Some(*from)) else { continue };
            reading.fetching = None;
            reading.begins = -1;
            let judged = match &answer.end {
                Err(failure) => outcome::judge_failure(Kind::Read, *failure),
                Ok(said) if said.error_code != 0 => outcome::judge(Kind::Read, said.error_code),
                Ok(said) => match part_of(said, tp) {
                    None => outcome::judge_failure(Kind::Read, Failure::Garbled),
                    Some(part) if part.error_code == 0 => {
                        polled.extend(self.deliver(tp, reading, part));
                        continue;
                    }
                    Some(part) => {
                        reading.begins = part.log_start_offset;
                        outcome::judge(Kind::Read, part.error_code)
                    }
                },
            };
            polled.extend(self.failed(tp, reading, judged));
        }
        polled
    }

    fn deliver(&self, tp: &TopicPartition, reading: &mut Reading, part: &PartitionData) -> Option<Polled> {
        let from = reading.position;
        let elsewhere = part.preferred_read_replica.0;
        if elsewhere >= 0 {
            // There the next fetch begins, from the same position.
            reading.preferred = Some(NodeId(elsewhere));
            return None;
        }
        reading.high = part.high_watermark;
        let mut read = fetched::read(part.records.as_ref()?, from);
        if planted(Defect::CcHwInclusive) && read.position >= part.high_watermark {
            read.records.pop();
            read.position = read.records.last().map_or(from, |last| last.offset + 1);
        }
        // What comes before the damage is handed out first; the next fetch then begins with the damage.
        if read.damaged && read.position == from {
            return self.failed(tp, reading, outcome::judge(Kind::Read, CORRUPT_MESSAGE));
        }
        // Batches that all end before the position answer nothing, and asking again at once would be a busy loop.
        if read.position == from && !part.records.as_ref()?.is_empty() {
            return self.failed(tp, reading, outcome::judge_failure(Kind::Read, Failure::Garbled));
        }
        reading.failures = 0;
        if let Some(epoch) = read.epoch {
            // Read under the epoch that the fetch stated, or the leader would have said no.
            (reading.epoch, reading.validated) = (epoch, reading.fetched_under);
        }
        reading.position = read.position;
        let mut polled = told(tp, from, reading);
        (polled.records, polled.log_start) = (read.records, part.log_start_offset);
        (!polled.records.is_empty()).then_some(polled)
    }

    /// Backs off, and tells of what the application must know.
    pub(super) fn failed(&self, tp: &TopicPartition, reading: &mut Reading, judged: Judged) -> Option<Polled> {
        let env = self.client.env();
        // Whatever it was: the leader knows, and sends it elsewhere again if need be.
        let near = reading.preferred.take().is_some();
        // A follower may be behind, or keep less: what is out of its range is the leader's to say (KIP-392).
        let leader_knows = near && judged.code == OFFSET_OUT_OF_RANGE;
        match (judged.code, self.config.out_of_range) {
            _ if leader_knows => {}
            (OFFSET_OUT_OF_RANGE, OutOfRange::Earliest) => {
                // Below the log's start it may be found again; above its end the log was cut.
                let cut = reading.begins <= reading.position;
                reading.reset = Some(Reset { query: admin::EARLIEST, cut });
                return None;
            }
            (OFFSET_OUT_OF_RANGE, OutOfRange::Latest) => {
                reading.reset = Some(Reset { query: admin::LATEST, cut: false });
                return None;
            }
            _ => {}
        }
        if judged.retry == Retry::Refresh {
            self.client.refresh();
        }
        reading.failures = reading.failures.saturating_add(1);
        reading.not_before = env.now().after(self.client.settings().retry.wait(reading.failures, env.draw()));
        if leader_knows || (judged.retry != Retry::No && judged.code != CORRUPT_MESSAGE) {
            return None;
        }
        let mut polled = told(tp, reading.position, reading);
        polled.error = Some(judged.into());
        Some(polled)
    }

    /// Finds a new position for the first partition that needs one, by `deadline`.
    pub(super) async fn reset(&self, deadline: Mono) -> Option<Polled> {
        let needs = |(tp, reading): (&TopicPartition, &Reading)| Some((tp.clone(), reading.position, reading.reset?));
        let (tp, from, wanted) = self.state.borrow().iter().find_map(needs)?;
        let found = self.client.list_offsets(&tp, wanted.query, deadline).await.ok()?.offset;
        // A broker that was killed while it deleted has again what was not deleted yet: the position is in its log after all.
        // Kafka's client would go back.
        let again = !wanted.cut && wanted.query == admin::EARLIEST && found <= from;
        let stays = again && from <= self.client.list_offsets(&tp, admin::LATEST, deadline).await.ok()?.offset;
        let mut state = self.state.borrow_mut();
        let reading = state.get_mut(&tp).filter(|r| r.position == from && r.reset == Some(wanted))?;
        reading.reset = None;
        if stays {
            reading.failures = reading.failures.saturating_add(1);
            let wait = self.client.settings().retry.wait(reading.failures, self.client.env().draw());
            reading.not_before = self.client.env().now().after(wait);
            return None;
        }
        (reading.position, reading.epoch) = (found, -1);
        let mut polled = told(&tp, from, reading);
        polled.reset = true;
        Some(polled)
    }
}

/// What is told of a partition, before anything is added.
pub(super) fn told(tp: &TopicPartition, from: Offset, reading: &Reading) -> Polled {
    Polled {
        tp: tp.clone(),
        from,
        records: Vec::new(),
        position: reading.position,
        epoch: reading.epoch,
        high: reading.high,
        log_start: -1,
        error: None,
        reset: false,
    }
}

fn part_of<'a>(said: &'a FetchResponse, tp: &TopicPartition) -> Option<&'a PartitionData> {
    let topic = said.responses.iter().find(|topic| topic.topic.as_bytes() == tp.topic.as_bytes())?;
    topic.partitions.iter().find(|part| part.partition_index == tp.partition)
}
