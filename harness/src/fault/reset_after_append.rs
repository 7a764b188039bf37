//! The acknowledgement is lost: the connection is reset after the append and before the response.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Host, World};

/// The API key of Produce.
const PRODUCE: i16 = 0;

pub(super) const FAULT: Fault = Fault {
    name: "reset_after_append",
    about: "the connection dies between the append and the response",
    unit: "th produce request",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_host(|host| one(world, host, strike))
}

fn one(world: &mut dyn World, host: Host, strike: &Strike) -> Injected {
    let nth = u32::try_from(strike.force.max(1)).unwrap_or(u32::MAX);
    let ticket = world.reset_after(host, PRODUCE, nth);
    Injected::new(format!("{} resets produce request {nth} before answering", world.name(host)), move |w| {
        w.forget_reset(host, ticket);
    })
}
