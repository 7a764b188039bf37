//! What an operator does to a cluster at work: each is an order to the run's administrator, who is a client like others.

use super::{Aim, Fault, Injected};
use crate::order::Order;
use crate::plan::Strike;
use crate::sim::World;

pub(super) const REASSIGN: Fault = Fault {
    name: "reassign",
    about: "a partition's replicas are given to other brokers, or to the same in another order",
    unit: "",
    inject: |world, _: &Aim, strike| order(world, Order::Reassign { salt: strike.salt }, "a reassignment"),
};

pub(super) const EXPAND: Fault = Fault {
    name: "expand",
    about: "a topic is given one more partition",
    unit: "",
    inject: |world, _: &Aim, strike| order(world, Order::Expand { salt: strike.salt }, "one more partition"),
};

pub(super) const MOVE_VOTE: Fault = Fault {
    name: "move_vote",
    about: "a broker that does not vote on metadata is given the vote of another that does",
    unit: "",
    inject: |world, _: &Aim, strike| order(world, Order::MoveVote { salt: strike.salt }, "another voter"),
};

pub(super) const RECREATE: Fault = Fault {
    name: "delete_and_recreate",
    about: "a topic is deleted and made anew under its old name",
    unit: "",
    inject: |world, _: &Aim, strike| order(world, Order::Recreate { salt: strike.salt }, "a topic anew"),
};

pub(super) const ELECT_PREFERRED: Fault = Fault {
    name: "elect_preferred",
    about: "the preferred replicas are asked to lead again",
    unit: "",
    inject: |world, _: &Aim, _: &Strike| order(world, Order::ElectPreferred, "the preferred leaders"),
};

pub(super) const REWIND: Fault = Fault {
    name: "rewind_group",
    about: "a group's members are sent away, its offsets are set back to a time, and they come again",
    unit: "",
    inject: |world, _: &Aim, strike| order(world, Order::Rewind { salt: strike.salt }, "a group's way back"),
};

pub(super) const CONFIG_FLIP: Fault = Fault {
    name: "config_flip",
    about: "a setting of a topic is changed, and changed back when cured",
    unit: "(1: only of how its log is kept)",
    inject: |world, _: &Aim, strike| {
        let (salt, files_only) = (strike.salt, strike.force > 0);
        world.order(Order::Flip { salt, back: false, files_only });
        let back = Order::Flip { salt, back: true, files_only };
        Injected::new("a changed setting is ordered".into(), move |w| w.order(back))
    },
};

fn order(world: &mut dyn World, order: Order, what: &str) -> Injected {
    world.order(order);
    Injected::new(format!("{what} is ordered"), |_| {})
}
