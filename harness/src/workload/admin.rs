//! The run's administrator: carries out the orders that faults give, one after the other.

use std::sync::Arc;

use broker::env::Env;
use broker::ids::NodeId;

use crate::client::{CallError, Client};
use crate::history::{Call, Phase, Reply};
use crate::order::Order;
use crate::seed::{Draw, Seed};

use super::{Role, judge, rewind};

/// One attempt's patience, in milliseconds.
const PATIENCE_MS: u64 = 2000;
/// An order that cannot be carried out is given up after so many attempts.
const ATTEMPTS: u32 = 8;
/// The API keys of what it asks.
const DELETE_TOPICS: i16 = 20;
const CREATE_PARTITIONS: i16 = 37;
const ELECT_LEADERS: i16 = 43;
const ALTER_CONFIGS: i16 = 44;
const REASSIGN: i16 = 45;
const ADD_VOTER: i16 = 80;
const REMOVE_VOTER: i16 = 81;
/// Kafka's code for a topic that is not there.
const UNKNOWN_TOPIC: i16 = 3;
/// The same for a node that votes already.
const DUPLICATE_VOTER: i16 = 126;

pub(super) async fn play<E: Env>(role: Role<E>) {
    role.ready().await;
    let client = role.client();
    while role.stage.phase() < Phase::FinalRead {
        let Some(order) = role.stage.orders.take() else {
            role.pause(10).await;
            continue;
        };
        let mut admin = Admin { role: &role, client: &client, order };
        for _ in 0..ATTEMPTS {
            if admin.carry_out().await.is_ok() {
                break;
            }
            role.pause(50).await;
        }
    }
}

struct Admin<'a, E: Env> {
    role: &'a Role<E>,
    client: &'a Client<E>,
    order: Order,
}

impl<E: Env> Admin<'_, E> {
    /// One attempt. The same order draws the same each time.
    async fn carry_out(&mut self) -> Result<(), CallError> {
        let draw = |salt| Seed::new(salt).split("order", 0).draw();
        match self.order {
            Order::Reassign { salt } => self.reassign(draw(salt)).await,
            Order::Expand { salt } => self.expand(draw(salt)).await,
            Order::Flip { salt, back, files_only } => self.flip(draw(salt), back, files_only).await,
            Order::MoveVote { salt } => self.move_vote(draw(salt)).await,
            Order::Recreate { salt } => self.recreate(draw(salt)).await,
            Order::ElectPreferred => {
                let asked = self.client.elect_preferred(self.role.within(PATIENCE_MS));
                self.role.noted(Call::Admin { api: ELECT_LEADERS }, asked, |()| Reply::None).await
            }
            Order::Rewind { salt } => rewind::carry_out(self.role, self.client, draw(salt)).await,
        }
    }

    /// Other brokers by draw, as many as there are to be, in an order by draw.
    async fn reassign(&self, mut draw: Draw) -> Result<(), CallError> {
        let contract = &self.role.stage.setup.contract;
        let live = self.role.stage.live();
        let tp = &self.role.stage.partitions[*draw.pick(&live)];
        let mut left: Vec<i32> = (0..i32::try_from(contract.brokers).unwrap_or(1)).collect();
        let mut to = Vec::new();
        while to.len() < contract.replication as usize && !left.is_empty() {
            to.push(NodeId(left.remove(usize::try_from(draw.below(left.len() as u64)).unwrap_or(0))));
        }
        let asked = self.client.reassign(tp, &to, self.role.within(PATIENCE_MS));
        self.role.noted(Call::Admin { api: REASSIGN }, asked, |()| Reply::None).await
    }

    /// One vote more, then one less. Where an attempt was cut short, all may vote already.
    async fn move_vote(&self, mut draw: Draw) -> Result<(), CallError> {
        let mut nodes: Vec<_> = (0..i32::try_from(self.role.stage.setup.contract.brokers).unwrap_or(1)).collect();
        let last = NodeId(nodes.remove(usize::try_from(draw.below(nodes.len() as u64)).unwrap_or(0)));
        for node in nodes.into_iter().map(NodeId).chain([last]) {
            let asked = self.client.add_voter(node, self.role.within(PATIENCE_MS));
            match self.role.noted(Call::Admin { api: ADD_VOTER }, asked, |()| Reply::None).await {
                Err(refused) if refused.code == DUPLICATE_VOTER => {}
                Err(refused) => return Err(refused),
                Ok(()) if node == last => return Ok(()),
                Ok(()) => break,
            }
        }
        let asked = self.client.remove_voter(last, self.role.within(PATIENCE_MS));
        self.role.noted(Call::Admin { api: REMOVE_VOTER }, asked, |()| Reply::None).await
    }

    async fn expand(&self, mut draw: Draw) -> Result<(), CallError> {
        let topics = &self.role.stage.setup.topics;
        let topic = usize::try_from(draw.below(topics.len() as u64)).unwrap_or(0);
        let Some(count) = self.role.stage.next_size(topic) else { return Ok(()) };
        let asked = self.client.create_partitions(&topics[topic].name, count, self.role.within(PATIENCE_MS));
        self.role.noted(Call::Admin { api: CREATE_PARTITIONS }, asked, |()| Reply::None).await?;
        let (name, partitions): (Arc<str>, _) = (topics[topic].name.as_str().into(), count.unsigned_abs());
        self.client.wait_topic(&name, partitions, self.role.within(PATIENCE_MS)).await?;
        self.role.stage.grown(topic, count);
        Ok(())
    }

    /// A setting that takes nothing from what is promised: stricter acknowledgements, or other segments. And where
    /// records may be lost or deleted anyway, whether and when they are.
    async fn flip(&self, mut draw: Draw, back: bool, files_only: bool) -> Result<(), CallError> {
        let setup = &self.role.stage.setup;
        let topic = draw.pick(&setup.topics);
        let own = judge::configs(&topic.log, &setup.contract);
        let strict = setup.contract.replication.to_string();
        let mut flips =
            vec![("min.insync.replicas", strict.as_str()), ("segment.bytes", "2048"), ("segment.ms", "500")];
        if setup.contract.unclean {
            flips.push(("unclean.leader.election.enable", "false"));
        }
        if setup.contract.retention {
            flips.extend([("retention.bytes", "-1"), ("retention.bytes", "600"), ("retention.ms", "100")]);
        }
        let (name, new) = *draw.pick(&flips[usize::from(files_only)..]);
        let old = own.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str());
        let value = if back { old } else { Some(new) };
        let change = [(name, value)];
        let asked = self.client.alter_configs(&topic.name, &change, self.role.within(PATIENCE_MS));
        self.role.noted(Call::Admin { api: ALTER_CONFIGS }, asked, |()| Reply::None).await
    }

    /// An attempt that fails midway is begun again: a topic that is gone already need not be deleted.
    async fn recreate(&self, mut draw: Draw) -> Result<(), CallError> {
        let topic = draw.pick(&self.role.stage.setup.topics);
        let asked = self.client.delete_topic(&topic.name, self.role.within(PATIENCE_MS));
        match self.role.noted(Call::Admin { api: DELETE_TOPICS }, asked, |()| Reply::None).await {
            Err(refused) if refused.code != UNKNOWN_TOPIC => return Err(refused),
            _ => {}
        }
        judge::make_topic(self.role, self.client, topic).await;
        Ok(())
    }
}
