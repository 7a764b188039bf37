//! A client dies with requests open; it starts again as a new incarnation.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Crash, Host, World};

pub(super) const FAULT: Fault =
    Fault { name: "client_crash", about: "a client process dies with its requests open", unit: "", inject };

fn inject(world: &mut dyn World, aim: &Aim, _strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host))
}

fn one(world: &mut dyn World, host: Host) -> Injected {
    world.crash(host, Crash::Process);
    Injected::new(format!("{} killed", world.name(host)), move |w| w.start(host))
}
