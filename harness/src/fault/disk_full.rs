//! The disk fills up.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Host, World};

pub(super) const FAULT: Fault =
    Fault { name: "disk_full", about: "writes fail with ENOSPC", unit: "bytes left", inject };

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host, strike))
}

fn one(world: &mut dyn World, host: Host, strike: &Strike) -> Injected {
    let ticket = world.disk_room(host, strike.force);
    Injected::new(format!("{} disk full after {} bytes", world.name(host), strike.force), move |w| {
        w.disk_grow(host, ticket);
    })
}
