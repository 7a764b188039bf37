//! Random lives: messages late, lost, doubled and out of order; crashes that take unsynced tails and unwritten votes;
//! clocks that run as they like. Raft's properties hold after every step, and once all is healed there is a leader soon
//! and a new record commits.

use std::cell::RefCell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::calm::Calm;
use super::world::World;
use crate::ids::NodeId;
use crate::quorum::{Body, Request};

/// More wait on the network at no time: the oldest is lost.
const NETWORK: usize = 64;

#[derive(Clone, Debug)]
enum Act {
    /// The message that is `.0`-th (modulo) arrives.
    Deliver(usize),
    /// So many arrive, oldest first.
    Burst(usize),
    Duplicate(usize),
    /// It is lost; `told`: its sender learns so.
    Drop {
        which: usize,
        told: bool,
    },
    /// A node's clock runs to its next deadline.
    Wake(usize),
    Advance {
        node: usize,
        millis: u64,
    },
    /// Whoever leads gets a record; `.0`-th of them (modulo), if several believe that they lead.
    Append(usize),
    Flush(usize),
    Written(usize),
    Crash {
        node: usize,
        written: bool,
        power: bool,
    },
    Start(usize),
    Snapshot(usize),
    /// Whoever leads is asked to add or to remove a voter.
    Change {
        node: usize,
        add: bool,
    },
    /// Time flows for all alike, five milliseconds a round, and messages arrive, but none from or to nodes in `cut` (a bit
    /// for each).
    Flow {
        rounds: usize,
        cut: u8,
    },
}

fn acts(changes: bool) -> impl Strategy<Value = Vec<Act>> {
    let node = || any::<usize>();
    let yes = || any::<bool>();
    let act = prop_oneof![
        24 => node().prop_map(Act::Deliver),
        20 => (1usize..16).prop_map(Act::Burst),
        2 => node().prop_map(Act::Duplicate),
        6 => (node(), yes()).prop_map(|(which, told)| Act::Drop { which, told }),
        8 => node().prop_map(Act::Wake),
        3 => (node(), 1u64..400).prop_map(|(node, millis)| Act::Advance { node, millis }),
        8 => node().prop_map(Act::Append),
        8 => node().prop_map(Act::Flush),
        14 => node().prop_map(Act::Written),
        2 => (node(), yes(), yes()).prop_map(|(node, written, power)| Act::Crash { node, written, power }),
        4 => node().prop_map(Act::Start),
        2 => node().prop_map(Act::Snapshot),
        6 => (node(), yes()).prop_map(move |(node, add)| if changes { Act::Change { node, add } } else { Act::Append(node) }),
        5 => (1usize..60, any::<u8>(), any::<u8>()).prop_map(|(rounds, a, b)| Act::Flow { rounds, cut: a & b }),
    ];
    vec(act, 50..400)
}

fn apply(world: &mut World, act: &Act) {
    let nodes = world.nodes.len();
    let waiting = world.network.len();
    match *act {
        Act::Deliver(which) if waiting > 0 => {
            let message = world.network.remove(which % waiting);
            world.deliver(message);
        }
        Act::Burst(many) => {
            for _ in 0..many.min(waiting) {
                let message = world.network.remove(0);
                world.deliver(message);
            }
        }
        Act::Duplicate(which) if waiting > 0 => world.network.push(world.network[which % waiting].clone()),
        Act::Drop { which, told } if waiting > 0 => {
            let message = world.network.remove(which % waiting);
            if told {
                world.fail(&message);
            }
        }
        Act::Deliver(_) | Act::Duplicate(_) | Act::Drop { .. } => {}
        Act::Wake(node) => world.wake(node % nodes),
        Act::Advance { node, millis } => world.advance(node % nodes, millis),
        Act::Append(which) => {
            let leaders: Vec<usize> = (0..nodes).filter(|at| world.leads(*at)).collect();
            if !leaders.is_empty() {
                world.append(leaders[which % leaders.len()]);
            }
        }
        Act::Flush(node) => world.flush(node % nodes),
        Act::Written(node) => world.written(node % nodes),
        Act::Crash { node, written, power } => world.crash(node % nodes, written, power),
        Act::Start(node) => world.start(node % nodes),
        Act::Snapshot(node) => world.snapshot(node % nodes),
        Act::Change { node, add } => {
            let node = NodeId(i32::try_from(node % nodes).unwrap());
            let request = if add { Request::AddVoter(node) } else { Request::RemoveVoter(node) };
            if let Some(leader) = (0..nodes).find(|at| world.leads(*at)) {
                world.operate(leader, request);
            }
        }
        Act::Flow { rounds, cut } => flow(world, rounds, cut),
    }
    let waiting = world.network.len();
    world.network.drain(..waiting.saturating_sub(NETWORK));
}

