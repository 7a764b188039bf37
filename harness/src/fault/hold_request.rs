//! A request is on its way for long: its connection stalls from there on, and it arrives when nobody expects it any more.

use super::frames::{between, every, in_words};
use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Frames, Host, World};

pub(super) const FAULT: Fault = Fault {
    name: "hold_request",
    about: "a request that a host sends to another broker arrives late, after newer ones",
    unit: "(the API's key)",
    inject: |world, aim, strike| inject(world, aim, strike, between),
};

pub(super) const EVERY: Fault = Fault {
    name: "hold_requests",
    about: "every request of an API that a host sends to another arrives late",
    unit: "(the API's key)",
    inject: |world, aim, strike| inject(world, aim, strike, every),
};

/// Picks frames from a host to another; true: answers.
type Pick = fn(Host, Host, bool, &Strike) -> Frames;

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike, pick: Pick) -> Injected {
    aim.each_link(|host, peer| {
        let frames = pick(host, peer, false, strike);
        let ticket = world.hold(frames);
        Injected::new(format!("{} held", in_words(world, &frames)), move |w| w.release(ticket, false))
    })
}
