//! Where replicas go: spread evenly over brokers, and over racks first (`StripedReplicaPlacer.java`).

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;

use super::image::{Broker, Image};
use super::plan::{Denied, denied};
use crate::ids::NodeId;

/// Places `count` partitions of `factor` replicas each. `turn` moves on with the partitions there are, so that the first
/// broker does not lead everything.
pub(super) fn spread(image: &Image, turn: usize, count: usize, factor: i16) -> Result<Vec<Vec<NodeId>>, Denied> {
    let (brokers, racks) = striped(image);
    let wanted = usize::try_from(factor).unwrap_or(0);
    if wanted == 0 || wanted > brokers.len() {
        let message = format!(
            "Unable to replicate the partition {factor} time(s): there are {} brokers that are not fenced.",
            brokers.len()
        );
        return denied(ResponseError::InvalidReplicationFactor, message);
    }
    let at = |place: usize| brokers[place % brokers.len()];
    // A full turn shifts who follows whom, so that the load of a failed broker falls on all others; but neighbours are
    // of different racks.
    let turns = if racks > 1 { 1 } else { brokers.len().saturating_sub(1).max(1) };
    let shift = |partition: usize| (partition / brokers.len()) % turns;
    let replicas = |partition: usize| {
        let others = brokers.len() - 1;
        let follower = |n: usize| at(partition + 1 + (shift(partition) + n) % others.max(1));
        std::iter::once(at(partition)).chain((0..wanted - 1).map(follower)).collect()
    };
    Ok((turn..turn + count).map(replicas).collect())
}

/// The brokers that are not fenced, one of each rack in turn; and how many racks there are.
fn striped(image: &Image) -> (Vec<NodeId>, usize) {
    let mut racks: BTreeMap<Option<&str>, Vec<NodeId>> = BTreeMap::new();
    for broker in image.brokers().filter(|broker| Broker::is_active(broker)) {
        racks.entry(broker.rack.as_deref()).or_default().push(broker.node);
    }
    let longest = racks.values().map(Vec::len).max().unwrap_or(0);
    let brokers = (0..longest).flat_map(|row| racks.values().filter_map(move |rack| rack.get(row).copied()));
    (brokers.collect(), racks.len())
}
