//! What breaks clusters: three brokers, their replicas and their controller.

pub(crate) mod leader_crash;

use harness::scenario::Scenario;

/// Every scenario of a cluster, in the order they are listed and swept.
pub const ALL: &[Scenario] = &[leader_crash::SCENARIO];
