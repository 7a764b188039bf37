//! An operator's restart: brokers stop in their own time and start again, one after the other.

use std::time::Duration;

use super::{Aim, Fault, Injected, names};
use crate::plan::Strike;
use crate::sim::{Crash, Host, World};

pub(super) const FAULT: Fault = Fault {
    name: "rolling_restart",
    about: "brokers are stopped cleanly and started again, one after the other",
    unit: "",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    let hosts = aim.hosts.clone();
    let turns = u32::try_from(hosts.len()).unwrap_or(1).max(1);
    let slot = Duration::from_millis(strike.duration_ms) / turns;
    let mut injected = Injected::new(format!("{} restarted in turn", names(world, &hosts)), {
        let hosts = hosts.clone();
        move |w| hosts.into_iter().for_each(|host| back(w, host))
    });
    for (host, turn) in hosts.into_iter().zip(0..) {
        injected = injected
            .then(slot * turn, move |w| w.stop(host))
            // A process that has not ended by then is killed, as by a supervisor.
            .then(slot * turn + slot / 2, move |w| back(w, host));
    }
    injected
}

fn back(world: &mut dyn World, host: Host) {
    if world.stopping(host) {
        world.crash(host, Crash::Process);
    }
    world.start(host);
}
