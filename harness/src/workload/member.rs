//! Members of consumer groups: each life joins, processes what it is given, and goes, decently or not; then comes the next.

use std::rc::Rc;
use std::time::Duration;

use broker::env::Env;

use crate::client::consumer::{ConsumerConfig, OutOfRange, Polled};
use crate::client::group::config::{GroupConfig, Promise, Topics};
use crate::client::group::consumer::{Got, GroupConsumer};
use crate::client::group::watch::OnTape;
use crate::client::{CallError, Client, Settings};
use crate::group_load::{GroupLoad, MOST_MEMBERS};
use crate::history::{Call, Kind, Phase, Reply};
use crate::seed::Draw;

use super::{FETCH, Role};

const FENCED_INSTANCE_ID: i16 = 82;

/// One poll's patience.
const POLL: Duration = Duration::from_millis(200);
/// What a commit inside a poll, or a close, takes at most.
const PATIENCE: Duration = Duration::from_millis(1000);
/// `metadata.max.age.ms`: so soon a member learns that a topic has grown.
const METADATA_AGE: Duration = Duration::from_millis(500);
/// Lives of one member in one process at most; the last one stays.
pub const LIVES: u16 = 64;

/// Plays member number `n` of the run until the final read.
pub(super) async fn play<E: Env>(role: Role<E>, n: u32) {
    let (group, member) = (n / MOST_MEMBERS, n % MOST_MEMBERS);
    let load = role.stage.setup.load.groups[group as usize].clone();
    let mut draw = role.draws();
    role.ready().await;
    role.pause(draw.below(50)).await;
    for life in 0..LIVES {
        let role = Role { incarnation: role.incarnation + life, ..role.clone() };
        let stays = (life + 1 < LIVES && load.stay_ms.1 > 0).then(|| draw.between(load.stay_ms.0, load.stay_ms.1));
        let lost_name = Life::new(&role, &load, group, member).live(stays, &mut draw).await;
        role.stage.tape.note(Kind::Quit { client: role.number, incarnation: role.incarnation });
        // Once everything is cured, nobody starts a process again whose name another has taken: the two would throw each other
        // out for ever.
        if role.stage.phase() >= Phase::FinalRead || (lost_name && !role.loading()) {
            return;
        }
        role.pause(draw.between(load.away_ms.0, load.away_ms.1)).await;
        while role.stage.is_away(group) {
            role.pause(20).await;
        }
    }
}

impl<E: Env> Role<E> {
    /// A consumer that is member number `member` of group number `group`, as that is described; not subscribed yet.
    pub fn join(&self, load: &GroupLoad, group: u32, member: u32) -> GroupConsumer<E> {
        self.join_as(self.member(load, group, member))
    }

    /// The same, configured so.
    pub fn join_as(&self, config: GroupConfig) -> GroupConsumer<E> {
        let settings = Settings { metadata_max_age: METADATA_AGE, ..self.settings() };
        GroupConsumer::new(Client::new(self.env.clone(), settings), config)
    }

    /// How member number `member` of group number `group`, as that is described, is configured.
    pub fn member(&self, load: &GroupLoad, group: u32, member: u32) -> GroupConfig {
        let setup = &self.stage.setup;
        let ms = Duration::from_millis;
        GroupConfig {
            instance: load.instance(member).map(Into::into),
            assignors: vec![load.assignor],
            session_timeout: ms(load.session_ms),
            heartbeat_interval: ms(load.heartbeat_ms),
            max_poll_interval: ms(load.max_poll_ms),
            promise: if setup.contract.at_most_once { Promise::AtMostOnce } else { Promise::AtLeastOnce },
            auto_commit: (load.commit_ms > 0).then(|| ms(load.commit_ms)),
            patience: PATIENCE,
            fetch: ConsumerConfig {
                max_wait: ms(setup.load.fetch_wait_ms),
                partition_max_bytes: setup.load.fetch_bytes,
                out_of_range: OutOfRange::Earliest,
                rack: self.rack(),
                ..ConsumerConfig::default()
            },
            watch: Some(Rc::new(OnTape::new(self.stage.tape.clone(), self.number, self.incarnation, group))),
            ..GroupConfig::new(GroupLoad::name(group))
        }
    }

