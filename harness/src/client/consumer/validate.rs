//! After a change of leader: is the position still one of this log (KIP-320)? The leader is asked where the epoch of the
//! last record read ended. Ended it before the position, the log was cut, and what was read is not what is there now.

use broker::env::{Env, Mono};
use broker::ids::{LeaderEpoch, NodeId, Offset, TopicPartition};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{BrokerId, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::answers::told;
use super::{Consumer, OutOfRange, Polled, Reading, Reset};
use crate::client::admin::{EARLIEST, LATEST};
use crate::client::outcome::{self, Failure, Judged, Kind, Retry, TRUNCATED};
use crate::history::event::Outcome;

/// What came of one question.
pub(super) struct Verdict {
    tp: TopicPartition,
    position: Offset,
    under: LeaderEpoch,
    end: Result<OffsetForLeaderEpochResponse, Failure>,
}

impl<E: Env> Consumer<E> {
    /// Whether a fetch under the leader's `epoch` must wait until the position is found to be in its log.
    pub(super) fn must_validate(&self, reading: &Reading, epoch: LeaderEpoch) -> bool {
        self.config.validate && reading.epoch >= 0 && reading.validated != epoch
    }

    /// Asks `node`, which leads under `under`, about the position of a partition.
    pub(super) fn validate(&self, tp: &TopicPartition, node: NodeId, under: LeaderEpoch, now: Mono) {
        let Some(connection) = self.client.connection(node) else { return };
        let mut state = self.state.borrow_mut();
        let Some(reading) = state.get_mut(tp) else { return };
        let asked = OffsetForLeaderPartition::default()
            .with_partition(tp.partition)
            .with_current_leader_epoch(under)
            .with_leader_epoch(reading.epoch);
        let topic = OffsetForLeaderTopic::default().with_topic(reading.name.clone()).with_partitions(vec![asked]);
        let request = OffsetForLeaderEpochRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
        let deadline = now.after(self.client.settings().request_timeout);
        let (inbox, of, position) = (self.inbox.clone(), tp.clone(), reading.position);
        let submitted = connection.submit(&request, deadline, move |end| {
            inbox.verdicts.borrow_mut().push_back(Verdict { tp: of, position, under, end });
            inbox.came.raise();
        });
        match submitted {
            Ok(()) => reading.validating = Some(under),
            // A broker too old to be asked is believed.
            Err(Failure::NoCommonVersion) => reading.validated = under,
            Err(_) => {}
        }
    }

    /// Takes one verdict in: nothing, if the position is good; else what the application must know.
    pub(super) fn judge_position(&self, verdict: &Verdict) -> Option<Polled> {
        let mut state = self.state.borrow_mut();
        let concerns = |r: &&mut Reading| r.validating == Some(verdict.under) && r.position == verdict.position;
        let reading = state.get_mut(&verdict.tp).filter(concerns)?;
        reading.validating = None;
        let tp = &verdict.tp;
        let (epoch, end) = match read(verdict) {
            Ok(found) => found,
            Err(judged) => return self.failed(tp, reading, judged),
        };
        if epoch >= 0 && end >= reading.position {
            (reading.validated, reading.failures) = (verdict.under, 0);
            return None;
        }
        self.truncated(tp, reading, (epoch >= 0 && end >= 0).then_some(end))
    }

    /// The log was cut below the position: at `end`, if that is known.
    fn truncated(&self, tp: &TopicPartition, reading: &mut Reading, end: Option<Offset>) -> Option<Polled> {
        let before = reading.position;
        match (self.config.out_of_range, end) {
            (OutOfRange::Error, _) => {
                let judged = Judged { code: TRUNCATED, outcome: Outcome::Fail, retry: Retry::No };
                return self.failed(tp, reading, judged);
            }
            (_, Some(end)) => {
                // Where the logs part: everything from there on is new.
                (reading.position, reading.epoch) = (end, -1);
                let mut polled = told(tp, before, reading);
                polled.reset = true;
                return Some(polled);
            }
            (OutOfRange::Earliest, None) => reading.reset = Some(Reset { query: EARLIEST, cut: true }),
            (OutOfRange::Latest, None) => reading.reset = Some(Reset { query: LATEST, cut: true }),
        }
        None
    }
}

/// The epoch found and where it ended.
fn read(verdict: &Verdict) -> Result<(LeaderEpoch, Offset), Judged> {
    let said = verdict.end.as_ref().map_err(|failure| outcome::judge_failure(Kind::Read, *failure))?;
    let tp = &verdict.tp;
    let topic = said.topics.iter().find(|topic| topic.topic.as_bytes() == tp.topic.as_bytes());
    let part = topic.and_then(|topic| topic.partitions.iter().find(|part| part.partition == tp.partition));
    match part {
        None => Err(outcome::judge_failure(Kind::Read, Failure::Garbled)),
        Some(part) if part.error_code != 0 => Err(outcome::judge(Kind::Read, part.error_code)),
        Some(part) => Ok((part.leader_epoch, part.end_offset)),
    }
}
