//! No harm: a step of a recipe that says in the history that what it waited for has come.

use super::{Aim, Fault, Injected};
use crate::plan::{Strike, Trigger};
use crate::recipe::in_words;
use crate::sim::World;

pub(super) const FAULT: Fault =
    Fault { name: "witness", about: "harms nobody: what a recipe waited for has come", unit: "", inject };

fn inject(_world: &mut dyn World, _aim: &Aim, strike: &Strike) -> Injected {
    let waits = if let Trigger::Then { waits } = &strike.trigger { waits.as_slice() } else { &[] };
    Injected::new(format!("seen: {}", in_words(waits)), |_| {})
}
