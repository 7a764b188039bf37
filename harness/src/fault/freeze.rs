//! A host stands still: a stop-the-world pause, a suspended machine.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Host, World};

pub(super) const FAULT: Fault =
    Fault { name: "freeze", about: "links hold what they carry and the disk stalls", unit: "", inject };

fn inject(world: &mut dyn World, aim: &Aim, _strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host))
}

fn one(world: &mut dyn World, host: Host) -> Injected {
    world.freeze(host);
    Injected::new(format!("{} frozen", world.name(host)), move |w| w.thaw(host))
}
