//! A follower of one partition: from where it fetches, and what it does with what its leader says.
//!
//! Plain decisions; the shell owns the log. Logs are compared by leader epochs as they are fetched (KIP-101, KIP-279,
//! KIP-595): a follower never cuts its log to its own high watermark, and never shows records before the part of its log
//! that its leader does not have is cut off (KAFKA-14704).

use crate::ids::{LeaderEpoch, NodeId, Offset};
use crate::planted::{Defect, planted};

/// A partition as its follower sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// Whom it follows; `None`: nobody leads.
    pub leader: Option<NodeId>,
    /// In which epoch.
    pub epoch: LeaderEpoch,
    /// Everything below is committed, as far as it was told, and at most where its log ends.
    pub high: Offset,
}

/// Where a log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// First offset kept.
    pub start: Offset,
    /// One past the last.
    pub end: Offset,
    /// The epoch of its last record; -1: it has none.
    pub last: LeaderEpoch,
}

/// What was asked of a leader. The offset and the epoch before it stand for the whole log: an answer to the same question
/// fits the same log, whenever it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// In which epoch it was believed to lead.
    pub epoch: LeaderEpoch,
    /// From where: where the log ended then.
    pub offset: Offset,
    /// The epoch of the last record then; -1: there was none.
    pub last: LeaderEpoch,
}

/// What a leader answered to one partition's fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// Batches that follow, perhaps none.
    Records {
        /// The leader's high watermark.
        high: Offset,
        /// The first offset the leader keeps.
        start: Offset,
    },
    /// The logs part: the largest epoch of the leader at most the follower's, and where that ended.
    Diverging {
        /// The leader's epoch.
        epoch: LeaderEpoch,
        /// Where it ended.
        end: Offset,
    },
    /// The leader has nothing at that offset.
    OutOfRange {
        /// The first offset the leader keeps.
        start: Offset,
    },
    /// Anything else: not the leader, another epoch, a disk in trouble.
    Refused,
}

/// What the follower does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Appends what came, then has this high watermark ([`Follower::learn`]) and log start.
    Append {
        /// The leader's high watermark.
        high: Offset,
        /// The first offset the leader keeps.
        start: Offset,
    },
    /// Cuts its log so that it ends at this offset.
    Truncate(Offset),
    /// Forgets its whole log, and begins again at this offset.
    Restart(Offset),
    /// Waits a while.
    Wait,
    /// Nothing: the answer is to what it would not ask any more.
    Ignore,
}

impl Follower {
    /// What to do about the answer to what was asked. `own_end` is where the follower's log ended an epoch: the largest
    /// one at most the epoch given, and its end.
    pub fn answered(
        &self,
        asked: Asked,
        answered: Answered,
        log: Standing,
        own_end: impl FnOnce(LeaderEpoch) -> (LeaderEpoch, Offset),
    ) -> Step {
        if asked != (Asked { epoch: self.epoch, offset: log.end, last: log.last }) {
            // It was given another leader, or was cut, meanwhile: what is committed by the answer need not be in its log.
            return Step::Ignore;
        }
        match answered {
            Answered::Records { high, start } => Step::Append { high, start },
            Answered::Diverging { epoch, end } => {
                // Up to where both have the same epochs. An epoch this log does not know begins nowhere in it.
                let (own_epoch, own) = own_end(epoch);
                let to = if own_epoch < 0 { log.start } else { own.min(end) };
                // Each round gets shorter, or there is nothing left to cut.
                if to < log.end { Step::Truncate(to.max(log.start)) } else { Step::Wait }
            }
            // All it has is gone at the leader; or it has nothing, and the leader's log ends before where it would go on.
            Answered::OutOfRange { start } if start > log.end || log.start == log.end => Step::Restart(start),
            // The leader was cut meanwhile: the next fetch tells where they part.
            Answered::OutOfRange { .. } | Answered::Refused => Step::Wait,
        }
    }

    /// Takes in the leader's high watermark, once the log is a part of the leader's. True if it moved.
    pub fn learn(&mut self, high: Offset, end: Offset) -> bool {
        let high = high.min(end).max(self.high);
        let moved = high > self.high;
        self.high = high;
        moved
    }

    /// The log was cut to `end`.
    pub fn cut(&mut self, end: Offset) {
        self.high = self.high.min(end);
    }

    /// The log begins again at `start`: what it was told before says nothing any more (KAFKA-9491).
    pub fn restarted(&mut self, start: Offset) {
        if !planted(Defect::ReFullTruncateHwStale) {
            self.high = start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLLOWER: Follower = Follower { leader: Some(NodeId(1)), epoch: 3, high: 4 };
    const LOG: Standing = Standing { start: 2, end: 10, last: 3 };
    const ASKED: Asked = Asked { epoch: 3, offset: 10, last: 3 };

    fn step(answered: Answered, own: (LeaderEpoch, Offset)) -> Step {
        FOLLOWER.answered(ASKED, answered, LOG, |_| own)
    }

    #[test]
    fn an_answer_to_an_older_question_is_ignored() {
        let news = Answered::Records { high: 9, start: 0 };
        for asked in [Asked { epoch: 2, ..ASKED }, Asked { offset: 9, ..ASKED }, Asked { last: 2, ..ASKED }] {
            assert_eq!(FOLLOWER.answered(asked, news, LOG, |_| (3, 10)), Step::Ignore);
        }
        assert_eq!(step(news, (3, 10)), Step::Append { high: 9, start: 0 });
    }

    #[test]
    fn it_cuts_what_its_leader_does_not_have() {
        assert_eq!(step(Answered::Diverging { epoch: 2, end: 7 }, (2, 9)), Step::Truncate(7));
        assert_eq!(step(Answered::Diverging { epoch: 2, end: 9 }, (2, 7)), Step::Truncate(7));
        // An epoch the follower never saw: cut to where the one before it ended, and ask again (KIP-279).
        assert_eq!(step(Answered::Diverging { epoch: 2, end: 9 }, (1, 5)), Step::Truncate(5));
        assert_eq!(step(Answered::Diverging { epoch: 0, end: 1 }, (-1, -1)), Step::Truncate(2));
    }

    #[test]
    fn it_begins_again_where_its_leader_begins() {
        assert_eq!(step(Answered::OutOfRange { start: 11 }, (0, 0)), Step::Restart(11));
        assert_eq!(step(Answered::OutOfRange { start: 5 }, (0, 0)), Step::Wait);
        let empty = Standing { start: 10, end: 10, last: -1 };
        let out = Answered::OutOfRange { start: 5 };
        assert_eq!(FOLLOWER.answered(Asked { last: -1, ..ASKED }, out, empty, |_| (-1, -1)), Step::Restart(5));
        let mut follower = FOLLOWER;
        follower.restarted(11);
        assert_eq!(follower.high, 11);
    }

    #[test]
    fn its_high_watermark_is_within_its_log_and_does_not_fall() {
        let mut follower = FOLLOWER;
        assert!(follower.learn(20, 10));
        assert_eq!(follower.high, 10);
        assert!(!follower.learn(3, 10));
        follower.cut(6);
        assert_eq!(follower.high, 6);
    }
}
