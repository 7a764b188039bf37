//! A broker is asked to stop, and stays down until cured: it hands over what it leads, and need not recover.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Crash, Host, World};

pub(super) const FAULT: Fault =
    Fault { name: "graceful_stop", about: "the process is asked to stop, as by SIGTERM", unit: "", inject };

fn inject(world: &mut dyn World, aim: &Aim, _strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host))
}

fn one(world: &mut dyn World, host: Host) -> Injected {
    world.stop(host);
    Injected::new(format!("{} asked to stop", world.name(host)), move |w| {
        // A process that has not ended by now is killed, as by a supervisor.
        if w.stopping(host) {
            w.crash(host, Crash::Process);
        }
        w.start(host);
    })
}