fn flow(world: &mut World, rounds: usize, cut: u8) {
    let is_cut = |at: usize| cut & (1 << at) != 0;
    for _ in 0..rounds {
        for at in 0..world.nodes.len() {
            world.advance(at, 5);
            world.written(at);
        }
        for message in std::mem::take(&mut world.network) {
            if !is_cut(World::at(message.from())) && !is_cut(World::at(message.to())) {
                world.deliver(message);
            }
        }
    }
}

/// What happened in all cases together: a property that was never in danger is not shown.
#[derive(Debug, Default)]
struct Seen {
    leaders: usize,
    committed: usize,
    cuts: usize,
    snapshots: usize,
    changes: usize,
}

fn live(voters: u8, observers: u8, seed: u64, slow_writes: bool, acts: &[Act], seen: &mut Seen) {
    let mut world = World::new(voters, observers, seed);
    world.slow_writes = slow_writes;
    for act in acts {
        apply(&mut world, act);
        world.checks.logs(&world.nodes);
    }
    seen.leaders += world.checks.leaders.len();
    seen.committed += world.checks.committed.len();
    seen.cuts += world.checks.cuts;
    seen.snapshots += world.checks.snapshots;
    seen.changes += world.operated.iter().filter(|body| matches!(body, Body::Voters(Ok(())))).count();

    for node in 0..world.nodes.len() {
        world.start(node);
    }
    let mut calm = Calm::of(world);
    // A leader from before may still find out that it has lost its followers: the clocks have jumped.
    calm.run_for(1000);
    let leader = calm.settle();
    calm.append(leader);
    let (led, end) = (calm.quorum(leader).leader(), calm.end(leader));
    calm.run_for(500);
    assert_eq!(calm.quorum(leader).leader(), led, "a leader falls though nothing is broken");
    for node in 0..calm.world.nodes.len() {
        assert!(calm.high_watermark(node) >= end, "node {node} has not committed a record of the healed quorum");
    }
}

fn lives(voters: u8, observers: u8, changes: bool) {
    let mut runner = TestRunner::new_with_rng(
        Config { cases: Config::default().cases.max(1), failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let seen = RefCell::new(Seen::default());
    let result = runner.run(&(any::<u64>(), any::<bool>(), acts(changes)), |(seed, slow, acts)| {
        live(voters, observers, seed, slow, &acts, &mut seen.borrow_mut());
        Ok(())
    });
    if let Err(failed) = result {
        panic!("{failed}");
    }
    let seen = seen.into_inner();
    println!("{voters} voters, {observers} observers: {seen:?}");
    assert!(!changes || seen.changes > 50, "vacuous: {seen:?}");
    assert!(seen.leaders > 100 && seen.committed > 100 && seen.cuts > 20 && seen.snapshots > 5, "vacuous: {seen:?}");
}

#[test]
fn three_voters_keep_their_promises() {
    lives(3, 0, false);
}

#[test]
fn three_voters_and_an_observer_keep_their_promises() {
    lives(3, 1, false);
}

#[test]
fn five_voters_keep_their_promises() {
    lives(5, 0, false);
}

#[test]
fn voters_that_come_and_go_keep_their_promises() {
    lives(3, 2, true);
}
