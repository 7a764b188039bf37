//! A world in which time flows for all nodes alike: messages take drawn milliseconds and arrive unless their link is cut.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::world::{Message, World};
use crate::env::Mono;
use crate::ids::Offset;
use crate::quorum::{Quorum, Tail};

pub(super) struct Calm {
    pub(super) world: World,
    /// What is on its way, by arrival.
    flying: BTreeMap<(Mono, u64), Message>,
    sent: u64,
    now: Mono,
    /// Links that lose everything, from and to.
    pub(super) cut: BTreeSet<(usize, usize)>,
}

impl Calm {
    pub(super) fn new(voters: u8, observers: u8) -> Self {
        Self::of(World::new(voters, observers, 7))
    }

    /// Goes on from a world whose nodes are up; what was on its way is lost, and all clocks agree from now on.
    pub(super) fn of(mut world: World) -> Self {
        world.network.clear();
        world.slow_writes = false;
        let now = world.nodes.iter().map(|node| node.clock).max().unwrap();
        for at in 0..world.nodes.len() {
            world.written(at);
        }
        Self { world, flying: BTreeMap::new(), sent: 0, now, cut: BTreeSet::new() }
    }

    /// Lets `millis` pass.
    pub(super) fn run_for(&mut self, millis: u64) {
        let until = self.now.after(Duration::from_millis(millis));
        while self.now < until {
            self.now = self.now.after(Duration::from_millis(1));
            self.millisecond();
        }
    }

    fn millisecond(&mut self) {
        for at in 0..self.world.nodes.len() {
            self.world.nodes[at].clock = self.now;
            self.world.flush(at);
            if self.world.nodes[at].wake.is_some_and(|wake| wake <= self.now) {
                self.world.wake(at);
            }
        }
        self.send();
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let message = entry.remove();
            self.world.deliver(message);
            self.send();
        }
        self.world.checks.logs(&self.world.nodes);
    }

    fn send(&mut self) {
        for message in std::mem::take(&mut self.world.network) {
            if self.cut.contains(&(World::at(message.from()), World::at(message.to()))) {
                continue;
            }
            self.sent += 1;
            let delay = Duration::from_millis(1 + self.sent * 7 % 5);
            self.flying.insert((self.now.after(delay), self.sent), message);
        }
    }

    /// Cuts all links of `node`, both ways.
    pub(super) fn isolate(&mut self, node: usize) {
        for other in 0..self.world.nodes.len() {
            self.cut.extend([(node, other), (other, node)]);
        }
    }

    pub(super) fn append(&mut self, node: usize) {
        assert!(self.world.append(node), "node {node} does not lead");
    }

    /// Where a node's log ends.
    pub(super) fn end(&self, node: usize) -> Offset {
        self.world.nodes[node].log.end().offset
    }

    pub(super) fn quorum(&self, node: usize) -> &Quorum {
        self.world.nodes[node].quorum.as_ref().expect("a node that is up")
    }

    pub(super) fn high_watermark(&self, node: usize) -> Offset {
        self.quorum(node).high_watermark()
    }

    /// Who leads the newest epoch that anyone leads.
    pub(super) fn leader(&self) -> Option<usize> {
        let led = |at: &usize| self.world.nodes[*at].quorum.as_ref().and_then(Quorum::leads);
        (0..self.world.nodes.len()).filter(|at| led(at).is_some()).max_by_key(led)
    }

    /// Waits, boundedly, until one node leads and all that are up follow it, and tells which.
    pub(super) fn settle(&mut self) -> usize {
        for _ in 0..200 {
            self.run_for(10);
            let Some(leader) = self.leader() else { continue };
            let known = self.quorum(leader).leader();
            if self.world.nodes.iter().filter_map(|node| node.quorum.as_ref()).all(|q| q.leader() == known) {
                return leader;
            }
        }
        panic!("no leader that all follow within two seconds, ten times the fetch timeout");
    }
}
