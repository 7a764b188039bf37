//! A request never arrives: its connection is dead from there on, and breaks in the end.

use super::frames::{between, in_words};
use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::World;

pub(super) const FAULT: Fault = Fault {
    name: "drop_request",
    about: "a request that a host sends to another broker never arrives; the connection dies",
    unit: "(the API's key)",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_link(|host, peer| {
        let frames = between(host, peer, false, strike);
        let ticket = world.hold(frames);
        Injected::new(format!("{} lost", in_words(world, &frames)), move |w| w.release(ticket, true))
    })
}
