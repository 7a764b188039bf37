//! A machine is replaced: the broker comes back with nothing on its data disk.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Host, World};

pub(super) const FAULT: Fault = Fault {
    name: "wipe",
    about: "the broker dies and its data disk with it; it starts on an empty one",
    unit: "",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, _strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host))
}

fn one(world: &mut dyn World, host: Host) -> Injected {
    world.wipe(host);
    Injected::new(format!("{} dies, its disk is gone", world.name(host)), move |w| w.start(host))
}
