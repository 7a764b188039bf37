//! One machine, driven by hand where the exact order of two events matters.

use std::collections::BTreeSet;
use std::time::Duration;

use super::log::MemLog;
use super::world::settings;
use crate::env::Mono;
use crate::ids::NodeId;
use crate::quorum::{
    Answer, Body, Effect, ElectionState, Fetched, Input, OffsetAndEpoch, Part, Quorum, Request, Standing,
};

/// Of three voters, this one; it has one record of epoch 1, and epoch 1 is over.
struct Hand {
    quorum: Quorum,
    log: MemLog,
    now: Mono,
}

impl Hand {
    fn new() -> Self {
        let log = MemLog { entries: vec![(1, 1)], flushed: 1, ..MemLog::default() };
        let stored = Some(ElectionState { epoch: 1, leader: None, voted: None });
        let voters: BTreeSet<NodeId> = (0..3).map(NodeId).collect();
        let quorum = Quorum::new(settings(NodeId(0), voters), Mono(0), stored, &log, &mut || 0);
        Self { quorum, log, now: Mono(0) }
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.quorum.step(self.now, input, &self.log, &mut || 0, &mut effects);
        effects
    }

    /// Passes the time, wins pre-vote and vote with node 1, and appends the leader-change record.
    fn lead(&mut self) {
        self.now = self.now.after(Duration::from_millis(100));
        let mut effects = self.step(Input::Tick);
        for _ in 0..2 {
            let (epoch, _) = self.quorum.leader();
            let call = effects.iter().find_map(|effect| match effect {
                Effect::Send { to: NodeId(1), call, request: Request::Vote { .. } } => Some(*call),
                _ => None,
            });
            let answer = Answer { epoch, leader: None, body: Body::Vote { granted: true } };
            effects = self.step(Input::Answered { call: call.expect("a request for a vote"), answer });
        }
        assert_eq!((self.quorum.role().part, self.quorum.leads()), (Part::Leader, Some(2)));
        self.log.entries.push((2, 2));
        self.log.flushed = 2;
        self.step(Input::Flushed);
    }

    fn fetch(&mut self, offset: i64, epoch: i32) -> (Vec<Effect>, Fetched) {
        let request = Request::Fetch { epoch: 2, position: OffsetAndEpoch { offset, epoch } };
        let effects = self.step(Input::Asked { from: NodeId(1), ticket: 9, request });
        let answer = effects.iter().find_map(|effect| match effect {
            Effect::Answer { ticket: 9, answer: Answer { body: Body::Fetch(fetched), .. } } => Some(*fetched),
            _ => None,
        });
        (effects, answer.expect("an answer to the fetch"))
    }
}

/// Figure 8 of the Raft paper: a majority that holds an older epoch's record may still lose it to a leader of an epoch
/// between; below a record of this leader's own it cannot.
#[test]
fn an_older_epochs_record_commits_only_below_one_of_the_leaders_own() {
    let mut hand = Hand::new();
    hand.lead();
    let (effects, answer) = hand.fetch(1, 1);
    assert_eq!(answer, Fetched::Read { high_watermark: 0 });
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::HighWatermark(_))), "{effects:?}");
    let (effects, answer) = hand.fetch(2, 2);
    assert_eq!(answer, Fetched::Read { high_watermark: 2 });
    assert!(effects.contains(&Effect::HighWatermark(2)), "{effects:?}");
}

#[test]
fn a_fetch_beyond_what_its_epoch_had_is_told_where_that_ended() {
    let mut hand = Hand::new();
    hand.lead();
    assert_eq!(hand.fetch(5, 1).1, Fetched::Diverging(OffsetAndEpoch { offset: 1, epoch: 1 }));
    assert_eq!(hand.fetch(3, 2).1, Fetched::Diverging(OffsetAndEpoch { offset: 2, epoch: 2 }));
    assert_eq!(hand.quorum.high_watermark(), 0, "such a position is no promise");
}

/// A leader whose log lacks what is committed here must not make us cut it: that is a broken promise, not a divergence.
#[test]
fn nothing_committed_is_ever_cut() {
    let mut hand = Hand::new();
    hand.quorum.high_watermark = 1;
    let begin = Request::BeginQuorumEpoch { epoch: 2 };
    let effects = hand.step(Input::Asked { from: NodeId(1), ticket: 1, request: begin });
    let call = effects.iter().find_map(|effect| match effect {
        Effect::Fetch { to: NodeId(1), call, epoch: 2 } => Some(*call),
        _ => None,
    });
    let body = Body::Fetch(Fetched::Diverging(OffsetAndEpoch { offset: 0, epoch: 0 }));
    let answer = Answer { epoch: 2, leader: Some(NodeId(1)), body };
    let effects = hand.step(Input::Answered { call: call.expect("a fetch from the new leader"), answer });
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Broken(_))), "{effects:?}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Truncate { .. })), "{effects:?}");
}

/// A position promised in another epoch may have been cut since: it must not count, however well it fits.
#[test]
fn a_fetch_of_another_epoch_does_not_count() {
    let mut hand = Hand::new();
    hand.lead();
    for (epoch, standing) in [(1, Standing::Fenced), (3, Standing::Unknown)] {
        let request = Request::Fetch { epoch, position: OffsetAndEpoch { offset: 2, epoch: 2 } };
        let effects = hand.step(Input::Asked { from: NodeId(1), ticket: 9, request });
        let body = Body::Fetch(Fetched::Refused(standing));
        let answer = Answer { epoch: 2, leader: Some(NodeId(0)), body };
        assert!(effects.contains(&Effect::Answer { ticket: 9, answer }), "{effects:?}");
        assert_eq!(hand.quorum.high_watermark(), 0);
    }
}

/// Its own disk kept it busy for longer than any timeout: whoever wrote to it meanwhile is yet to be heard.
#[test]
fn a_leader_that_did_not_listen_does_not_take_the_others_for_gone() {
    for deaf in [true, false] {
        let mut hand = Hand::new();
        hand.lead();
        hand.fetch(2, 2);
        let long = Duration::from_secs(3600);
        hand.now = hand.now.after(long);
        if deaf {
            hand.step(Input::Deaf(long));
        }
        hand.step(Input::Tick);
        assert_eq!(hand.quorum.leads().is_some(), deaf);
        // It still needs them from then on.
        hand.now = hand.now.after(Duration::from_secs(1));
        hand.step(Input::Tick);
        assert_eq!(hand.quorum.leads(), None);
    }
}

#[test]
fn a_follower_that_did_not_listen_does_not_take_its_leader_for_gone() {
    for deaf in [true, false] {
        let mut hand = Hand::new();
        let begin = Request::BeginQuorumEpoch { epoch: 2 };
        hand.step(Input::Asked { from: NodeId(1), ticket: 1, request: begin });
        let long = Duration::from_secs(3600);
        hand.now = hand.now.after(long);
        if deaf {
            hand.step(Input::Deaf(long));
        }
        hand.step(Input::Tick);
        assert_eq!(hand.quorum.role().part == Part::Follower(NodeId(1)), deaf);
    }
}
