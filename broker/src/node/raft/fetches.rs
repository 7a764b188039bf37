//! Fetches of the metadata log that wait for news.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;

use super::driver::refused;
use super::{FetchJob, FetchReply};
use crate::controller::MAX_BROKERS;
use crate::env::{Env, Mono};
use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::node::Node;
use crate::quorum::{Answer, Body, Fetched};

struct Waiting {
    job: FetchJob,
    answer: Answer,
    done: oneshot::Sender<FetchReply>,
}

/// Those that wait. At most one for each replica: a newer one replaces it.
#[derive(Default)]
pub(super) struct Parked {
    waiting: Vec<Waiting>,
    /// Up to where each replica was told that the log is committed. What has moved between two fetches is news to the
    /// second (KIP-1166 has replicas say what they know). Of as many as there may be brokers; whoever is forgotten is told
    /// again.
    told: BTreeMap<NodeId, Offset>,
}

impl Parked {
    /// Answers a fetch at once, or lets it wait if there is nothing to tell.
    pub(super) fn add<E: Env>(
        &mut self,
        node: &Node<E>,
        job: FetchJob,
        answer: Answer,
        done: oneshot::Sender<FetchReply>,
    ) {
        if !matches!(answer.body, Body::Fetch(Fetched::Read { .. })) {
            return reply(node, &job, answer, done);
        }
        self.waiting.retain(|waiting| waiting.job.from != job.from);
        let waiting = Waiting { job, answer, done };
        if self.is_news(node, &waiting.job) || waiting.job.deadline <= node.env.now() {
            self.finish(node, waiting);
        } else {
            self.waiting.push(waiting);
        }
    }

    fn is_news<E: Env>(&self, node: &Node<E>, job: &FetchJob) -> bool {
        let end = node.raft.log().as_ref().map_or(0, |log| log.log_end());
        let told = self.told.get(&job.from).copied().unwrap_or(-1);
        end > job.position.offset || node.raft.high() > told
    }

    fn finish<E: Env>(&mut self, node: &Node<E>, waiting: Waiting) {
        let high_watermark = node.raft.high();
        if self.told.insert(waiting.job.from, high_watermark).is_none() && self.told.len() > MAX_BROKERS {
            self.told.clear();
        }
        let answer = Answer { body: Body::Fetch(Fetched::Read { high_watermark }), ..waiting.answer };
        reply(node, &waiting.job, answer, waiting.done);
    }

    /// Answers those for whom there is news.
    pub(super) fn serve<E: Env>(&mut self, node: &Node<E>) {
        for waiting in std::mem::take(&mut self.waiting) {
            if self.is_news(node, &waiting.job) {
                self.finish(node, waiting);
            } else {
                self.waiting.push(waiting);
            }
        }
    }

    /// Answers those whose time is up.
    pub(super) fn expire<E: Env>(&mut self, now: Mono, node: &Node<E>) {
        for waiting in std::mem::take(&mut self.waiting) {
            if waiting.job.deadline <= now {
                self.finish(node, waiting);
            } else {
                self.waiting.push(waiting);
            }
        }
    }

    /// Sends all away: this node does not lead any more.
    pub(super) fn refuse(&mut self, epoch: LeaderEpoch, leader: Option<NodeId>) {
        self.told.clear();
        for waiting in self.waiting.drain(..) {
            let answer = refused(epoch, leader);
            let _ = waiting.done.send(FetchReply { answer, records: Bytes::new(), log_start: 0 });
        }
    }

    /// When the time of the first is up.
    pub(super) fn next(&self) -> Mono {
        self.waiting.iter().map(|waiting| waiting.job.deadline).min().unwrap_or(Mono(u64::MAX))
    }
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
