//! Committing a group's offsets and asking for them.

use std::collections::BTreeSet;
use std::rc::Rc;

use broker::env::{Env, Mono};
use broker::ids::TopicPartition;
use broker::planted::{Defect, planted};

use super::keeper::Keeper;
use super::member::words::Input;
use super::requests::{self, Commits};
use crate::client::outcome::{self, Failure, Judged, Kind, Retry};
use crate::client::{CallError, call};
use crate::history::event::Outcome;

const NOT_COORDINATOR: i16 = 16;
const UNKNOWN_MEMBER_ID: i16 = 25;
const GROUP_ID_NOT_FOUND: i16 = 69;

/// What came of one attempt to commit.
struct Attempt {
    judged: Judged,
    /// Whether some of it, or all, may have happened although it failed.
    in_doubt: bool,
}

/// Nothing was ever committed of these.
fn nothing(of: &BTreeSet<TopicPartition>) -> Commits {
    of.iter().map(|tp| (tp.clone(), (-1, -1))).collect()
}

impl<E: Env> Keeper<E> {
    /// Commits as the member that it is now, in the generation that it is in now, at most until `deadline`; passing
    /// errors are tried again if `persistent`.
    pub async fn commit(self: &Rc<Self>, offsets: &Commits, persistent: bool, deadline: Mono) -> Result<(), CallError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let nobody = CallError { outcome: Outcome::Fail, code: UNKNOWN_MEMBER_ID };
        let (id, generation) = self.identity().ok_or(nobody)?;
        let watch = self.config.watch.as_ref();
        let token = watch.map(|watch| watch.commits(generation, &requests::offsets(offsets)));
        let end = self.commit_as(&id, generation, offsets, persistent, deadline).await;
        // Of a member that is gone nobody hears what became of it.
        if let (Some(watch), Some(token), false) = (watch, token, self.is_stopped()) {
            watch.committed(token, end);
        }
        end.map(|_| ())
    }

    /// Returns whether an attempt before the one that succeeded is in doubt.
    async fn commit_as(
        self: &Rc<Self>,
        id: &str,
        generation: i32,
        offsets: &Commits,
        persistent: bool,
        deadline: Mono,
    ) -> Result<bool, CallError> {
        let (mut failures, mut in_doubt) = (0, false);
        loop {
            let attempt = match self.try_commit(id, generation, offsets, deadline).await {
                Ok(()) => return Ok(in_doubt),
                Err(attempt) => attempt,
            };
            in_doubt |= attempt.in_doubt;
            let code = attempt.judged.code;
            // A connection that broke may have led to a coordinator that is none any more.
            let told = if code < 0 { NOT_COORDINATOR } else { code };
            self.tell(Input::CommitRefused { generation, code: told });
            // In another generation these offsets may be another's to commit.
            let is_over = self.generation() != generation || self.client.env().now() >= deadline;
            if !persistent || is_over || attempt.judged.retry == Retry::No {
                let outcome = outcome::overall(in_doubt, attempt.judged.outcome);
                return Err(CallError { outcome, code });
            }
            failures += 1;
            self.client.pause(failures, deadline).await;
        }
    }

    async fn try_commit(
        self: &Rc<Self>,
        id: &str,
        generation: i32,
        offsets: &Commits,
        deadline: Mono,
    ) -> Result<(), Attempt> {
        let failed = |failure| {
            let judged = outcome::judge_failure(Kind::Write, failure);
            Attempt { judged, in_doubt: judged.outcome == Outcome::Info }
        };
        let way = self.offsets_way(deadline).await.ok_or_else(|| failed(Failure::NotSent))?;
        let request = requests::commit(&self.config, id, generation, offsets);
        let answer = call(&way, &request, self.attempt(deadline)).await.map_err(failed)?;
        let codes = requests::commit_codes(&answer, offsets).ok_or_else(|| failed(Failure::Garbled))?;
        let Some(code) = codes.iter().copied().find(|code| *code != 0) else { return Ok(()) };
        let judged = outcome::judge(Kind::Write, code);
        let in_doubt = codes.iter().any(|code| outcome::judge(Kind::Write, *code).outcome != Outcome::Fail);
        Err(Attempt { judged, in_doubt })
    }

    /// What is committed, at most until `deadline`. No error is taken for "none": whoever began anew on one would skip
    /// records, or repeat them all.
    pub async fn committed(
        self: &Rc<Self>,
        partitions: &BTreeSet<TopicPartition>,
        deadline: Mono,
    ) -> Result<Commits, CallError> {
        let watch = self.config.watch.as_ref();
        let token = watch.map(|watch| watch.asks(partitions));
        let mut failures = 0;
        let end = loop {
            let judged = match self.try_fetch(partitions, deadline).await {
                Ok(offsets) => break Ok(offsets),
                Err(judged) => judged,
            };
            if planted(Defect::CcOffsetfetchErrorReset) {
                break Ok(nothing(partitions));
            }
            if matches!(judged.code, 15 | NOT_COORDINATOR) || judged.code < 0 {
                self.tell(Input::CommitRefused { generation: self.generation(), code: NOT_COORDINATOR });
            }
            if judged.retry == Retry::No || self.client.env().now() >= deadline {
                break Err(judged.into());
            }
            failures += 1;
            self.client.pause(failures, deadline).await;
        };
        if let (Some(watch), Some(token), false) = (watch, token, self.is_stopped()) {
            let offsets = end.as_ref().map(requests::offsets).map_err(|e: &CallError| *e);
            watch.fetched(token, offsets.as_ref().map_err(|e| *e));
        }
        end
    }

    async fn try_fetch(
        self: &Rc<Self>,
        partitions: &BTreeSet<TopicPartition>,
        deadline: Mono,
    ) -> Result<Commits, Judged> {
        let failed = |failure| outcome::judge_failure(Kind::Read, failure);
        let way = self.offsets_way(deadline).await.ok_or_else(|| failed(Failure::NotSent))?;
        let request = requests::fetch(&self.config, partitions);
        let answer = call(&way, &request, self.attempt(deadline)).await.map_err(failed)?;
        match requests::fetched(&answer, partitions) {
            Ok(offsets) => Ok(offsets),
            // The group is not there: nothing was ever committed.
            Err(Some(GROUP_ID_NOT_FOUND)) => Ok(nothing(partitions)),
            Err(Some(code)) => Err(outcome::judge(Kind::Read, code)),
            Err(None) => Err(failed(Failure::Garbled)),
        }
    }

    /// When one attempt ends.
    fn attempt(&self, deadline: Mono) -> Mono {
        self.client.env().now().after(self.client.settings().request_timeout).min(deadline)
    }
}
