//! Requests between brokers are delivered twice, the second time late and on another connection.

use std::time::Duration;

use super::frames::{between, in_words};
use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::seed::Seed;
use crate::sim::{Frames, World};

pub(super) const FAULT: Fault = Fault {
    name: "repeat_request",
    about: "requests that a host sends to another broker are delivered once more, later",
    unit: "(the API's key)",
    inject,
};

/// The second delivery comes this much later at most, in milliseconds.
const LATEST_MS: u64 = 1500;

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    let after = Duration::from_millis(Seed::new(strike.salt).split("repeat", 0).draw().below(LATEST_MS));
    aim.each_link(|host, peer| {
        let frames = Frames { most: 3, ..between(host, peer, false, strike) };
        let ticket = world.repeat(frames, after);
        let on = format!("{} delivered again after {after:?}", in_words(world, &frames));
        Injected::new(on, move |w| w.release(ticket, false))
    })
}