    /// Polls once, and notes what came of it.
    pub async fn turn(&self, consumer: &GroupConsumer<E>) -> Result<Got, CallError> {
        let op = self.call(Call::Admin { api: FETCH });
        let got = self.returned(op, consumer.poll(POLL).await, |_| Reply::None)?;
        match &got {
            // Without a place to begin at, nothing was read.
            Got::Records(polled) => {
                polled.iter().filter(|part| part.from >= 0).for_each(|part| self.note_polled(part, false));
            }
            Got::Assigned(_, placed) => {
                for (tp, position) in placed {
                    self.note_assigned(self.stage.tape.tp(tp), *position, false);
                }
            }
            Got::Nothing | Got::Revoking(_) | Got::Lost(_) => {}
        }
        Ok(got)
    }
}

/// One life of a member.
struct Life<'a, E: Env> {
    role: &'a Role<E>,
    load: &'a GroupLoad,
    group: u32,
    consumer: GroupConsumer<E>,
}

impl<'a, E: Env> Life<'a, E> {
    fn new(role: &'a Role<E>, load: &'a GroupLoad, group: u32, member: u32) -> Self {
        let consumer = role.join(load, group, member);
        let topics = role.stage.setup.topics.iter();
        consumer.subscribe(Topics::List(topics.map(|topic| topic.name.as_str().into()).collect()));
        Self { role, load, group, consumer }
    }

    /// Lives for `stays` milliseconds, or until the final read; true if another takes its name before.
    async fn live(self, stays: Option<u64>, draw: &mut Draw) -> bool {
        let until = stays.map(|ms| self.role.within(ms));
        while self.role.stage.phase() < Phase::FinalRead {
            let is_over = until.is_some_and(|until| self.role.env.now() >= until);
            if is_over && self.role.loading() && draw.chance(self.load.vanish_per_mille) {
                return false;
            }
            if (is_over && self.role.loading()) || self.role.stage.is_away(self.group) {
                break;
            }
            if let Err(error) = self.turn(draw).await {
                return error.code == FENCED_INSTANCE_ID;
            }
        }
        self.consumer.close(self.role.env.now().after(PATIENCE)).await;
        false
    }

    /// Polls once and does what comes of it; an error if the group does not want this member.
    async fn turn(&self, draw: &mut Draw) -> Result<(), CallError> {
        if let Got::Records(polled) = self.role.turn(&self.consumer).await? {
            self.process(&polled, draw).await;
        }
        Ok(())
    }

    /// Does nothing, not even poll; its heart beats. For a time of its own no longer than there is load.
    async fn stuck(&self) {
        if self.load.stuck_ms == 0 {
            return self.role.pause(self.load.max_poll_ms + self.load.max_poll_ms / 2).await;
        }
        let until = self.role.within(self.load.stuck_ms);
        while self.role.loading() && self.role.env.now() < until {
            self.role.pause(50).await;
        }
    }

    async fn process(&self, polled: &[Polled], draw: &mut Draw) {
        if polled.iter().any(|part| part.error.is_some()) {
            return self.role.pause(20).await;
        }
        let records = polled.iter().map(|part| part.records.len() as u64).sum();
        let work = (0..records).map(|_| draw.between(self.load.work_us.0, self.load.work_us.1)).sum();
        self.role.env.sleep(Duration::from_micros(work)).await;
        if self.role.loading() && draw.chance(self.load.stuck_per_mille) {
            self.stuck().await;
        }
        if self.load.commit_ms == 0 && !self.role.stage.setup.contract.at_most_once {
            // What comes of it is on record; a failure leaves the group where it was, and records come again.
            let _ = self.consumer.commit_processed(self.role.env.now().after(PATIENCE)).await;
        }
    }
}
