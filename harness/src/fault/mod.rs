//! THE table of faults: one file each, `inject` does the harm and returns its cure.

use std::time::Duration;

use crate::plan::Strike;
use crate::sim::{Host, World};

mod bit_flip;
mod client_crash;
mod clock_drift;
mod clock_jump;
mod cut;
mod cut_one_way;
mod disk_full;
mod disk_stall;
mod freeze;
mod fsync_error;
mod power_loss;
mod process_crash;
mod read_error;
mod reset_after_append;
mod slow_disk;
mod slow_link;
mod torn_tail;
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
    pub inject: fn(&mut dyn World, Aim, &Strike) -> Injected,
}

/// Whom a strike was resolved to.
#[derive(Clone, Copy, Debug)]
pub struct Aim {
    /// The host hit: a broker or a client, as the target says.
    pub host: Host,
    /// The other end, for faults of a link.
    pub peer: Host,
}

/// The cure of one strike.
pub type Heal = Box<dyn FnOnce(&mut dyn World)>;

/// What was done.
pub struct Injected {
    /// In words, with the numbers drawn.
    pub on: String,
    /// Undoes it.
    pub heal: Heal,
}

impl Injected {
    fn new(on: String, heal: impl FnOnce(&mut dyn World) + 'static) -> Self {
        Self { on, heal: Box::new(heal) }
    }
}

/// Every fault.
pub const ALL: &[Fault] = &[
    bit_flip::FAULT,
    client_crash::FAULT,
    clock_drift::FAULT,
    clock_jump::FAULT,
    cut::FAULT,
    cut_one_way::FAULT,
    disk_full::FAULT,
    disk_stall::FAULT,
    freeze::FAULT,
    fsync_error::FAULT,
    power_loss::FAULT,
    process_crash::FAULT,
    read_error::FAULT,
    reset_after_append::FAULT,
    slow_disk::FAULT,
    slow_link::FAULT,
    torn_tail::FAULT,
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
