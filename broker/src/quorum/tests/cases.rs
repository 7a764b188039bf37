//! Directed cases: one behaviour each, on a network that works unless the case says otherwise.

use super::calm::Calm;
use crate::ids::NodeId;
use crate::quorum::Part;

#[test]
fn a_lone_voter_leads_at_once() {
    let mut calm = Calm::new(1, 0);
    assert_eq!(calm.leader(), Some(0));
    calm.append(0);
    calm.run_for(1);
    assert_eq!(calm.high_watermark(0), 2);
}

#[test]
fn three_elect_one_and_replicate() {
    let mut calm = Calm::new(3, 1);
    let leader = calm.settle();
    calm.append(leader);
    calm.run_for(100);
    for node in 0..4 {
        assert_eq!(calm.high_watermark(node), 2, "node {node}");
    }
    let observer = calm.world.nodes[3].quorum.as_ref().unwrap();
    assert_eq!(observer.role().part, Part::Follower(NodeId(i32::try_from(leader).unwrap())));
}
