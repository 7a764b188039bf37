//! The hosts of a run and who lives on them.

use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use broker::config::{BrokerConfig, ProcessRoles};
use broker::env::Disk;
use broker::group::OFFSETS_TOPIC;
use broker::ids::{NodeId, TopicPartition};
use broker::log::checkpoint;

use crate::app::{self, Crew};
use crate::group_load::MOST_MEMBERS;
use crate::history::Kind;
use crate::scenario::Setup;
use crate::seed::Seed;
use crate::sim::env::SimEnv;
use crate::sim::turmoil::{HostSpec, Main, SimWorld, WorldSpec};
use crate::sim::{Crash, Host, World};
use crate::workload::{Part, Role};

use super::Stage;

/// The simulator's clock moves in steps of this.
const TICK: Duration = Duration::from_millis(1);
/// A broker that halts by itself is started again after this, as by a supervisor.
const RESTART: Duration = Duration::from_millis(300);
/// The port every broker listens on.
const PORT: u16 = 9092;

/// What one process of a host does.
pub type Life = Pin<Box<dyn Future<Output = ()>>>;

/// A reader's own client under the run's plan: called each time its host starts.
#[derive(Clone)]
pub struct Guest(pub Rc<dyn Fn(SimEnv, Rc<Stage>) -> Life>);

/// Builds the world of a run: its brokers, and the load's clients spread over its hosts.
pub(super) fn assemble(setup: Setup, seed: Seed, guest: Option<Guest>) -> (SimWorld, Rc<Stage>) {
    let brokers = setup.contract.brokers.max(1);
    let bootstrap = (0..brokers).map(address).collect();
    let latency = (Duration::from_millis(setup.latency_ms.0), Duration::from_millis(setup.latency_ms.1));
    let mut world = SimWorld::new(WorldSpec { seed: seed.split("world", 0), tick: TICK, latency, split: true });
    let stage = Rc::new(Stage::new(setup, seed.split("load", 0), world.tape(), bootstrap, world.orders()));
    for tp in &stage.partitions {
        // In this order, so that a partition's number in the history is its place in the stage's list.
        stage.tape.tp(tp);
    }
    for number in 0..brokers {
        let config = config(&stage.setup, number, name(number));
        world.add(HostSpec::broker(name(number), config.node_id, Some(RESTART), broker_main(config)));
    }
    for number in brokers..brokers + stage.setup.controllers {
        let config = config(&stage.setup, number, controller_name(number));
        let (name, id) = (controller_name(number), config.node_id);
        world.add(HostSpec::controller(name, id, Some(RESTART), broker_main(config)));
    }
    if stage.setup.twin {
        let name = format!("{}-twin", name(brokers - 1));
        let config = config(&stage.setup, brokers - 1, name.clone());
        world.add(HostSpec::twin(name, config.node_id, broker_main(config)));
    }
    for host in 0..stage.setup.load.hosts.max(1) {
        let stage = stage.clone();
        let name = format!("client-{host}");
        world.add(HostSpec::client(name, Rc::new(move |env| Box::pin(client_main(env, stage.clone(), host)))));
    }
    for number in (0..).take(stage.setup.apps.len()) {
        let stage = stage.clone();
        let main = move |env| -> Life { Box::pin(app_main(env, stage.clone(), number)) };
        world.add(HostSpec::client(app::host(number), Rc::new(main)));
    }
    if let Some(Guest(main)) = guest {
        let stage = stage.clone();
        world.add(HostSpec::client("guest".into(), Rc::new(move |env| main(env, stage.clone()))));
    }
    (world, stage)
}

/// The name of broker `number`'s host.
fn name(number: u32) -> String {
    format!("broker-{number}")
}

/// The name of the host of node `number`, which is a controller alone.
fn controller_name(number: u32) -> String {
    format!("controller-{number}")
}

fn address(number: u32) -> String {
    format!("{}:{PORT}", name(number))
}

fn node(number: u32) -> NodeId {
    NodeId(i32::try_from(number).unwrap_or(i32::MAX))
}

/// The settings of node `number` on that host. In a cluster every broker is a voter, unless only some are or controllers
/// are nodes of their own, and knows the others; a broker alone is its own quorum, and names nobody.
fn config(setup: &Setup, number: u32, host: String) -> BrokerConfig {
    let contract = &setup.contract;
    let count = if setup.voters == 0 { contract.brokers } else { setup.voters };
    let apart = contract.brokers..contract.brokers + setup.controllers;
    let voters = match contract.brokers {
        _ if setup.controllers > 0 => apart.map(|n| (node(n), format!("{}:{PORT}", controller_name(n)))).collect(),
        0 | 1 => Vec::new(),
        _ => (0..count).map(|n| (node(n), address(n))).collect(),
    };
    let process_roles = match setup.controllers {
        0 => ProcessRoles::Combined,
        _ if number < contract.brokers => ProcessRoles::Broker,
        _ => ProcessRoles::Controller,
    };
    let mut log = setup.broker.log.clone();
    if contract.groups > 0 {
        // What is promised of the topics is promised of the one that the groups' coordinators write to.
        (log.flush, log.min_insync_replicas) = (contract.flush, contract.min_insync);
    }
    BrokerConfig {
        log,
        node_id: node(number),
        cluster_id: "simulated".into(),
        listen: format!("{host}:{PORT}"),
        advertised_host: Some(host),
        rack: number.checked_rem(setup.racks).map(|rack| format!("rack-{rack}")),
        voters,
        process_roles,
        default_replication_factor: i16::try_from(contract.replication).unwrap_or(1),
        ..setup.broker.clone()
    }
}

