//! The active controller's shell: what it has decided is answered when it is committed, and what clients want to see
//! when this node's image shows it.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use tokio::sync::oneshot;

use super::log::records;
use crate::controller::machine::Controller;
use crate::controller::record::MetadataRecord;
use crate::controller::request::{Answer, Request, Settings};
use crate::env::{Env, Mono};
use crate::ids::Offset;
use crate::node::Node;
use crate::planted::{Defect, planted};

type Done = oneshot::Sender<Result<Answer, ResponseError>>;

/// An answer that waits.
struct Pending {
    /// Until all below is committed, or shown.
    end: Offset,
    /// A client will look at this node's image next.
    shown: bool,
    answer: Result<Answer, ResponseError>,
    done: Done,
}

/// The controller while it is active, and whom it owes answers.
#[derive(Default)]
pub(super) struct Control {
    active: Option<Controller>,
    pending: VecDeque<Pending>,
    /// Answers to decisions whose records are not in the log yet.
    fresh: usize,
    committed: Offset,
    shown: Offset,
}

impl Control {
    /// Becomes active in `epoch`, over the image of all that is in the log.
    pub(super) fn lead<E: Env>(&mut self, node: &Node<E>) -> io::Result<()> {
        let (mut image, mut from) = match node.raft.snapshots.loaded_after(node.applied()) {
            Some(loaded) => (loaded.1.clone(), loaded.0.offset),
            None => (node.image().clone(), node.applied()),
        };
        let end = node.raft.log().as_ref().map_or(0, |log| log.log_end());
        while from < end {
            from = node.raft.with_log(|log| records(log, from, end, 1 << 20, |_, record| image.apply(&record)))?.0;
        }
        self.active = Some(Controller::new(image, Settings::of(&node.config), node.env.now()));
        (self.committed, self.shown) = (node.raft.high(), node.applied());
        Ok(())
    }

    /// Is active no more: nobody knows what becomes of what is not committed.
    pub(super) fn resign(&mut self) {
        self.active = None;
        self.fresh = 0;
        for pending in self.pending.drain(..) {
            let _ = pending.done.send(Err(ResponseError::NotController));
        }
    }

    /// Decides. The records are to be appended at once; `done` is told when they are committed.
    pub(super) fn decide(
        &mut self,
        now: Mono,
        end: Offset,
        request: &Request,
        draw: &mut dyn FnMut() -> u64,
        done: Done,
    ) -> Vec<MetadataRecord> {
        let Some(controller) = &mut self.active else {
            let _ = done.send(Err(ResponseError::NotController));
            return Vec::new();
        };
        let decision = controller.handle(now, end, request, draw);
        let answer = match decision.answer {
            Answer::Refused(error) => Err(error),
            answer => Ok(answer),
        };
        if matches!(request, Request::AlterPartitions { .. }) && planted(Defect::CtStaleControllerAccepts) {
            let _ = done.send(answer);
            return decision.records;
        }
        let shown = matches!(
            request,
            Request::Change { .. }
                | Request::ElectLeaders { .. }
                | Request::AlterReassignments(_)
                | Request::Unregister(_)
        );
        self.pending.push_back(Pending { end, shown, answer, done });
        match decision.records.is_empty() {
            // What was looked at may not be committed yet.
            true => self.release(),
            false => self.fresh += 1,
        }
        decision.records
    }

    /// What was decided last is in the log, which ends at `end`.
    pub(super) fn appended(&mut self, end: Offset) {
        let fresh = std::mem::take(&mut self.fresh);
        self.pending.iter_mut().rev().take(fresh).for_each(|pending| pending.end = end);
    }

    /// All below `upto` is committed.
    pub(super) fn committed(&mut self, upto: Offset) {
        self.committed = self.committed.max(upto);
        self.release();
    }

    /// All below `upto` is in this node's image.
    pub(super) fn applied(&mut self, upto: Offset) {
        self.shown = self.shown.max(upto);
        self.release();
    }

    fn release(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            let reached = if pending.shown { self.shown } else { self.committed };
            if pending.end <= reached {
                let _ = pending.done.send(pending.answer);
            } else {
                self.pending.push_back(pending);
            }
        }
    }

    /// What time has brought about.
    pub(super) fn tick(&mut self, now: Mono) -> Vec<MetadataRecord> {
        self.active.as_mut().map_or_else(Vec::new, |controller| controller.tick(now))
    }

    /// This node has looked at nothing for so long, until now.
    pub(super) fn excuse(&mut self, by: Duration, now: Mono) {
        if let Some(active) = &mut self.active {
            active.excuse(by, now);
        }
    }

    /// When that is to be asked again.
    pub(super) fn next(&self) -> Mono {
        self.active.as_ref().and_then(Controller::next_tick).unwrap_or(Mono(u64::MAX))
    }
}
