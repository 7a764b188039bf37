//! How many consumers keep up well enough, and how many partitions that and the producers need.

use super::derivation::{Sheet, Term};
use super::given::Point;
use super::input;
use super::load::Load;
use super::unit::{Count, RecordsPerSecond};

/// What is read and written in parallel.
pub(super) struct Parallel {
    /// Consumers of a group.
    pub consumers: Term<Count>,
    /// Partitions.
    pub partitions: Term<Count>,
    /// Of all of them.
    pub replicas: Term<Count>,
}

/// Consumers by what they must achieve; partitions by the greatest of what producers, consumers at the peak, and one partition
/// for each consumer ask for.
///
/// At the end of a peak of length t with rate r the group is `(r - C) t` behind, which takes it `(r - C) t / C`: no more than
/// the delay D if its pace C is at least `r t / (t + D)`. A backlog of X seconds of the average W is gone after
/// `X W / (C - W)`: within T if C is at least `W (X + T) / T`.
pub(super) fn parallel(sheet: &mut Sheet, at: &Point, load: &Load) -> Parallel {
    sheet.part("Partitions and consumers");
    let pace = at.get(&input::CONSUMER_RATE);
    let (lasts, delay) = (at.get(&input::PEAK_LASTS), at.get(&input::MAX_DELAY));
    let on_time = sheet.line("pace to be on time", load.peak.times(&lasts).over(&lasts.plus(&delay)));
    let (outage, soon) = (at.get(&input::OUTAGE), at.get(&input::CATCH_UP));
    let caught_up = sheet.line("pace to catch up", load.average.times(&outage.plus(&soon)).over(&soon));
    let needed = sheet.line("consumers needed", Term::most(&[&on_time, &caught_up]).over(&pace).ceil());
    let consumers = match at.find(&input::CONSUMERS) {
        Some(stated) => sheet.line("consumers of a group", stated),
        None => sheet.line("consumers of a group", needed),
    };
    let headroom = at.get(&input::HEADROOM);
    let exact = |rate: &Term<RecordsPerSecond>| load.peak.times(&headroom).over(rate).ceil();
    let producers = sheet.line("partitions for producers", exact(&at.get(&input::PARTITION_RATE)));
    let consumed = sheet.line("partitions for consumers", exact(&pace));
    let least = at.get(&input::LEAST_PARTITIONS);
    let partitions = sheet.line("partitions", Term::most(&[&producers, &consumed, &consumers, &least]));
    let replicas = sheet.line("replicas of partitions", partitions.times(&at.get(&input::REPLICATION)));
    Parallel { consumers, partitions, replicas }
}
