//! A member of a group in which the broker shares out (KIP-848): its heartbeats say what it wants and owns, their answers what
//! it is to own. It gives up first, says so, and is given what others have given up as those say so; so it stays in its
//! epoch until it has given up. `generation` is the member epoch.

use std::collections::BTreeSet;

use broker::env::Mono;
use broker::ids::TopicPartition;

use super::words::{Beaten, Effect, Say, Ticket};
use super::{Membership, State, Then};

const GROUP_ID_NOT_FOUND: i16 = 69;
const UNKNOWN_MEMBER_ID: i16 = 25;
const FENCED_MEMBER_EPOCH: i16 = 110;
const UNRELEASED_INSTANCE_ID: i16 = 111;
const STALE_MEMBER_EPOCH: i16 = 113;

impl Membership {
    /// Enters the group.
    pub(super) fn enter(&mut self, now: Mono, out: &mut Vec<Effect>) {
        (self.news, self.asked) = (true, true);
        let ticket = self.say(now, out);
        self.last_heard = now;
        self.state = State::Joining(ticket);
    }

    /// The next heartbeat.
    pub(super) fn say(&mut self, now: Mono, out: &mut Vec<Effect>) -> Ticket {
        let ticket = self.ticket();
        let full = std::mem::take(&mut self.news) || self.generation < 0;
        let gave = std::mem::take(&mut self.gave);
        self.next_beat = now.after(self.interval);
        out.push(Effect::Say(
            ticket,
            Box::new(Say {
                member_id: self.member_id.clone(),
                epoch: self.generation.max(0),
                topics: full.then(|| self.topics.clone()),
                owned: (full || gave).then(|| self.owned.clone()),
            }),
        ));
        ticket
    }

    /// A heartbeat was accepted.
    pub(super) fn beaten(&mut self, now: Mono, beaten: Beaten, out: &mut Vec<Effect>) {
        (self.last_heard, self.failures, self.interval) = (now, 0, beaten.interval);
        self.next_beat = self.next_beat.min(now.after(beaten.interval));
        if matches!(self.state, State::Joining(_)) {
            self.state = State::Stable;
        }
        if self.generation != beaten.epoch {
            self.generation = beaten.epoch;
            out.push(Effect::Entered { generation: beaten.epoch, leads: false });
        }
        out.push(Effect::Told { generation: beaten.epoch });
        // Of a topic that is not known here yet it asks again.
        self.news |= !beaten.whole;
        let Some(assigned) = beaten.assigned else { return };
        match &mut self.state {
            State::Revoking { then: Then::Own(next), .. } => *next = assigned,
            _ => self.follow(assigned, out),
        }
    }

    /// Makes what it owns what it is to own.
    fn follow(&mut self, assigned: BTreeSet<TopicPartition>, out: &mut Vec<Effect>) {
        let goes: BTreeSet<_> = self.owned.difference(&assigned).cloned().collect();
        if goes.is_empty() {
            self.own(assigned, out);
        } else {
            self.revoke(goes, Then::Own(assigned), out);
        }
    }

    /// It has given up what it was told to: says so at once, for others wait for it.
    pub(super) fn says_so(&mut self, now: Mono) {
        (self.gave, self.next_beat) = (true, now);
    }

    /// The group said no to a heartbeat or a commit, with a code that other members never see. False: with another one.
    pub(super) fn epoch_refused(&mut self, now: Mono, code: i16, out: &mut Vec<Effect>) -> bool {
        if !self.rules.is_brokers() {
            return false;
        }
        match code {
            // It keeps its id, which it has made itself.
            UNKNOWN_MEMBER_ID | FENCED_MEMBER_EPOCH | GROUP_ID_NOT_FOUND => {
                self.lose(out);
                self.asked = false;
                self.state = State::Out(now);
            }
            // Its former self died without a word, and its session has not ended. (Kafka's clients give up; whoever runs
            // them starts them again.)
            UNRELEASED_INSTANCE_ID => {
                let wait = self.wait();
                self.asked = false;
                self.state = State::Out(now.after(wait));
            }
            // A commit was overtaken by a new epoch, of which the next heartbeat tells.
            STALE_MEMBER_EPOCH => {}
            _ => return false,
        }
        true
    }
}
