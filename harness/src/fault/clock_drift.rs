//! A clock runs fast or slow.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Host, World};

pub(super) const FAULT: Fault =
    Fault { name: "clock_drift", about: "both clocks run fast or slow", unit: "ppm", inject };

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host, strike))
}

fn one(world: &mut dyn World, host: Host, strike: &Strike) -> Injected {
    let size = i64::try_from(strike.force).unwrap_or(i64::MAX);
    let ppm = if strike.salt.is_multiple_of(2) { size } else { -size };
    let ticket = world.clock_drift(host, ppm);
    Injected::new(format!("{} clock {ppm:+} ppm", world.name(host)), move |w| w.clock_steady(host, ticket))
}
