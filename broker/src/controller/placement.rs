//! Where the replicas of new partitions go: spread over brokers and racks as Kafka's `StripedReplicaPlacer` does it.
//!
//! Racks take turns, and so do the brokers of each, both from a drawn start. A fenced broker is taken only where its
//! rack has no other left, and never as the first replica: that one leads. Brokers on their way out take nothing.

use std::collections::BTreeMap;

use super::image::Image;
use crate::ids::NodeId;

/// Brokers that take turns: each round begins one later.
#[derive(Debug, Default)]
struct Ring {
    brokers: Vec<NodeId>,
    offset: usize,
    taken: usize,
}

impl Ring {
    fn begin_round(&mut self) {
        self.taken = 0;
        self.offset = (self.offset + 1) % self.brokers.len().max(1);
    }

    fn next(&mut self) -> Option<NodeId> {
        if self.taken >= self.brokers.len() {
            return None;
        }
        let at = (self.offset + self.taken) % self.brokers.len();
        self.taken += 1;
        Some(self.brokers[at])
    }
}

#[derive(Debug, Default)]
struct Rack {
    unfenced: Ring,
    fenced: Ring,
}

/// Places partitions, one after another.
pub(super) struct Placer {
    racks: Vec<Rack>,
    /// The rack that the next partition begins with.
    offset: usize,
    /// Partitions placed since the brokers were last shuffled.
    placed: usize,
    unfenced: usize,
    total: usize,
}

impl Placer {
    pub fn new(image: &Image, draw: &mut dyn FnMut() -> u64) -> Self {
        let mut racks: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        let (mut unfenced, mut total) = (0, 0);
        for broker in image.brokers().filter(|broker| !broker.shutting_down) {
            let rack = racks.entry(broker.rack.as_deref()).or_default();
            let ring = if broker.fenced { &mut rack.fenced } else { &mut rack.unfenced };
            ring.brokers.push(broker.node);
            unfenced += usize::from(!broker.fenced);
            total += 1;
        }
        let mut racks: Vec<Rack> = racks.into_values().collect();
        for ring in racks.iter_mut().flat_map(|rack| [&mut rack.unfenced, &mut rack.fenced]) {
            ring.offset = below(draw, ring.brokers.len());
        }
        let offset = below(draw, racks.len());
        Self { racks, offset, placed: 0, unfenced, total }
    }

    /// Why partitions of `replicas` replicas cannot be placed, if they cannot.
    pub fn refuses(&self, replicas: usize) -> Option<String> {
        let Self { unfenced, total, .. } = self;
        match () {
            () if *unfenced == 0 => Some("All brokers are currently fenced.".into()),
            () if replicas > *total => {
                let only = format!("cannot be reached because only {total} broker(s) are registered.");
                Some(format!("The target replication factor of {replicas} {only}"))
            }
            () => None,
        }
    }

    /// The replicas of the next partition: `replicas` brokers, at least one of them unfenced and first. It must not have
    /// been refused.
    pub fn place(&mut self, replicas: usize, draw: &mut dyn FnMut() -> u64) -> Vec<NodeId> {
        if self.placed == self.unfenced && self.unfenced > 1 {
            self.shuffle(draw);
        }
        for ring in self.racks.iter_mut().flat_map(|rack| [&mut rack.unfenced, &mut rack.fenced]) {
            ring.begin_round();
        }
        let count = self.racks.len();
        let mut placed = Vec::with_capacity(replicas);
        let first = (0..count).map(|n| (self.offset + n) % count).find_map(|at| {
            placed.push(self.racks[at].unfenced.next()?);
            Some(at)
        });
        // The rack that gave the first replica has had its turn in the first time round.
        let turns = (0..count).map(|n| (self.offset + n) % count).filter(|at| Some(*at) != first);
        let all = (0..replicas).flat_map(|_| (0..count).map(|n| (self.offset + n) % count));
        let turns: Vec<usize> = turns.chain(all).collect();
        for at in turns {
            if placed.len() >= replicas {
                break;
            }
            let rack = &mut self.racks[at];
            placed.extend(rack.unfenced.next().or_else(|| rack.fenced.next()));
        }
        self.placed += 1;
        self.offset = (self.offset + 1) % count.max(1);
        placed
    }

    /// So that the same replica sets do not come again and again.
    fn shuffle(&mut self, draw: &mut dyn FnMut() -> u64) {
        shuffle(&mut self.racks, draw);
        for ring in self.racks.iter_mut().flat_map(|rack| [&mut rack.unfenced, &mut rack.fenced]) {
            shuffle(&mut ring.brokers, draw);
        }
        self.placed = 0;
    }
}

/// A number below `bound`, 0 if that is 0. The bias is one in 2^64 over `bound`.
fn below(draw: &mut dyn FnMut() -> u64, bound: usize) -> usize {
    if bound < 2 { 0 } else { usize::try_from(draw() % bound as u64).unwrap_or(0) }
}

/// Fisher and Yates.
fn shuffle<T>(items: &mut [T], draw: &mut dyn FnMut() -> u64) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(draw, last + 1));
    }
}
