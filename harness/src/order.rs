//! What the run's administrator is asked to do to the cluster while it works.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// A change of the cluster. Whom and how it concerns is drawn by its `salt`, from what the cluster is like when the
/// administrator comes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Gives a partition's replicas to other brokers, or to the same in another order (KIP-455).
    Reassign {
        /// Draws the partition and the brokers.
        salt: u64,
    },
    /// Adds a partition to a topic that may grow.
    Expand {
        /// Draws the topic.
        salt: u64,
    },
    /// Changes a setting of a topic that takes nothing from its promises, or back.
    Flip {
        /// Draws the topic and the setting.
        salt: u64,
        /// Whether to set it back to what the run began with.
        back: bool,
        /// Only of how its log is kept, not of how many must have a record.
        files_only: bool,
    },
    /// Deletes a topic and makes one of the same name.
    Recreate {
        /// Draws the topic.
        salt: u64,
    },
    /// Gives the vote on metadata to a broker that has none, and takes it from another: as many vote as before (KIP-853).
    MoveVote {
        /// Draws both.
        salt: u64,
    },
    /// Has the preferred replicas lead again.
    ElectPreferred,
    /// Sends the members of a group away, sets its offsets back to a time, and lets them come again.
    Rewind {
        /// Draws the group and the time.
        salt: u64,
    },
}

/// The orders that nobody has taken up yet. A clone is the same queue; faults bound it, there are few in a plan.
#[derive(Clone, Debug, Default)]
pub struct Orders(Rc<RefCell<VecDeque<Order>>>);

impl Orders {
    /// One more.
    pub fn put(&self, order: Order) {
        self.0.borrow_mut().push_back(order);
    }

    /// The oldest.
    pub fn take(&self) -> Option<Order> {
        self.0.borrow_mut().pop_front()
    }
}
