//! Two hosts cannot reach each other; TCP retransmits after the cut.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::World;

pub(super) const FAULT: Fault =
    Fault { name: "cut", about: "nothing passes between two hosts, in either direction", unit: "", inject };

fn inject(world: &mut dyn World, aim: Aim, _strike: &Strike) -> Injected {
    world.cut(aim.host, aim.peer);
    world.cut(aim.peer, aim.host);
    Injected::new(format!("{} <-x-> {}", world.name(aim.host), world.name(aim.peer)), move |w| {
        w.mend(aim.host, aim.peer);
        w.mend(aim.peer, aim.host);
    })
}
