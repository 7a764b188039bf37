//! THE table of faults: one file each, `inject` does the harm and returns its cure.

use std::time::Duration;

use crate::plan::Strike;
use crate::sim::{Host, World};

mod bit_flip;
mod client_crash;
mod clock_drift;
mod clock_jump;
mod control;
mod cut;
mod cut_one_way;
mod cuts;
mod disk_full;
mod disk_stall;
mod frames;
mod freeze;
mod fsync_error;
mod graceful_stop;
mod isolate;
mod late_or_lost;
mod power_loss;
mod process_crash;
mod read_error;
mod repeat_request;
mod reset_after_append;
mod ring_cut;
mod rolling_restart;
mod slow_disk;
mod slow_link;
mod swizzle;
#[cfg(test)]
mod tests;
mod torn_tail;
mod twin_start;
mod wipe;
mod witness;
mod write_error;

/// A kind of harm.
pub struct Fault {
    /// Its name in plans and menus.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// The unit of [`Strike::force`]; empty if it has none.
    pub unit: &'static str,
    /// Does the harm.
    pub inject: fn(&mut dyn World, &Aim, &Strike) -> Injected,
}

/// Whom a strike was resolved to.
#[derive(Clone, Debug)]
pub struct Aim {
    /// The hosts hit, brokers or clients, as the target says: at least one, unless that is nobody.
    pub hosts: Vec<Host>,
    /// The other ends, for faults of links.
    pub peers: Vec<Host>,
}

impl Aim {
    /// One strike on each host.
    fn each_host(&self, one: impl FnMut(Host) -> Injected) -> Injected {
        Injected::all(self.hosts.iter().copied().map(one))
    }

    /// One strike on each link from a host to a peer.
    fn each_link(&self, mut one: impl FnMut(Host, Host) -> Injected) -> Injected {
        let links = self.hosts.iter().flat_map(|host| self.peers.iter().map(move |peer| (*host, *peer)));
        Injected::all(links.filter(|(host, peer)| host != peer).map(|(host, peer)| one(host, peer)))
    }
}

/// The cure of one strike.
pub type Heal = Box<dyn FnOnce(&mut dyn World)>;

/// What a strike goes on to do: so many nanoseconds after it began, unless it was cured before.
pub type Step = (u64, Box<dyn FnOnce(&mut dyn World)>);

/// What was done.
pub struct Injected {
    /// In words, with the numbers drawn.
    pub on: String,
    /// What comes later, in order.
    pub steps: Vec<Step>,
    /// Undoes it, however many of the steps were taken.
    pub heal: Heal,
}

impl Injected {
    fn new(on: String, heal: impl FnOnce(&mut dyn World) + 'static) -> Self {
        Self { on, steps: Vec::new(), heal: Box::new(heal) }
    }

    /// There was nothing to harm.
    fn passed() -> Self {
        Self::new(PASSED.into(), |_| {})
    }

    /// Goes on to do `step`, `after` so long.
    fn then(mut self, after: Duration, step: impl FnOnce(&mut dyn World) + 'static) -> Self {
        self.steps.push((u64::try_from(after.as_nanos()).unwrap_or(u64::MAX), Box::new(step)));
        self
    }

    /// Several at once, as one. Those that found nothing to harm are left out.
    fn all(each: impl Iterator<Item = Injected>) -> Self {
        let each: Vec<Injected> = each.filter(|one| one.on != PASSED).collect();
        if each.is_empty() {
            return Self::passed();
        }
        let on = each.iter().map(|one| one.on.as_str()).collect::<Vec<_>>().join(", ");
        let (mut steps, mut heals) = (Vec::new(), Vec::new());
        for one in each {
            steps.extend(one.steps);
            heals.push(one.heal);
        }
        steps.sort_by_key(|(after, _)| *after);
        let heal = Box::new(move |w: &mut dyn World| heals.into_iter().for_each(|heal| heal(w)));
        Self { on, steps, heal }
    }
}

/// Every fault.
pub const ALL: &[Fault] = &[
    bit_flip::FAULT,
    client_crash::FAULT,
    clock_drift::FAULT,
    clock_jump::FAULT,
    control::CONFIG_FLIP,
    control::ELECT_PREFERRED,
    control::EXPAND,
    control::MOVE_VOTE,
    control::REASSIGN,
    control::RECREATE,
    control::REWIND,
    cut::FAULT,
    cut_one_way::FAULT,
    disk_full::FAULT,
    disk_stall::FAULT,
    late_or_lost::DROP_ANSWER,
    late_or_lost::DROP_REQUEST,
    freeze::FAULT,
    fsync_error::FAULT,
    graceful_stop::FAULT,
    late_or_lost::HOLD_ANSWER,
    late_or_lost::HOLD_ANSWERS,
    late_or_lost::HOLD_REQUEST,
    late_or_lost::HOLD_REQUESTS,
    isolate::FAULT,
    power_loss::FAULT,
    process_crash::FAULT,
    read_error::FAULT,
    repeat_request::FAULT,
    reset_after_append::FAULT,
    ring_cut::FAULT,
    rolling_restart::FAULT,
    slow_disk::FAULT,
    slow_link::FAULT,
    swizzle::FAULT,
    torn_tail::FAULT,
    twin_start::FAULT,
    wipe::FAULT,
    witness::FAULT,
    write_error::FAULT,
];

/// The fault of that name.
pub fn find(name: &str) -> Option<&'static Fault> {
    ALL.iter().find(|f| f.name == name)
}

/// What a strike that found nothing to harm says of itself.
pub const PASSED: &str = "passed: nothing there to harm";

/// A strike's force as milliseconds.
fn millis(strike: &Strike) -> Duration {
    Duration::from_millis(strike.force)
}

/// Hosts by name.
fn names(world: &dyn World, hosts: &[Host]) -> String {
    hosts.iter().map(|host| world.name(*host)).collect::<Vec<_>>().join(", ")
}
