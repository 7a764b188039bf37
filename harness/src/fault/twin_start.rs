//! The same broker twice: a second process with the same node id starts on a copy of the disk, as a restored backup or a
//! machine thought dead does. One of the two is to be fenced, and neither to undo what the other has promised.

use std::time::Duration;

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Crash, Host, World};

pub(super) const FAULT: Fault = Fault {
    name: "twin_start",
    about: "a second process of the same broker starts on a copy of its disk",
    unit: "ms from the copy to the start",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host, strike))
}

fn one(world: &mut dyn World, host: Host, strike: &Strike) -> Injected {
    let Some(twin) = world.twin(host).filter(|twin| !world.up(*twin)) else { return Injected::passed() };
    world.copy_disk(host, twin);
    let after = Duration::from_millis(strike.force);
    let on = format!("{} is started again as {} after {after:?}", world.name(host), world.name(twin));
    Injected::new(on, move |w| w.crash(twin, Crash::Process)).then(after, move |w| w.start(twin))
}
