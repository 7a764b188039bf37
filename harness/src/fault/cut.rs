//! Two hosts cannot reach each other; TCP retransmits after the cut.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Host, World};

pub(super) const FAULT: Fault =
    Fault { name: "cut", about: "nothing passes between two hosts, in either direction", unit: "", inject };

fn inject(world: &mut dyn World, aim: &Aim, _strike: &Strike) -> Injected {
    aim.each_link(|host, peer| one(world, host, peer))
}

fn one(world: &mut dyn World, host: Host, peer: Host) -> Injected {
    world.cut(host, peer);
    world.cut(peer, host);
    Injected::new(format!("{} <-x-> {}", world.name(host), world.name(peer)), move |w| {
        w.mend(host, peer);
        w.mend(peer, host);
    })
}
