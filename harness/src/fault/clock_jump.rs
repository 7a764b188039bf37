//! A wall clock jumps, forward or back.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Host, World};

pub(super) const FAULT: Fault = Fault { name: "clock_jump", about: "the wall clock jumps", unit: "ms at most", inject };

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host, strike))
}

fn one(world: &mut dyn World, host: Host, strike: &Strike) -> Injected {
    let size = i64::try_from(strike.force).unwrap_or(i64::MAX);
    let jump = if strike.salt.is_multiple_of(2) { size } else { -size };
    world.clock_jump(host, jump);
    Injected::new(format!("{} clock {jump:+} ms", world.name(host)), move |w| w.clock_jump(host, -jump))
}
