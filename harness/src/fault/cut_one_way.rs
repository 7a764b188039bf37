//! One direction of a link is dead: requests arrive and answers do not, or the reverse.

use super::{Aim, Fault, Injected};
use crate::plan::Strike;
use crate::sim::{Host, World};

pub(super) const FAULT: Fault = Fault {
    name: "cut_one_way",
    about: "nothing passes from one host to another; the way back is open",
    unit: "",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    aim.each_link(|host, peer| one(world, (host, peer), strike))
}

fn one(world: &mut dyn World, (host, peer): (Host, Host), strike: &Strike) -> Injected {
    let (from, to) = if strike.salt.is_multiple_of(2) { (host, peer) } else { (peer, host) };
    world.cut(from, to);
    Injected::new(format!("{} -x-> {}", world.name(from), world.name(to)), move |w| w.mend(from, to))
}
