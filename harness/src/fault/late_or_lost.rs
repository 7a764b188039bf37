//! Single requests and answers between brokers that arrive late, or never. A late request's connection stalls from there
//! on, and it arrives when nobody expects it any more; a lost one's is dead, and breaks in the end. What is answered late or
//! never has happened, and the asker does not know.

use super::frames::{between, every, in_words};
use super::{Aim, Fault, Injected};
use crate::sim::{Frames, Host, World};

const UNIT: &str = "(the API's key)";

pub(super) const HOLD_REQUEST: Fault = Fault {
    name: "hold_request",
    about: "a request that a host sends to another broker arrives late, after newer ones",
    unit: UNIT,
    inject: |world, aim, strike| hold(world, aim, |host, peer| between(host, peer, false, strike)),
};

pub(super) const HOLD_REQUESTS: Fault = Fault {
    name: "hold_requests",
    about: "every request of an API that a host sends to another arrives late",
    unit: UNIT,
    inject: |world, aim, strike| hold(world, aim, |host, peer| every(host, peer, false, strike)),
};

pub(super) const HOLD_ANSWER: Fault = Fault {
    name: "hold_answer",
    about: "an answer that a host gives to another broker arrives late",
    unit: UNIT,
    inject: |world, aim, strike| hold(world, aim, |host, peer| between(host, peer, true, strike)),
};

pub(super) const HOLD_ANSWERS: Fault = Fault {
    name: "hold_answers",
    about: "every answer of an API that a host gives to another arrives late",
    unit: UNIT,
    inject: |world, aim, strike| hold(world, aim, |host, peer| every(host, peer, true, strike)),
};

pub(super) const DROP_REQUEST: Fault = Fault {
    name: "drop_request",
    about: "a request that a host sends to another broker never arrives; the connection dies",
    unit: UNIT,
    inject: |world, aim, strike| lose(world, aim, |host, peer| between(host, peer, false, strike)),
};

pub(super) const DROP_ANSWER: Fault = Fault {
    name: "drop_answer",
    about: "an answer that a host gives to another never arrives; the connection dies",
    unit: UNIT,
    inject: |world, aim, strike| lose(world, aim, |host, peer| between(host, peer, true, strike)),
};

fn hold(world: &mut dyn World, aim: &Aim, pick: impl Fn(Host, Host) -> Frames) -> Injected {
    stop(world, aim, pick, "held", false)
}

fn lose(world: &mut dyn World, aim: &Aim, pick: impl Fn(Host, Host) -> Frames) -> Injected {
    stop(world, aim, pick, "lost", true)
}

/// Stops the frames that `pick` names for each link, until the strike ends: then they go on their way, or are `lost`.
fn stop(world: &mut dyn World, aim: &Aim, pick: impl Fn(Host, Host) -> Frames, word: &str, lost: bool) -> Injected {
    aim.each_link(|host, peer| {
        let frames = pick(host, peer);
        let ticket = world.hold(frames);
        Injected::new(format!("{} {word}", in_words(world, &frames)), move |w| w.release(ticket, lost))
    })
}
