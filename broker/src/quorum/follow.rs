//! Following: fetching the leader's log, cutting what it does not have, loading its snapshot.

use super::message::{Fetched, Standing};
use super::state::{Fetching, State};
use super::types::{Call, Effect, OffsetAndEpoch};
use super::{Quorum, Step};
use crate::ids::{LeaderEpoch, NodeId, Offset};

impl Quorum {
    /// Fetches, if it is time: from the leader, or from some voter to learn who that is.
    pub(super) fn fetch_due(&mut self, step: &mut Step<'_>) {
        let now = step.now;
        let Some(fetching) = self.state.fetching().copied().filter(|f| f.next().is_some_and(|at| at <= now)) else {
            return;
        };
        let lost = !matches!(fetching, Fetching::Due(_));
        let Some(to) = self.whom_to_fetch_from(step, lost) else { return };
        let call = self.next_call();
        // Half the fetch timeout, so that one lost message does not yet cost an election.
        let until = now.after(self.settings.fetch_timeout / 2);
        if let Some(fetching) = self.state.fetching() {
            *fetching = Fetching::Asked { call, until };
        }
        let epoch = self.election.epoch;
        self.emit(step, Effect::Fetch { to, call, epoch });
    }

    fn whom_to_fetch_from(&self, step: &mut Step<'_>, lost: bool) -> Option<NodeId> {
        let others = self.voters.others(self.settings.me);
        let any = |step: &mut Step<'_>| {
            let at = (step.draw)() % u64::try_from(others.len()).ok()?.max(1);
            others.get(usize::try_from(at).ok()?).copied()
        };
        match &self.state {
            // An observer is told of no election: once its leader stays silent it asks around.
            State::Follower(following) if lost && !self.may_stand() => any(step).or(Some(following.leader)),
            State::Follower(following) => Some(following.leader),
            _ => any(step),
        }
    }

    pub(super) fn answered_fetch(&mut self, step: &mut Step<'_>, call: Call, epoch: LeaderEpoch, fetched: Fetched) {
        let again = step.now.after(self.settings.retry_backoff);
        let Some(fetching) = self.state.fetching().filter(|fetching| fetching.call() == Some(call)) else { return };
        let chunk = matches!(fetching, Fetching::Snapshot { .. });
        let current = epoch == self.election.epoch && matches!(self.state, State::Follower(_));
        match fetched {
            Fetched::Read { .. } if current && chunk => self.heard(step),
            Fetched::Read { high_watermark } if current => {
                self.heard(step);
                self.set_fetching(Fetching::Accepting { call, high_watermark });
                self.emit(step, Effect::Accept { call });
            }
            Fetched::Diverging(theirs) if current => {
                self.heard(step);
                self.diverged(step, theirs);
            }
            Fetched::Snapshot(id) if current => {
                self.heard(step);
                self.want_snapshot(step, id);
            }
            Fetched::Refused(standing) => {
                self.set_fetching(Fetching::Due(again));
                if current && standing == Standing::NotLeader {
                    self.disowned(step);
                }
            }
            _ => self.set_fetching(Fetching::Due(again)),
        }
    }

    fn set_fetching(&mut self, to: Fetching) {
        if let Some(fetching) = self.state.fetching() {
            *fetching = to;
        }
    }

    /// The leader has answered.
    fn heard(&mut self, step: &mut Step<'_>) {
        let until = step.now.after(self.settings.fetch_timeout / 2);
        let State::Follower(following) = &mut self.state else { return };
        following.contact = Some(step.now);
        self.patience = step.now.after(following.patience);
        if let Fetching::Snapshot { until: lost, .. } = &mut following.fetching {
            *lost = until;
        }
    }

    /// Whom we follow says that it does not lead the epoch that it led: it has crashed since, or resigned.
    fn disowned(&mut self, step: &mut Step<'_>) {
        let State::Follower(following) = &mut self.state else { return };
        if !following.ended {
            following.ended = true;
            let wait = step.up_to(self.settings.election_timeout);
            self.patience = self.patience.min(step.now.after(wait));
        }
    }

    /// The leader's log has parted from ours; `theirs` is its largest epoch at most our last, and where that ended. Cuts
    /// to where both can still be equal (KIP-595, `truncateToEndOffset`), and fetches from there.
    fn diverged(&mut self, step: &mut Step<'_>, theirs: OffsetAndEpoch) {
        let end = step.tail.end();
        let ours = step.tail.end_of_epoch(theirs.epoch);
        let to = if theirs.epoch >= end.epoch {
            theirs.offset
        } else if ours.epoch == theirs.epoch {
            ours.offset.min(theirs.offset)
        } else {
            ours.offset
        };
        let to = to.max(step.tail.start().offset);
        if to < self.high_watermark {
            let why = format!(
                "leader of epoch {} has {}@{}, which cuts to {to}, below the high watermark {}",
                self.election.epoch, theirs.offset, theirs.epoch, self.high_watermark
            );
            self.set_fetching(Fetching::Due(step.now.after(self.settings.fetch_timeout)));
            return self.emit(step, Effect::Broken(why));
        }
        if to >= end.offset {
            return self.set_fetching(Fetching::Due(step.now.after(self.settings.retry_backoff)));
        }
        self.voters.truncate(to);
        self.set_fetching(Fetching::Due(step.now));
        self.emit(step, Effect::Truncate { to });
    }

    fn want_snapshot(&mut self, step: &mut Step<'_>, id: OffsetAndEpoch) {
        let (State::Follower(following), true) = (&self.state, id.offset > self.high_watermark) else {
            // What we have committed reaches further: the leader must have more than that.
            return self.set_fetching(Fetching::Due(step.now.after(self.settings.retry_backoff)));
        };
        let to = following.leader;
        let call = self.next_call();
        let until = step.now.after(self.settings.fetch_timeout / 2);
        self.set_fetching(Fetching::Snapshot { call, id, until });
        let epoch = self.election.epoch;
        self.emit(step, Effect::FetchSnapshot { to, call, epoch, id });
    }

    pub(super) fn snapshot_fetched(&mut self, step: &mut Step<'_>, call: Call) {
        let Some(Fetching::Snapshot { call: mine, id, .. }) = self.state.fetching().copied() else { return };
        if mine == call {
            self.heard(step);
            self.set_fetching(Fetching::Loading { call, id });
            self.voters.replaced();
            self.emit(step, Effect::LoadSnapshot { call, id });
        }
    }

    pub(super) fn snapshot_loaded(&mut self, step: &mut Step<'_>, call: Call) {
        self.raise(step, step.tail.start().offset);
        if let Some(Fetching::Loading { call: mine, .. }) = self.state.fetching().copied()
            && mine == call
        {
            self.set_fetching(Fetching::Due(step.now));
        }
    }

    pub(super) fn accepted(&mut self, step: &mut Step<'_>, call: Call) {
        let Some(Fetching::Accepting { call: mine, high_watermark }) = self.state.fetching().copied() else { return };
        if mine == call {
            self.set_fetching(Fetching::Due(step.now));
            self.raise(step, high_watermark.min(step.tail.end().offset));
        }
    }

    /// Everything below `to` is committed.
    pub(super) fn raise(&mut self, step: &mut Step<'_>, to: Offset) {
        if to > self.high_watermark {
            self.high_watermark = to;
            self.voters.committed(to);
            self.emit(step, Effect::HighWatermark(to));
        }
    }
}
