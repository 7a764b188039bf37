//! One bit of a stored record batch flips at rest.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Host, World};

pub(super) const FAULT: Fault =
    Fault { name: "bit_flip", about: "a stored bit flips in a segment file", unit: "", inject };

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host, strike))
}

fn one(world: &mut dyn World, host: Host, strike: &Strike) -> Injected {
    let on = match world.disk_flip(host, ".log", strike.salt) {
        Some(place) => format!("{} {place}", world.name(host)),
        None => String::from(super::PASSED),
    };
    Injected::new(on, |_| {})
}
