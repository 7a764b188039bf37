//! FoundationDB's swizzle-clogging: hosts are cut off one by one, and come back one by one in another order.

use std::time::Duration;

use super::cuts::Cuts;
use super::{Aim, Fault, Injected, names};
use crate::plan::Strike;
use crate::seed::Seed;
use crate::sim::{Host, World};

pub(super) const FAULT: Fault = Fault {
    name: "swizzle",
    about: "hosts are cut off from the other brokers one by one, and come back in another order",
    unit: "",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    let cuts = Cuts::default();
    let mut draw = Seed::new(strike.salt).split("swizzle", 0).draw();
    let (out, back) = (shuffled(&aim.hosts, &mut draw), shuffled(&aim.hosts, &mut draw));
    let on = format!("{} cut off one by one, back as {}", names(world, &out), names(world, &back));
    let brokers = world.brokers();
    // The first goes at once, the last comes back with the cure.
    let gap = Duration::from_millis(strike.duration_ms) / u32::try_from(2 * out.len()).unwrap_or(1).max(1);
    let mut injected = Injected::new(on, {
        let cuts = cuts.clone();
        move |w| cuts.mend(w)
    });
    for (host, turn) in out.into_iter().zip(0..) {
        let (cuts, brokers) = (cuts.clone(), brokers.clone());
        injected = injected.then(gap * turn, move |w| cuts.apart(w, host, &brokers));
    }
    for (host, turn) in back.into_iter().zip(u32::try_from(aim.hosts.len()).unwrap_or(0)..) {
        let (cuts, brokers) = (cuts.clone(), brokers.clone());
        injected = injected.then(gap * turn, move |w| cuts.rejoin(w, host, &brokers));
    }
    injected
}

fn shuffled(hosts: &[Host], draw: &mut crate::seed::Draw) -> Vec<Host> {
    let mut left = hosts.to_vec();
    let mut order = Vec::new();
    while !left.is_empty() {
        order.push(left.remove(usize::try_from(draw.below(left.len() as u64)).unwrap_or(0)));
    }
    order
}
