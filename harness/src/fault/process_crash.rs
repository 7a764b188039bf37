//! The process dies; the machine and its page cache live on.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Crash, Host, World};

pub(super) const FAULT: Fault = Fault {
    name: "process_crash",
    about: "the process dies at once; what it wrote stays in the page cache",
    unit: "",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, _strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host))
}

fn one(world: &mut dyn World, host: Host) -> Injected {
    world.crash(host, Crash::Process);
    Injected::new(format!("{} killed", world.name(host)), move |w| w.start(host))
}
