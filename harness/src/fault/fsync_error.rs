//! The disk fails a fsync with EIO, once or until healed.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{DiskOp, Failing, Host, World};

pub(super) const FAULT: Fault =
    Fault { name: "fsync_error", about: "fsync fails with EIO, once or until healed", unit: "", inject };

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host, strike))
}

fn one(world: &mut dyn World, host: Host, strike: &Strike) -> Injected {
    let failing = if strike.salt.is_multiple_of(2) { Failing::Once } else { Failing::Always };
    let ticket = world.disk_fail(host, DiskOp::Sync, failing);
    Injected::new(format!("{} fsync fails {failing:?}", world.name(host)), move |w| {
        w.disk_mend(host, DiskOp::Sync, ticket);
    })
}
