//! Fetches of the metadata log that wait for news.

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;

use super::driver::refused;
use super::{FetchJob, FetchReply};
use crate::env::{Env, Mono};
use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::node::Node;
use crate::quorum::{Answer, Body, Fetched};

struct Waiting {
    job: FetchJob,
    answer: Answer,
    /// What the replica knows to be committed when it is answered at the latest.
    high: Offset,
    done: oneshot::Sender<FetchReply>,
}

/// Those that wait. At most one for each replica: a newer one replaces it.
#[derive(Default)]
pub(super) struct Parked(Vec<Waiting>);

impl Parked {
    /// Answers a fetch at once, or lets it wait if there is nothing to tell.
    pub(super) fn add<E: Env>(
        &mut self,
        node: &Node<E>,
        job: FetchJob,
        answer: Answer,
        done: oneshot::Sender<FetchReply>,
    ) {
        let Body::Fetch(Fetched::Read { high_watermark: high }) = answer.body else {
            return reply(node, &job, answer, done);
        };
        self.0.retain(|waiting| waiting.job.from != job.from);
        let news = self.is_news(node, &job, high) || job.deadline <= node.env.now();
        if news {
            reply(node, &job, answer, done);
        } else {
            self.0.push(Waiting { job, answer, high, done });
        }
    }

    fn is_news<E: Env>(&self, node: &Node<E>, job: &FetchJob, high: Offset) -> bool {
        let end = node.raft.log().as_ref().map_or(0, |log| log.log_end());
        end > job.position.offset || node.raft.high() > high
    }

    /// Answers those for whom there is news.
    pub(super) fn serve<E: Env>(&mut self, node: &Node<E>) {
        for waiting in std::mem::take(&mut self.0) {
            if self.is_news(node, &waiting.job, waiting.high) {
                finish(node, waiting);
            } else {
                self.0.push(waiting);
            }
        }
    }

    /// Answers those whose time is up.
    pub(super) fn expire<E: Env>(&mut self, now: Mono, node: &Node<E>) {
        for waiting in std::mem::take(&mut self.0) {
            if waiting.job.deadline <= now {
                finish(node, waiting);
            } else {
                self.0.push(waiting);
            }
        }
    }

    /// Sends all away: this node does not lead any more.
    pub(super) fn refuse(&mut self, epoch: LeaderEpoch, leader: Option<NodeId>) {
        for waiting in self.0.drain(..) {
            let answer = refused(epoch, leader);
            let _ = waiting.done.send(FetchReply { answer, records: Bytes::new(), log_start: 0 });
        }
    }

    /// When the time of the first is up.
    pub(super) fn next(&self) -> Mono {
        self.0.iter().map(|waiting| waiting.job.deadline).min().unwrap_or(Mono(u64::MAX))
    }
}

fn finish<E: Env>(node: &Node<E>, waiting: Waiting) {
    let high_watermark = node.raft.high();
    let answer = Answer { body: Body::Fetch(Fetched::Read { high_watermark }), ..waiting.answer };
    reply(node, &waiting.job, answer, waiting.done);
}

fn reply<E: Env>(node: &Node<E>, job: &FetchJob, answer: Answer, done: oneshot::Sender<FetchReply>) {
    let mut records = BytesMut::new();
    if matches!(answer.body, Body::Fetch(Fetched::Read { .. })) {
        let read = node.raft.with_log(|log| {
            let end = log.log_end();
            log.read(job.position.offset, job.max_bytes, end, true)
        });
        if let Ok(slice) = read {
            records.extend_from_slice(&slice.records);
        }
    }
    // The replica may be gone.
    let log_start = node.raft.log_start();
    let _ = done.send(FetchReply { answer, records: records.freeze(), log_start });
}
