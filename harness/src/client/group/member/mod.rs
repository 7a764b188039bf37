//! One member of a group, by the classic protocol or the newer one ([`epochs`]), as a plain state machine: finding the coordinator, joining, being given
//! partitions and giving them up, staying alive, leaving (KIP-62, 345, 394, 429, 814; `ConsumerCoordinator.java`).
//!
//! What it owns is stated with the generation in which it was given, not with the one it happens to be in: a member that
//! missed a round's end would otherwise pass off old claims as new ones (KAFKA-13891, KAFKA-14639).

pub(super) mod answers;
mod epochs;
mod round;
#[cfg(test)]
pub(crate) mod tests;
pub mod words;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use broker::env::Mono;
use broker::ids::TopicPartition;
use broker::planted::{Defect, planted};
use uuid::Uuid;

use super::assign::{Assignor, Partitions};
use words::{Effect, Input, Rules, Ticket, Told};

/// What a member knows of its coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coordinator {
    /// Nothing; it is asked for from then on.
    Unknown(Mono),
    Asked(Ticket),
    Known,
}

/// Where in the round a member stands.
#[derive(Clone, Debug)]
enum State {
    /// Not in the running generation; joins from then on.
    Out(Mono),
    /// The application gives something up before it goes on.
    Revoking {
        ticket: Ticket,
        what: BTreeSet<TopicPartition>,
        then: Then,
    },
    Joining(Ticket),
    /// It leads, and wants to know how many partitions there are to share out; or only to know them, if the coordinator
    /// says that what was shared out stays (KIP-814).
    Looking {
        ticket: Ticket,
        assignor: Assignor,
        members: Vec<Told>,
        skips: bool,
    },
    Syncing(Ticket),
    Stable,
}

/// What follows once everything is given up.
#[derive(Clone, Debug)]
enum Then {
    Join,
    /// Own what was assigned, which is so much; then join again, so that what was given up finds its new owner.
    Own(BTreeSet<TopicPartition>),
}

/// What a leader knows of the running generation's plan.
#[derive(Clone, Debug)]
struct Planned {
    from: Partitions,
    /// When it joins again of its own accord, for the plan leaves something to nobody. Whoever was to give that up joins
    /// again when it has; but a static member may be replaced, or come back from a crash, in between: its successor is given
    /// its share without a rebalance (KIP-345), knows of no second round, and nobody asks for one.
    again: Option<Mono>,
}

/// One member.
pub struct Membership {
    rules: Rules,
    /// Spreads its waits.
    drawn: u64,
    topics: BTreeSet<Arc<str>>,
    coordinator: Coordinator,
    state: State,
    /// Empty until a coordinator gave one, or, where the broker shares out, its own making.
    member_id: Arc<str>,
    /// The generation, or member epoch, it is in; -1 if in none.
    generation: i32,
    owned: BTreeSet<TopicPartition>,
    /// What it was given last, though it may have given it up since: what a sticky leader goes by.
    had: BTreeSet<TopicPartition>,
    /// The generation in which it was given those.
    owned_in: i32,
    /// Whether to join again when the state allows it.
    rejoin: bool,
    /// The plan of the running generation, if this member leads it.
    planned: Option<Planned>,
    beating: Option<Ticket>,
    next_beat: Mono,
    last_heard: Mono,
    last_poll: Mono,
    /// The application has not polled for too long: it is out until it does.
    asleep: bool,
    dead: bool,
    failures: u32,
    last_ticket: Ticket,
    /// Where the broker shares out: how often to beat, by the last answer.
    interval: Duration,
    /// And whether the next heartbeat must say everything: the last may not have been heard.
    news: bool,
    /// And whether it must say what it owns: it has given something up.
    gave: bool,
    /// And whether the group may know it: it has asked to be let in, whether it was heard or not.
    asked: bool,
}

