//! The members of an application's group: each polls, has every record handled, and only then polls again, so that whatever is
//! committed was handled.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use broker::env::Env;
use broker::ids::TopicPartition;
use harness::app::Crew;
use harness::client::consumer::Polled;
use harness::client::group::config::Topics;
use harness::client::group::consumer::{Got, GroupConsumer};
use harness::group_load::GroupLoad;
use harness::history::{Kind, Phase};
use harness::workload::{LIVES, Role};

use super::Shop;
use super::store::Result;

/// Records of one partition that are handled beyond what is known to be committed, at most (and one poll's).
pub(super) const LEAD: u64 = 512;
/// What a commit that is waited for takes at most, and a close.
pub(super) const PATIENCE: Duration = Duration::from_millis(1000);
/// How long a member that the group does not want stays away, in milliseconds.
const AWAY_MS: u64 = 200;

/// What one member is.
pub(super) struct Post<E: Env> {
    pub(super) role: Role<E>,
    /// Its group, and its number there.
    pub(super) group: u32,
    pub(super) load: GroupLoad,
    pub(super) member: u32,
    pub(super) topics: Vec<Arc<str>>,
}

/// A process of an application whose members read all topics: opens its database, and sets each member to work.
pub(super) async fn staff<E: Env>(crew: Crew<E>, works: impl AsyncFn(Post<E>, Rc<Shop<E>>) + Copy + 'static) {
    let Crew { app, group, load, members, sender } = crew;
    let shop = match Shop::open(app, &sender).await {
        Ok(shop) => Rc::new(shop),
        Err(e) => return sender.env.halt(&format!("the application's database: {e}")),
    };
    let topics: Vec<_> = sender.stage.setup.topics.iter().map(|topic| topic.name.as_str().into()).collect();
    for (member, role) in (0..).zip(members) {
        let post = Post { role, group, load: load.clone(), member, topics: topics.clone() };
        let shop = shop.clone();
        sender.env.spawn("member", async move { works(post, shop).await });
    }
}

impl<E: Env> Post<E> {
    /// Works until the final read. `handle` is given what each poll brings of a partition; when it fails the process ends,
    /// since it is unknown what is on disk.
    pub(super) async fn work(self, handle: impl AsyncFn(&Role<E>, &Polled) -> Result<()>) {
        self.lives(async |role: &Role<E>| self.live(role, &handle).await).await;
    }

    /// Lives until the final read, one life after another. When one fails the process ends.
    pub(super) async fn lives(&self, live: impl AsyncFn(&Role<E>) -> Result<()>) {
        self.role.ready().await;
        for life in 0..LIVES {
            let role = Role { incarnation: self.role.incarnation + life, ..self.role.clone() };
            if let Err(e) = live(&role).await {
                return role.env.halt(&format!("the application's database: {e}"));
            }
            role.stage.tape.note(Kind::Quit { client: role.number, incarnation: role.incarnation });
            if role.stage.phase() >= Phase::FinalRead {
                return;
            }
            role.pause(AWAY_MS).await;
        }
    }

    /// One life: until the final read, or until the group does not want it.
    async fn live(&self, role: &Role<E>, handle: &impl AsyncFn(&Role<E>, &Polled) -> Result<()>) -> Result<()> {
        let consumer = role.join(&self.load, self.group, self.member);
        consumer.subscribe(Topics::List(self.topics.iter().cloned().collect()));
        let mut lead = Lead::default();
        while role.stage.phase() < Phase::FinalRead {
            match role.turn(&consumer).await {
                Ok(Got::Records(polled)) => {
                    for part in &polled {
                        handle(role, part).await?;
                        lead.add(part);
                    }
                    if polled.iter().any(|part| part.error.is_some()) {
                        role.pause(20).await;
                    }
                }
                // It begins where the group has committed.
                Ok(Got::Assigned(_, placed)) => lead.begins(|tp| placed.contains_key(tp)),
                Ok(Got::Nothing | Got::Revoking(_) | Got::Lost(_)) => {}
                Err(_) => return Ok(()),
            }
            lead.hold(role, &consumer).await;
        }
        consumer.close(role.env.now().after(PATIENCE)).await;
        Ok(())
    }
}

/// How many records of each partition were handled since the last commit that is known to be accepted.
#[derive(Default)]
pub(super) struct Lead(BTreeMap<TopicPartition, u64>);

impl Lead {
    /// Of these partitions there is none any more.
    pub(super) fn begins(&mut self, which: impl Fn(&TopicPartition) -> bool) {
        self.0.retain(|tp, _| !which(tp));
    }

    /// Whether one is too long.
    pub(super) fn is_long(&self) -> bool {
        self.0.values().any(|lead| *lead >= LEAD)
    }

    pub(super) fn add(&mut self, part: &Polled) {
        *self.0.entry(part.tp.clone()).or_default() += part.records.len() as u64;
    }

    /// Where the lead is too long, nothing more is read until a commit is through.
    async fn hold<E: Env>(&mut self, role: &Role<E>, consumer: &GroupConsumer<E>) {
        let long: Vec<_> = self.0.iter().filter(|(_, lead)| **lead >= LEAD).map(|(tp, _)| tp.clone()).collect();
        if long.is_empty() {
            return;
        }
        let committed = consumer.commit_processed(role.env.now().after(PATIENCE)).await.is_ok();
        for tp in &long {
            // What it has lost meanwhile it cannot hold, nor need it.
            _ = if committed { consumer.resume(tp) } else { consumer.pause(tp) };
        }
        if committed {
            self.0.clear();
        }
    }
}
