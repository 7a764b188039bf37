//! The disk stops answering for a while.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::World;

pub(super) const FAULT: Fault =
    Fault { name: "disk_stall", about: "the disk answers nothing until healed", unit: "", inject };

fn inject(world: &mut dyn World, aim: Aim, _strike: &Strike) -> Injected {
    world.disk_stall(aim.host);
    Injected::new(format!("{} disk stalled", world.name(aim.host)), move |w| w.disk_resume(aim.host))
}