impl Membership {
    /// A member of nothing yet. Its waits are spread by `seed`.
    pub fn new(rules: Rules, seed: u64, now: Mono) -> Self {
        let own = Uuid::from_u64_pair(seed, seed.wrapping_mul(6_364_136_223_846_793_005));
        let member_id = if rules.is_brokers() { own.to_string() } else { String::new() };
        Self {
            interval: rules.heartbeat_interval,
            news: false,
            gave: false,
            asked: false,
            rules,
            drawn: seed,
            topics: BTreeSet::new(),
            coordinator: Coordinator::Unknown(now),
            state: State::Out(now),
            member_id: member_id.into(),
            generation: -1,
            owned: BTreeSet::new(),
            had: BTreeSet::new(),
            owned_in: -1,
            rejoin: false,
            planned: None,
            beating: None,
            next_beat: now,
            last_heard: now,
            last_poll: now,
            asleep: false,
            dead: false,
            failures: 0,
            last_ticket: 0,
        }
    }

    /// The member id and generation to commit with; `None` while in no generation.
    pub fn identity(&self) -> Option<(Arc<str>, i32)> {
        (self.generation >= 0).then(|| (self.member_id.clone(), self.generation))
    }

    /// What its plan was made from, if it made the running one.
    pub fn planned(&self) -> Option<&Partitions> {
        self.planned.as_ref().map(|planned| &planned.from)
    }

    /// What it owns.
    pub fn owned(&self) -> &BTreeSet<TopicPartition> {
        &self.owned
    }

    /// Whether it is in a generation and has nothing left to do in it.
    pub fn is_stable(&self) -> bool {
        matches!(self.state, State::Stable) && !self.rejoin
    }

