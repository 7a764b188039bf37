//! An answer never arrives: what was asked has happened, and the asker must ask again.

use super::frames::{between, in_words};
use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::World;

pub(super) const FAULT: Fault = Fault {
    name: "drop_answer",
    about: "an answer that a host gives to another never arrives; the connection dies",
    unit: "(the API's key)",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_link(|host, peer| {
        let frames = between(host, peer, true, strike);
        let ticket = world.hold(frames);
        Injected::new(format!("{} lost", in_words(world, &frames)), move |w| w.release(ticket, true))
    })
}
