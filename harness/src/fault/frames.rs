//! Which frames the faults of single requests pick, and how they are told.

use crate::plan::Strike;
use crate::seed::Seed;
use crate::sim::{Frames, Host, World};

/// Matches that pass first, at most.
const MOST_SKIPPED: u64 = 4;

/// Requests of the API that the strike's force names, from `host` to `peer`; or the answers that `host` gives to `peer`.
/// By the strike's salt it is one, or every one, after a few have passed.
pub(super) fn between(host: Host, peer: Host, answers: bool, strike: &Strike) -> Frames {
    let mut draw = Seed::new(strike.salt).split("frames", 0).draw();
    let api_key = i16::try_from(strike.force).unwrap_or(-1);
    let skip = u32::try_from(draw.below(MOST_SKIPPED)).unwrap_or(0);
    let most = if draw.chance(500) { 1 } else { u32::MAX };
    Frames { from: Some(host), to: Some(peer), api_key, answers, skip, most }
}

/// As [`between`], every one from now on.
pub(super) fn every(host: Host, peer: Host, answers: bool, strike: &Strike) -> Frames {
    Frames { skip: 0, most: u32::MAX, ..between(host, peer, answers, strike) }
}

/// The frames in words.
pub(super) fn in_words(world: &dyn World, frames: &Frames) -> String {
    let name = |host: Option<Host>| host.map_or("anyone".into(), |host| world.name(host));
    let what = if frames.answers { "answers" } else { "requests" };
    let many = if frames.most == 1 { "one of" } else { "all" };
    let (from, to, skip) = (name(frames.from), name(frames.to), frames.skip);
    format!("{many} {what} of API {} {from} -> {to}, after {skip}", frames.api_key)
}
