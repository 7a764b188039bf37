//! The cuts that one strike has made: cuts nest, so each is mended exactly once, whenever its strike is cured.

use std::cell::RefCell;
use std::rc::Rc;

use crate::sim::{Host, World};

/// Links cut, as (from, to). A clone is the same list.
#[derive(Clone, Default)]
pub(super) struct Cuts(Rc<RefCell<Vec<(Host, Host)>>>);

impl Cuts {
    /// Cuts one direction.
    pub(super) fn one_way(&self, world: &mut dyn World, from: Host, to: Host) {
        world.cut(from, to);
        self.0.borrow_mut().push((from, to));
    }

    /// Cuts both directions between `host` and each other host.
    pub(super) fn apart(&self, world: &mut dyn World, host: Host, others: &[Host]) {
        for other in others.iter().filter(|other| **other != host) {
            self.one_way(world, host, *other);
            self.one_way(world, *other, host);
        }
    }

    /// Mends what was cut by [`Cuts::apart`] for this host.
    pub(super) fn rejoin(&self, world: &mut dyn World, host: Host, others: &[Host]) {
        for other in others.iter().filter(|other| **other != host) {
            for (from, to) in [(host, *other), (*other, host)] {
                let at = self.0.borrow().iter().position(|link| *link == (from, to));
                if let Some(at) = at {
                    self.0.borrow_mut().remove(at);
                    world.mend(from, to);
                }
            }
        }
    }

    /// Mends everything.
    pub(super) fn mend(self, world: &mut dyn World) {
        for (from, to) in self.0.take() {
            world.mend(from, to);
        }
    }
}
