//! Every broker can still speak to one other and listen to one: nobody is alone, and no two agree on who is there.

use super::cuts::Cuts;
use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::World;

pub(super) const FAULT: Fault = Fault {
    name: "ring_cut",
    about: "each broker reaches only the next one in a ring; nothing passes backwards",
    unit: "",
    inject,
};

fn inject(world: &mut dyn World, _aim: &Aim, strike: &Strike) -> Injected {
    let mut ring = world.brokers();
    if ring.len() < 3 {
        return Injected::passed();
    }
    if !strike.salt.is_multiple_of(2) {
        ring.reverse();
    }
    let cuts = Cuts::default();
    for (at, host) in ring.iter().enumerate() {
        let next = ring[(at + 1) % ring.len()];
        for other in ring.iter().filter(|other| *other != host && **other != next) {
            cuts.one_way(world, *host, *other);
        }
    }
    let names: Vec<String> = ring.iter().map(|host| world.name(*host)).collect();
    Injected::new(format!("only {} -> {}", names.join(" -> "), names[0]), move |w| cuts.mend(w))
}
