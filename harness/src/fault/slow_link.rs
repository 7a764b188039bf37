//! A link grows slow in both directions.

use super::{Aim, Fault, Injected, millis};
use crate::plan::Strike;
use crate::sim::{Host, World};

pub(super) const FAULT: Fault =
    Fault { name: "slow_link", about: "every message between two hosts takes longer", unit: "ms", inject };

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_link(|host, peer| one(world, (host, peer), strike))
}

fn one(world: &mut dyn World, (host, peer): (Host, Host), strike: &Strike) -> Injected {
    let extra = millis(strike);
    let (there, back) = (world.slow(host, peer, extra), world.slow(peer, host, extra));
    Injected::new(format!("{} <-> {} +{extra:?}", world.name(host), world.name(peer)), move |w| {
        w.hasten(host, peer, there);
        w.hasten(peer, host, back);
    })
}
