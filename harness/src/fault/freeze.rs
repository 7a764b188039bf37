//! A host stands still: a stop-the-world pause, a suspended machine.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::World;

pub(super) const FAULT: Fault =
    Fault { name: "freeze", about: "links hold what they carry and the disk stalls", unit: "", inject };

fn inject(world: &mut dyn World, aim: Aim, _strike: &Strike) -> Injected {
    world.freeze(aim.host);
    Injected::new(format!("{} frozen", world.name(aim.host)), move |w| w.thaw(aim.host))
}
