//! A request is on its way for long: its connection stalls from there on, and it arrives when nobody expects it any more.

use super::frames::{between, in_words};
use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::World;

pub(super) const FAULT: Fault = Fault {
    name: "hold_request",
    about: "a request that a host sends to another broker arrives late, after newer ones",
    unit: "(the API's key)",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_link(|host, peer| {
        let frames = between(host, peer, false, strike);
        let ticket = world.hold(frames);
        Injected::new(format!("{} held", in_words(world, &frames)), move |w| w.release(ticket, false))
    })
}