fn broker_main(config: BrokerConfig) -> Main {
    Rc::new(move |env| {
        let (env, config) = (env.clone(), config.clone());
        Box::pin(async move {
            let halted = env.clone();
            let asked = env.clone();
            let stop = async move { asked.asked_to_stop().await };
            if let Err(e) = broker::node::serve(env, config, stop).await {
                use broker::env::Env;
                halted.halt(&format!("the broker cannot serve: {e}"));
            }
        })
    })
}

/// The clients of one host: the load's parts dealt round-robin, and the judge on the first.
async fn client_main(env: SimEnv, stage: Rc<Stage>, host: u32) {
    use broker::env::Env;
    let load = &stage.setup.load;
    let hosts = load.hosts.max(1);
    let counts = [
        (Part::Judge, 1),
        (Part::Producer, load.producers),
        (Part::Tailer, load.tailers),
        (Part::Replayer, load.replayers),
        (Part::Seeker, load.seekers),
        (Part::Deleter, load.deleters),
        (Part::Admin, u32::from(stage.setup.contract.clustered())),
    ];
    let counts = counts.into_iter().flat_map(|(part, count)| (0..count).map(move |n| (part, n)));
    let groups = (0..).zip(&load.groups);
    let members = groups.flat_map(|(group, load)| (0..load.members).map(move |n| group * MOST_MEMBERS + n));
    for (part, n) in counts.chain(members.map(|n| (Part::Member, n))) {
        if n % hosts == host {
            let role = begins(&env, &stage, part, n);
            env.spawn("client", role.play(part, n));
        }
    }
    std::future::pending::<()>().await;
}

/// A client in the process that begins.
fn begins(env: &SimEnv, stage: &Rc<Stage>, part: Part, n: u32) -> Role<SimEnv> {
    let (number, incarnation) = (part.number(n), part.life(env.incarnation()));
    if let Some(before) = incarnation.checked_sub(1) {
        // What its last process had asked for, nobody waits for any more.
        stage.tape.note(Kind::Quit { client: number, incarnation: before });
    }
    Role { env: env.clone(), stage: stage.clone(), number, incarnation }
}

/// One application: all members of its group live in one process.
async fn app_main(env: SimEnv, stage: Rc<Stage>, number: u32) {
    let app = &stage.setup.apps[number as usize];
    let role = |n| begins(&env, &stage, Part::App, number * MOST_MEMBERS + n);
    let members = (0..app.group.members).map(role).collect();
    let (group, load, sender) = (stage.setup.group_of(number), app.group.clone(), role(app.group.members));
    (app.play)(Crew { app: number, group, load, members, sender }).await;
    std::future::pending::<()>().await;
}

/// Stops every broker and states what its files hold. The error says which files could not be read.
pub(super) fn audit(world: &mut SimWorld, stage: &Stage) -> Result<(), String> {
    let brokers: Vec<_> = world.brokers().into_iter().zip(0..).collect();
    for (host, _) in &brokers {
        world.crash(*host, Crash::Process);
    }
    let live = stage.live();
    for (at, tp) in stage.partitions.iter().enumerate().filter(|(at, tp)| live.contains(at) || is_own(tp)) {
        let mut held = 0;
        for (host, number) in &brokers {
            held += u32::from(audit_one(world, stage, (*host, node(*number)), tp)?);
        }
        if held == 0 && live.contains(&at) {
            return Err(format!("no broker has a directory of {tp}"));
        }
    }
    Ok(())
}

/// Whether the brokers write to it themselves, which they do only once a group was looked for.
fn is_own(tp: &TopicPartition) -> bool {
    *tp.topic == *OFFSETS_TOPIC
}

/// What one broker's files hold of one partition. False if it holds none of it.
fn audit_one(
    world: &SimWorld,
    stage: &Stage,
    (host, node): (Host, NodeId),
    tp: &TopicPartition,
) -> Result<bool, String> {
    let (disk, incarnation, directory) = (world.disk(host), world.incarnation(host), tp.to_string());
    if !disk.exists(&directory) {
        return Ok(false);
    }
    let starts = checkpoint::read(&disk, checkpoint::LOG_STARTS).unwrap_or_default();
    let start = starts.get(tp).copied().unwrap_or(0);
    let recycles = stage.setup.broker.log.recycle_segments > 0;
    let fact = broker::log::audit(&disk, &directory, tp.clone(), start, recycles)
        .map_err(|e| format!("the files of {tp} on {node} cannot be read: {e}"))?;
    stage.tape.note(Kind::Fact { node, incarnation, tp: Some(stage.tape.tp(tp)), fact });
    Ok(true)
}
