//! Single requests and answers between brokers that arrive late, or never. A late request's connection stalls from there
//! on, and it arrives when nobody expects it any more; a lost one's is dead, and breaks in the end. What is answered late or
//! never has happened, and the asker does not know.

use super::frames::{between, every, in_words};
use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Frames, Host, World};

pub(super) const HOLD_REQUEST: Fault = fault(
    "hold_request",
    "a request that a host sends to another broker arrives late, after newer ones",
    |w, aim, strike| stop(w, aim, Fate::Late, |host, peer| between(host, peer, false, strike)),
);

pub(super) const HOLD_REQUESTS: Fault =
    fault("hold_requests", "every request of an API that a host sends to another arrives late", |w, aim, strike| {
        stop(w, aim, Fate::Late, |host, peer| every(host, peer, false, strike))
    });

pub(super) const HOLD_ANSWER: Fault =
    fault("hold_answer", "an answer that a host gives to another broker arrives late", |w, aim, strike| {
        stop(w, aim, Fate::Late, |host, peer| between(host, peer, true, strike))
    });

pub(super) const HOLD_ANSWERS: Fault =
    fault("hold_answers", "every answer of an API that a host gives to another arrives late", |w, aim, strike| {
        stop(w, aim, Fate::Late, |host, peer| every(host, peer, true, strike))
    });

pub(super) const DROP_REQUEST: Fault = fault(
    "drop_request",
    "a request that a host sends to another broker never arrives; the connection dies",
    |w, aim, strike| stop(w, aim, Fate::Lost, |host, peer| between(host, peer, false, strike)),
);

pub(super) const DROP_ANSWER: Fault = fault(
    "drop_answer",
    "an answer that a host gives to another never arrives; the connection dies",
    |w, aim, strike| stop(w, aim, Fate::Lost, |host, peer| between(host, peer, true, strike)),
);

type Inject = fn(&mut dyn World, &Aim, &Strike) -> Injected;

const fn fault(name: &'static str, about: &'static str, inject: Inject) -> Fault {
    Fault { name, about, unit: "(the API's key)", inject }
}

/// What becomes of the frames when the strike ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Late,
    Lost,
}

/// Stops the frames that `pick` names for each link, until the strike ends.
fn stop(world: &mut dyn World, aim: &Aim, fate: Fate, pick: impl Fn(Host, Host) -> Frames) -> Injected {
    aim.each_link(|host, peer| {
        let frames = pick(host, peer);
        let ticket = world.hold(frames);
        let word = if fate == Fate::Lost { "lost" } else { "held" };
        Injected::new(format!("{} {word}", in_words(world, &frames)), move |w| w.release(ticket, fate == Fate::Lost))
    })
}
