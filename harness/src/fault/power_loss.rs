//! The power goes: what was not synced is lost, kept or torn, by draw.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::seed::Seed;
use crate::sim::{Crash, Host, Unsynced, World};

pub(super) const FAULT: Fault = Fault {
    name: "power_loss",
    about: "the power goes; unsynced data is lost, kept or torn",
    unit: "(0: by draw, 1: lost, 2: kept, 3: torn)",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host, strike))
}

fn one(world: &mut dyn World, host: Host, strike: &Strike) -> Injected {
    let fates = [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn];
    let given = usize::try_from(strike.force).ok().and_then(|force| fates.get(force.checked_sub(1)?)).copied();
    let fate = given.unwrap_or_else(|| *Seed::new(strike.salt).draw().pick(&fates));
    world.crash(host, Crash::Power(fate));
    Injected::new(format!("{} loses power, unsynced data {fate:?}", world.name(host)), move |w| w.start(host))
}
