//! The disk grows slow.

use super::{Aim, Fault, Injected, millis};
use crate::plan::Strike;
use crate::sim::{Host, World};

pub(super) const FAULT: Fault = Fault { name: "slow_disk", about: "every sync takes longer", unit: "ms", inject };

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host, strike))
}

fn one(world: &mut dyn World, host: Host, strike: &Strike) -> Injected {
    let extra = millis(strike);
    let ticket = world.disk_slow(host, extra);
    Injected::new(format!("{} disk +{extra:?}", world.name(host)), move |w| w.disk_hasten(host, ticket))
}
