//! The power goes in the middle of a write: each unsynced sector survives or not by itself.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Crash, Host, Unsynced, World};

pub(super) const FAULT: Fault = Fault {
    name: "torn_tail",
    about: "the power goes; every unsynced 512-byte sector survives or not by itself",
    unit: "",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, _strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host))
}

fn one(world: &mut dyn World, host: Host) -> Injected {
    world.crash(host, Crash::Power(Unsynced::Torn));
    Injected::new(format!("{} loses power, unsynced data torn", world.name(host)), move |w| w.start(host))
}