    /// Takes one input in at `now`.
    pub fn step(&mut self, now: Mono, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Subscribe(topics) => self.subscribe(now, topics),
            Input::Polled => {
                self.last_poll = now;
                self.asleep = false;
            }
            Input::GivenUp(ticket) => self.given_up(now, ticket, out),
            Input::Tick => {}
            Input::Answer(ticket, answer) => self.answer(now, ticket, answer, out),
            // While it joins, the join's own answer will tell: the commit may have been overtaken by the new generation.
            Input::CommitRefused { generation, code } => {
                if generation == self.generation && self.beats() && answers::concerns_member(code) {
                    self.refused(now, code, out);
                }
            }
            Input::Partitions(partitions) => {
                let planned = self.planned();
                self.rejoin |=
                    planned.is_some_and(|planned| planned.keys().any(|t| planned.get(t) != partitions.get(t)));
            }
            Input::Leave => self.leave(now, out),
        }
        self.go_on(now, out);
    }

    /// When time next matters to it.
    pub fn next(&self) -> Option<Mono> {
        if !self.is_active() {
            return None;
        }
        let mut next = self.last_poll.after(self.rules.max_poll_interval);
        match (self.coordinator, &self.state) {
            (Coordinator::Unknown(at), _) => next = next.min(at),
            (Coordinator::Known, State::Out(at)) => next = next.min(*at),
            (Coordinator::Known, State::Stable) => next = self.second_round().map_or(next, |at| next.min(at)),
            _ => {}
        }
        if self.beats() {
            next = next.min(self.last_heard.after(self.rules.session_timeout));
            if self.beating.is_none() && self.coordinator == Coordinator::Known {
                next = next.min(self.next_beat);
            }
        }
        Some(next)
    }

    fn subscribe(&mut self, now: Mono, topics: BTreeSet<Arc<str>>) {
        if self.topics != topics {
            if self.rules.is_brokers() {
                (self.news, self.next_beat) = (true, self.next_beat.min(now));
            }
            self.rejoin |= !matches!(self.state, State::Out(_)) && !self.rules.is_brokers();
            self.topics = topics;
        }
    }

    /// Whether it wants to be in the group at all.
    fn is_active(&self) -> bool {
        !self.dead && !self.asleep && !self.topics.is_empty()
    }

    /// Whether the coordinator expects heartbeats now: not while it has a JoinGroup or SyncGroup to answer.
    fn beats(&self) -> bool {
        self.generation >= 0 && matches!(self.state, State::Revoking { .. } | State::Looking { .. } | State::Stable)
    }

    /// Does what is due.
    fn go_on(&mut self, now: Mono, out: &mut Vec<Effect>) {
        if self.is_active() && self.last_poll.after(self.rules.max_poll_interval) <= now {
            self.fall_asleep(now, out);
        }
        if !self.is_active() {
            return;
        }
        if self.beats() && self.last_heard.after(self.rules.session_timeout) <= now {
            // Nothing was heard for so long: whoever it was, it is not the coordinator any more.
            self.last_heard = now;
            self.forget(now, Duration::ZERO, out);
        }
        match self.coordinator {
            Coordinator::Unknown(at) if at <= now => {
                let ticket = self.ticket();
                self.coordinator = Coordinator::Asked(ticket);
                out.push(Effect::Find(ticket));
            }
            Coordinator::Known => self.go_on_with_coordinator(now, out),
            _ => {}
        }
    }

    fn go_on_with_coordinator(&mut self, now: Mono, out: &mut Vec<Effect>) {
        let joins = match self.state {
            State::Out(at) => at <= now,
            State::Stable => self.rejoin || self.second_round().is_some_and(|at| at <= now),
            _ => false,
        };
        if joins {
            self.prepare(now, out);
        }
        if self.beats() && self.beating.is_none() && self.next_beat <= now {
            self.beating = Some(self.beat(now, out));
        }
    }

    /// When it asks for a second round, as the leader, if nobody has by then.
    fn second_round(&self) -> Option<Mono> {
        self.planned.as_ref().and_then(|planned| planned.again)
    }

    fn beat(&mut self, now: Mono, out: &mut Vec<Effect>) -> Ticket {
        if self.rules.is_brokers() {
            return self.say(now, out);
        }
        let ticket = self.ticket();
        self.next_beat = now.after(self.rules.heartbeat_interval);
        out.push(Effect::Beat(ticket, self.member_id.clone(), self.generation));
        ticket
    }

    /// The application does not poll: whatever it does, it does not do its part (KIP-62). A static member says nothing; its
    /// session ends by itself; but where the broker shares out it says that it will be back.
    fn fall_asleep(&mut self, now: Mono, out: &mut Vec<Effect>) {
        self.say_goodbye(out);
        self.lose(out);
        self.forget_id();
        self.state = State::Out(now);
        self.asleep = true;
    }

    fn leave(&mut self, now: Mono, out: &mut Vec<Effect>) {
        self.say_goodbye(out);
        self.owned.clear();
        self.lose(out);
        self.topics.clear();
        self.forget_id();
        self.state = State::Out(now);
    }

    /// Whether it has asked a group whose broker shares out to let it in, and has not taken leave since.
    pub fn has_asked(&self) -> bool {
        self.asked
    }

    /// The coordinator's word for it holds no more.
    fn forget_id(&mut self) {
        if !self.rules.is_brokers() {
            self.member_id = "".into();
        }
    }

    /// Who has made its id itself can take leave of a group that never answered it, and must: else the group waits for the end
    /// of its session, and keeps its name for it (KIP-1082).
    fn say_goodbye(&mut self, out: &mut Vec<Effect>) {
        let says = match self.rules.is_brokers() {
            true => std::mem::take(&mut self.asked),
            false => {
                let known = !self.member_id.is_empty() && self.coordinator == Coordinator::Known;
                known && self.rules.instance.is_none()
            }
        };
        if says {
            out.push(Effect::Leave(self.member_id.clone()));
        }
    }

    /// It is in no generation any more, and what it owned may be another's.
    fn lose(&mut self, out: &mut Vec<Effect>) {
        let was = std::mem::replace(&mut self.generation, -1) >= 0;
        (self.planned, self.beating) = (None, None);
        if !planted(Defect::GcDoubleOwnCooperative) {
            self.owned_in = -1;
            self.had.clear();
        }
        // Where members have epochs of their own, it matters whether one was out in between.
        if !self.owned.is_empty() || (was && self.rules.is_brokers()) {
            out.push(Effect::Lost(std::mem::take(&mut self.owned)));
        }
    }

    /// Asks for the coordinator anew, after a while.
    fn forget(&mut self, now: Mono, wait: Duration, out: &mut Vec<Effect>) {
        self.news = true;
        if self.coordinator == Coordinator::Known {
            out.push(Effect::Forget);
        }
        self.coordinator = Coordinator::Unknown(now.after(wait));
        self.beating = None;
    }

    /// How long to wait after one more failure in a row.
    fn wait(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.drawn = self.drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.rules.retry.wait(self.failures, self.drawn >> 33)
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        self.last_ticket
    }
}
