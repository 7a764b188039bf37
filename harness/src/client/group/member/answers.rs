//! What a member makes of answers and error codes.

use std::time::Duration;

use broker::env::Mono;

use super::words::{Answer, Effect, Ticket};
use super::{Coordinator, Membership, State};

const REQUEST_TIMED_OUT: i16 = 7;
const COORDINATOR_LOAD_IN_PROGRESS: i16 = 14;
const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const NOT_COORDINATOR: i16 = 16;
pub(in crate::client::group) const ILLEGAL_GENERATION: i16 = 22;
const UNKNOWN_MEMBER_ID: i16 = 25;
const REBALANCE_IN_PROGRESS: i16 = 27;
const MEMBER_ID_REQUIRED: i16 = 79;
const FENCED_INSTANCE_ID: i16 = 82;
const UNKNOWN_SERVER_ERROR: i16 = -1;

impl Membership {
    pub(super) fn answer(&mut self, now: Mono, ticket: Ticket, answer: Answer, out: &mut Vec<Effect>) {
        if self.coordinator == Coordinator::Asked(ticket) {
            return self.found(now, &answer, out);
        }
        if self.beating == Some(ticket) {
            self.beating = None;
            return match answer {
                Answer::Beat(0) => (self.last_heard, self.failures) = (now, 0),
                Answer::Beaten(Ok(beaten)) => self.beaten(now, beaten, out),
                Answer::Beat(code) | Answer::Beaten(Err(code)) => self.refused(now, code, out),
                _ => self.coordinator_lost(now, out),
            };
        }
        match &self.state {
            State::Joining(asked) if *asked == ticket => match answer {
                Answer::Joined(joined) if joined.code == 0 => self.joined(now, *joined, out),
                Answer::Joined(joined) if joined.code == MEMBER_ID_REQUIRED && !joined.member_id.is_empty() => {
                    // The coordinator remembers the id before it lets anyone wait for this member (KIP-394).
                    self.member_id = joined.member_id.into();
                    self.state = State::Out(now);
                }
                Answer::Joined(joined) => self.refused(now, joined.code, out),
                Answer::Beaten(Ok(beaten)) => self.beaten(now, beaten, out),
                Answer::Beaten(Err(code)) => self.refused(now, code, out),
                _ => self.coordinator_lost(now, out),
            },
            State::Looking { ticket: asked, assignor, members, skips } if *asked == ticket => {
                let (assignor, members, skips) = (*assignor, members.clone(), *skips);
                match answer {
                    Answer::Partitions(partitions) if skips => {
                        // Whether what it shared out in its last life was all, it does not know.
                        self.leads(now, partitions, assignor.is_cooperative());
                        self.sync(assignor, Vec::new(), out);
                    }
                    Answer::Partitions(partitions) => self.plan(now, assignor, &members, partitions, out),
                    _ => self.state = State::Out(now.after(self.wait())),
                }
            }
            State::Syncing(asked) if *asked == ticket => match answer {
                Answer::Synced(0, assignment) => self.synced(now, &assignment, out),
                Answer::Synced(code, _) => self.refused(now, code, out),
                _ => self.coordinator_lost(now, out),
            },
            _ => {}
        }
    }

    fn found(&mut self, now: Mono, answer: &Answer, out: &mut Vec<Effect>) {
        match answer {
            Answer::Found(0) => {
                self.coordinator = Coordinator::Known;
                self.last_heard = now;
            }
            Answer::Found(code) if !is_passing(*code) => self.die(*code, out),
            _ => {
                let wait = self.wait();
                self.coordinator = Coordinator::Unknown(now.after(wait));
            }
        }
    }

    /// The group said no, with this code: to a JoinGroup, a SyncGroup, a heartbeat or a commit.
    pub(super) fn refused(&mut self, now: Mono, code: i16, out: &mut Vec<Effect>) {
        // What it says next may not have been heard before.
        self.news = true;
        if self.epoch_refused(now, code, out) {
            return;
        }
        match code {
            COORDINATOR_NOT_AVAILABLE | NOT_COORDINATOR => self.coordinator_lost(now, out),
            ILLEGAL_GENERATION => {
                self.lose(out);
                self.state = State::Out(now);
            }
            UNKNOWN_MEMBER_ID => {
                self.lose(out);
                self.member_id = "".into();
                self.state = State::Out(now);
            }
            REBALANCE_IN_PROGRESS if self.beats() => self.rejoin = true,
            code if is_passing(code) => self.try_again(now),
            code => self.die(code, out),
        }
    }

    /// A JoinGroup or SyncGroup begins anew after a while; a heartbeat comes again by itself.
    fn try_again(&mut self, now: Mono) {
        if matches!(self.state, State::Joining(_) | State::Syncing(_)) {
            let wait = self.wait();
            self.state = State::Out(now.after(wait));
        }
    }

    /// The coordinator is gone or another one. What is owned stays owned: the next one knows of it.
    fn coordinator_lost(&mut self, now: Mono, out: &mut Vec<Effect>) {
        self.try_again(now);
        let wait = if self.failures == 0 { Duration::ZERO } else { self.wait() };
        self.failures = self.failures.max(1);
        self.forget(now, wait, out);
    }

    fn die(&mut self, code: i16, out: &mut Vec<Effect>) {
        self.lose(out);
        self.dead = true;
        out.push(Effect::Fatal(code));
    }
}

/// Whether a commit that is refused with this code says something of the member, and not of what it commits.
pub(super) fn concerns_member(code: i16) -> bool {
    matches!(
        code,
        COORDINATOR_NOT_AVAILABLE
            | NOT_COORDINATOR
            | ILLEGAL_GENERATION
            | UNKNOWN_MEMBER_ID
            | REBALANCE_IN_PROGRESS
            | FENCED_INSTANCE_ID
    )
}

/// Whether the same question may be answered otherwise later.
fn is_passing(code: i16) -> bool {
    matches!(
        code,
        REQUEST_TIMED_OUT
            | COORDINATOR_LOAD_IN_PROGRESS
            | COORDINATOR_NOT_AVAILABLE
            | NOT_COORDINATOR
            | REBALANCE_IN_PROGRESS
            | MEMBER_ID_REQUIRED
            | UNKNOWN_SERVER_ERROR
    )
}
