//! The disk stops answering for a while.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Host, World};

pub(super) const FAULT: Fault =
    Fault { name: "disk_stall", about: "the disk answers nothing until healed", unit: "", inject };

fn inject(world: &mut dyn World, aim: &Aim, _strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host))
}

fn one(world: &mut dyn World, host: Host) -> Injected {
    world.disk_stall(host);
    Injected::new(format!("{} disk stalled", world.name(host)), move |w| w.disk_resume(host))
}
