//! Where new partitions go.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::error::ResponseError;
use proptest::prelude::*;

use super::super::image::{Image, PartitionState};
use super::super::plan::{self, NewTopic};
use super::super::record::MetadataRecord;
use super::{broker, counting, fold, id, settings};
use crate::ids::NodeId;

fn create(image: &Image, partitions: i32, replication: i16) -> Result<Vec<PartitionState>, ResponseError> {
    let new = NewTopic { name: "t".into(), partitions, replication, ..NewTopic::default() };
    let records = plan::create(image, &settings(), &new, id(1), &mut counting()).map_err(|denied| denied.error)?;
    let state = |record| match record {
        MetadataRecord::Partition { state, .. } => Some(state),
        _ => None,
    };
    Ok(records.into_iter().filter_map(state).collect())
}

#[test]
fn there_must_be_brokers_enough_and_one_that_can_lead() {
    let image = fold(&[broker(1, None, false), broker(2, None, true)]);
    let led = create(&image, 1, 2).unwrap();
    assert_eq!((led[0].leader, &led[0].replicas[..]), (Some(NodeId(1)), &[NodeId(1), NodeId(2)][..]));
    assert_eq!(led[0].in_sync, [NodeId(1)], "a fenced replica is not in sync");
    for replication in [3, 0, -2] {
        assert_eq!(create(&image, 1, replication), Err(ResponseError::InvalidReplicationFactor));
    }
    for brokers in [vec![], vec![broker(1, None, true)]] {
        assert_eq!(create(&fold(&brokers), 1, 1), Err(ResponseError::InvalidReplicationFactor));
    }
    // One on its way out takes nothing.
    let (node, epoch) = (NodeId(1), 101);
    let leaving = MetadataRecord::BrokerChange { node, epoch, fenced: None, shutting_down: Some(true) };
    let image = fold(&[broker(1, None, false), broker(2, None, false), leaving]);
    assert!(create(&image, 4, 1).unwrap().iter().all(|state| state.leader == Some(NodeId(2))));
    assert_eq!(create(&image, 1, 2), Err(ResponseError::InvalidReplicationFactor));
}

#[test]
fn what_a_client_places_itself_is_led_by_the_first_that_is_alive() {
    let image = fold(&[broker(1, None, true), broker(2, None, false), broker(3, None, true)]);
    let placed = |assignments: Vec<(i32, Vec<i32>)>| {
        let new = NewTopic { name: "t".into(), partitions: -1, replication: -1, assignments, ..NewTopic::default() };
        plan::create(&image, &settings(), &new, id(1), &mut counting()).map_err(|denied| denied.error)
    };
    let records = placed(vec![(0, vec![1, 2])]).unwrap();
    assert!(matches!(&records[1], MetadataRecord::Partition { state, .. } if state.leader == Some(NodeId(2))));
    let bad = [vec![(0, vec![1, 3])], vec![(0, vec![2]), (1, vec![2, 1])], vec![(0, vec![2, 2])], vec![(0, vec![])]];
    for assignments in bad {
        assert_eq!(placed(assignments.clone()), Err(ResponseError::InvalidReplicaAssignment), "{assignments:?}");
    }
}

proptest! {
    #[test]
    fn replicas_are_spread_over_brokers_and_racks(
        brokers in prop::collection::vec((prop::option::of(0u8..3), prop::bool::weighted(0.2)), 1..9),
        partitions in 1i32..20,
        replication in 1usize..5,
    ) {
        let names = brokers.iter().map(|(rack, _)| rack.map(|rack| rack.to_string()));
        let racks: BTreeMap<NodeId, Option<String>> = (0..).map(NodeId).zip(names).collect();
        let records: Vec<MetadataRecord> =
            (0..).zip(&brokers).map(|(node, (_, fenced))| broker(node, racks[&NodeId(node)].as_deref(), *fenced)).collect();
        let image = fold(&records);
        let all_alive = brokers.iter().all(|(_, fenced)| !fenced);
        let possible = replication <= brokers.len() && brokers.iter().any(|(_, fenced)| !fenced);
        let made = create(&image, partitions, i16::try_from(replication).unwrap());
        prop_assert_eq!(made.is_ok(), possible);
        let mut led: BTreeMap<NodeId, usize> = BTreeMap::new();
        for state in made.unwrap_or_default() {
            let distinct: BTreeSet<&NodeId> = state.replicas.iter().collect();
            prop_assert_eq!(distinct.len(), replication);
            prop_assert!(image.is_active(state.replicas[0]) && state.leader == Some(state.replicas[0]));
            let in_racks: BTreeSet<&Option<String>> = state.replicas.iter().map(|node| &racks[node]).collect();
            let many = racks.values().collect::<BTreeSet<_>>().len();
            prop_assert!(!all_alive || in_racks.len() == many.min(replication), "{:?} in {:?}", state.replicas, racks);
            *led.entry(state.replicas[0]).or_default() += 1;
        }
        if all_alive && possible && racks.values().all(Option::is_none) {
            let most = led.values().max().copied().unwrap_or(0);
            prop_assert!(most <= usize::try_from(partitions).unwrap().div_ceil(brokers.len()), "{:?}", led);
        }
    }
}
