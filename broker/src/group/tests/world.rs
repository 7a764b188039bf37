//! A coordinator driven by hand: its log, and what it has answered.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use crate::config::GroupConfig;
use crate::controller::record::text;
use crate::env::Mono;
use crate::group::consumer::Topics;
use crate::group::record::Record;
use crate::group::request::{Commit, Commits, Join, Joined, Now, Sync, Who};
use crate::group::{Answer, Asked, Effect, Input, Shard, Ticket};
use crate::ids::{Offset, TopicPartition};

/// A coordinator and its partition.
pub struct World {
    pub shard: Shard,
    pub settings: GroupConfig,
    pub topics: Topics,
    pub now: Now,
    /// Each batch of the log, and where it ends.
    pub log: Vec<(Offset, Vec<Record>)>,
    /// Below it everything is committed.
    pub high: Offset,
    /// Commit at once.
    pub prompt: bool,
    /// Refuse appends.
    pub broken: bool,
    pub answers: BTreeMap<Ticket, Answer>,
    next_ticket: Ticket,
}

impl World {
    pub fn new() -> Self {
        let settings = GroupConfig {
            initial_rebalance_delay: Duration::ZERO,
            min_session_timeout: Duration::from_millis(10),
            ..GroupConfig::default()
        };
        Self::with(settings)
    }

    pub fn with(settings: GroupConfig) -> Self {
        let now = Now { mono: Mono(0), wall: 1_000_000 };
        Self {
            shard: Shard::new(settings.clone(), now),
            settings,
            topics: Topics::default(),
            now,
            log: Vec::new(),
            high: 0,
            prompt: true,
            broken: false,
            answers: BTreeMap::new(),
            next_ticket: 0,
        }
    }

    pub fn end(&self) -> Offset {
        self.log.last().map_or(0, |(end, _)| *end)
    }

    pub fn input(&mut self, input: Input) {
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.shard.step(self.now, input, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Write(token, _) if self.broken => {
                        inputs.push_back(Input::Refused(token, ResponseError::CoordinatorNotAvailable));
                    }
                    Effect::Write(token, records) => {
                        let end = self.end() + Offset::try_from(records.len()).unwrap();
                        self.log.push((end, records));
                        inputs.push_back(Input::Appended(token, end));
                        if self.prompt {
                            self.high = end;
                            inputs.push_back(Input::HighWatermark(end));
                        }
                    }
                    Effect::Answer(ticket, answer) => {
                        assert!(self.answers.insert(ticket, answer).is_none(), "answered twice");
                    }
                }
            }
        }
    }

    pub fn ask(&mut self, asked: Asked) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.input(Input::Asked(ticket, asked));
        ticket
    }

    /// Asks, and has the answer at once.
    pub fn told(&mut self, asked: Asked) -> Answer {
        let ticket = self.ask(asked);
        self.answers.get(&ticket).cloned().expect("no answer yet")
    }

    pub fn commit_all(&mut self) {
        self.high = self.end();
        self.input(Input::HighWatermark(self.high));
    }

    pub fn pass(&mut self, ms: u64) {
        self.now.mono = self.now.mono.after(Duration::from_millis(ms));
        self.now.wall += i64::try_from(ms).unwrap();
        // What is due again at once is for the next.
        for _ in 0..3 {
            self.input(Input::Tick);
        }
    }

    /// Another node takes over with what is committed.
    pub fn fail_over(&mut self) {
        let high = self.high;
        self.log.retain(|(end, _)| *end <= high);
        self.shard = Shard::new(self.settings.clone(), self.now);
        self.input(Input::Topics(self.topics.clone().into()));
        for record in self.log.iter().flat_map(|(_, records)| records) {
            let (key, value) = record.encode();
            self.shard.load(Record::decode(&key, value.as_deref()).unwrap(), self.now);
        }
        self.shard.loaded(self.now);
    }

    /// Joins as a new member of `g`, with all it takes; its generation if that is complete.
    pub fn enter(&mut self, name: &str) -> Option<Joined> {
        let ticket = self.ask(join(name, ""));
        self.joined(ticket)
    }

    pub fn joined(&self, ticket: Ticket) -> Option<Joined> {
        match self.answers.get(&ticket)? {
            Answer::Joined(joined) => Some((**joined).clone()),
            other => panic!("not joined: {other:?}"),
        }
    }

    pub fn state(&self) -> &'static str {
        self.shard.describe(&text("g")).map_or("none", |group| group.state.name())
    }
}

/// JoinGroup to `g`: a first one gets the id `name`.
pub fn join(name: &str, member: &str) -> Asked {
    Asked::Join(Box::new(plain(name, member)))
}

pub fn plain(name: &str, member: &str) -> Join {
    Join {
        group: text("g"),
        member: text(member),
        fresh: text(name),
        protocol_type: text("consumer"),
        protocols: vec![(text("range"), Bytes::copy_from_slice(name.as_bytes()))],
        session_timeout: Duration::from_millis(1000),
        rebalance_timeout: Duration::from_millis(3000),
        ..Join::default()
    }
}

pub fn who(member: &str, generation: i32) -> Who {
    Who { group: text("g"), member: text(member), instance: None, generation }
}

pub fn sync(member: &str, generation: i32, assigned: &[&str]) -> Asked {
    let assignments = assigned.iter().map(|to| (text(to), Bytes::copy_from_slice(to.as_bytes()))).collect();
    Asked::Sync(Sync { who: who(member, generation), assignments, ..Sync::default() })
}

pub fn commit(who: Who, partition: i32, offset: Offset) -> Asked {
    let commit = Commit { offset, leader_epoch: -1, metadata: StrBytes::default() };
    Asked::Commit(Commits { who, by_epoch: true, offsets: vec![(TopicPartition::new("t", partition), commit)] })
}

pub fn leave(member: &str) -> Asked {
    Asked::Leave(text("g"), vec![(text(member), None)])
}
