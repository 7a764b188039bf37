//! Brokers lose every other broker; with force also their clients, so that nobody can reach them.

use super::cuts::Cuts;
use super::{Aim, Fault, Injected, names};
use crate::plan::Strike;
use crate::sim::World;

pub(super) const FAULT: Fault = Fault {
    name: "isolate",
    about: "hosts cannot reach, or be reached by, any broker outside their side",
    unit: "(1: nor any client)",
    inject,
};

fn inject(world: &mut dyn World, aim: &Aim, strike: &Strike) -> Injected {
    let cuts = Cuts::default();
    let clients = if strike.force > 0 { world.clients() } else { Vec::new() };
    for host in &aim.hosts {
        cuts.apart(world, *host, &aim.peers);
        cuts.apart(world, *host, &clients);
    }
    let from = if strike.force > 0 { "everyone" } else { "the other brokers" };
    Injected::new(format!("{} cut off from {from}", names(world, &aim.hosts)), move |w| cuts.mend(w))
}
