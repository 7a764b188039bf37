//! Directed cases: one behaviour each, on a network that works unless the case says otherwise.

use super::calm::Calm;
use crate::ids::NodeId;
use crate::quorum::{Body, ElectionState, Input, OffsetAndEpoch, Part, Refused, Request};

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

#[test]
fn a_leader_cut_off_resigns_and_the_others_go_on() {
    let mut calm = Calm::new(3, 0);
    let old = calm.settle();
    calm.isolate(old);
    // 1.5 fetch timeouts, and the time its last fetch took.
    calm.run_for(320);
    assert!(!calm.world.leads(old), "it has not heard from a majority");
    calm.run_for(400);
    let new = calm.leader().expect("the majority elects another");
    calm.append(new);
    calm.run_for(50);
    assert_eq!(calm.high_watermark(new), calm.end(new));
    calm.cut.clear();
    assert_eq!(calm.settle(), new, "who comes back asks first (pre-vote), and disturbs nobody");
}

#[test]
fn a_follower_cut_off_and_back_raises_no_epoch() {
    let mut calm = Calm::new(3, 0);
    let leader = calm.settle();
    let known = calm.quorum(leader).leader();
    calm.isolate((leader + 1) % 3);
    calm.run_for(3000);
    calm.cut.clear();
    calm.run_for(1000);
    assert_eq!(calm.quorum(leader).leader(), known);
    assert_eq!(calm.settle(), leader);
}

#[test]
fn a_follower_that_hears_all_but_its_leader_cannot_depose_it() {
    let mut calm = Calm::new(3, 0);
    let leader = calm.settle();
    let known = calm.quorum(leader).leader();
    let other = (leader + 1) % 3;
    calm.cut.extend([(leader, other), (other, leader)]);
    calm.run_for(3000);
    assert_eq!(calm.quorum(leader).leader(), known);
}

#[test]
fn a_leader_restarted_does_not_lead_its_epoch_again() {
    for voters in [1, 3] {
        let mut calm = Calm::new(voters, 0);
        let leader = calm.settle();
        let (epoch, _) = calm.quorum(leader).leader();
        calm.run_for(100);
        calm.world.crash(leader, true, true);
        calm.world.start(leader);
        assert_ne!(calm.quorum(leader).leads(), Some(epoch));
        let new = calm.settle();
        assert!(calm.quorum(new).leader().0 > epoch);
    }
}

#[test]
fn the_last_epoch_there_is_is_not_believed() {
    let mut calm = Calm::new(3, 0);
    let leader = calm.settle();
    let (known, other) = (calm.quorum(leader).leader(), (leader + 1) % 3);
    let last = calm.quorum(other).clone().election.epoch;
    for epoch in [i32::MAX, i32::MAX - 1, last + (1 << 20) + 1] {
        let position = OffsetAndEpoch { offset: 1 << 40, epoch };
        for request in [
            Request::Vote { pre_vote: false, epoch, last: position },
            Request::Vote { pre_vote: true, epoch, last: position },
            Request::BeginQuorumEpoch { epoch },
            Request::EndQuorumEpoch { epoch, preferred: Vec::new() },
        ] {
            calm.world.feed(other, Input::Asked { from: NodeId(9), ticket: u64::MAX, request });
        }
    }
    calm.run_for(1000);
    assert_eq!(calm.quorum(calm.leader().unwrap()).leader(), known);
}

#[test]
fn who_resigns_is_followed_at_once_by_who_had_most() {
    let mut calm = Calm::new(3, 0);
    let old = calm.settle();
    calm.run_for(100);
    calm.world.feed(old, Input::Resign);
    calm.run_for(40);
    let new = calm.leader().expect("well before any election timeout");
    assert_ne!(new, old);
}

#[test]
fn an_observer_finds_the_new_leader() {
    let mut calm = Calm::new(3, 1);
    let old = calm.settle();
    calm.world.crash(old, true, true);
    calm.run_for(1500);
    let new = calm.leader().expect("two of three");
    let known = calm.quorum(new).leader();
    assert_eq!(calm.quorum(3).leader(), known);
    assert_eq!(calm.quorum(3).role().part, Part::Follower(known.1.unwrap()));
}

#[test]
fn who_lags_behind_the_log_start_gets_the_snapshot() {
    let mut calm = Calm::new(3, 0);
    let leader = calm.settle();
    let lagging = (leader + 1) % 3;
    calm.isolate(lagging);
    for _ in 0..10 {
        calm.append(leader);
        calm.run_for(20);
    }
    calm.world.snapshot(leader);
    calm.cut.clear();
    calm.append(leader);
    calm.run_for(300);
    assert_eq!(calm.world.nodes[lagging].log.start, 11);
    assert_eq!(calm.high_watermark(lagging), 12);
    assert_eq!(calm.world.checks.snapshots, 1);
}

#[test]
fn an_observer_that_has_caught_up_becomes_a_voter_and_the_leader_may_leave() {
    let mut calm = Calm::new(3, 1);
    let leader = calm.settle();
    let id = |at: usize| NodeId(i32::try_from(at).unwrap());
    calm.run_for(100);
    calm.world.operate(leader, Request::RemoveVoter(id(3)));
    calm.world.operate(leader, Request::AddVoter(id(leader)));
    calm.world.operate(leader, Request::AddVoter(NodeId(9)));
    calm.world.operate(leader, Request::AddVoter(id(3)));
    calm.world.operate(leader, Request::RemoveVoter(id(leader)));
    calm.run_for(100);
    calm.world.operate(leader, Request::RemoveVoter(id(leader)));
    calm.run_for(500);
    let refused = |why| Body::Voters(Err(why));
    let answers = [
        refused(Refused::NotFound),
        refused(Refused::Duplicate),
        refused(Refused::Behind),
        refused(Refused::Busy),
        Body::Voters(Ok(())),
        Body::Voters(Ok(())),
    ];
    assert_eq!(calm.world.operated, answers);
    let new = calm.settle();
    assert_ne!(new, leader);
    assert_eq!(calm.quorum(new).voters().iter().copied().collect::<Vec<_>>(), {
        (0..4).filter(|at| *at != leader).map(id).collect::<Vec<_>>()
    });
    assert_eq!(calm.quorum(leader).role().part, Part::Follower(id(new)), "it observes now");
}

#[test]
fn an_election_file_reads_back() {
    let state = ElectionState { epoch: 3, leader: None, voted: Some(NodeId(2)) };
    let text = serde_json::to_string(&state).unwrap();
    assert_eq!(text, r#"{"epoch":3,"leader":null,"voted":2}"#);
    assert_eq!(serde_json::from_str::<ElectionState>(&text).unwrap(), state);
}
