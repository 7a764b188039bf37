//! Time in which this node heard nobody because it did not listen: it stood still, or was busy with its disk. What peers
//! sent meanwhile lies unread, so that their silence says nothing about them.

use std::time::Duration;

use super::state::{Fetching, State};
use super::{Quorum, Step};

impl Quorum {
    /// Does not count the last `by` against anyone: whatever would end by silence ends so much later.
    pub(super) fn excuse(&mut self, step: &Step<'_>, by: Duration) {
        self.patience = self.patience.after(by);
        if let Some(Fetching::Asked { until, .. } | Fetching::Snapshot { until, .. }) = self.state.fetching() {
            *until = until.after(by);
        }
        match &mut self.state {
            State::Leader(leading) => {
                leading.peers.values_mut().for_each(|peer| peer.contact = peer.contact.after(by).min(step.now));
            }
            State::Follower(following) => {
                following.contact = following.contact.map(|contact| contact.after(by).min(step.now));
            }
            _ => {}
        }
    }
}
