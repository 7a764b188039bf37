//! A link grows slow in both directions.

use std::time::Duration;

use super::{Aim, Fault, Injected, millis};
use crate::plan::Strike;
use crate::sim::World;

pub(super) const FAULT: Fault =
    Fault { name: "slow_link", about: "every message between two hosts takes longer", unit: "ms", inject };

fn inject(world: &mut dyn World, aim: Aim, strike: &Strike) -> Injected {
    let extra = millis(strike);
    world.slow(aim.host, aim.peer, extra);
    world.slow(aim.peer, aim.host, extra);
    Injected::new(format!("{} <-> {} +{extra:?}", world.name(aim.host), world.name(aim.peer)), move |w| {
        w.slow(aim.host, aim.peer, Duration::ZERO);
        w.slow(aim.peer, aim.host, Duration::ZERO);
    })
}
