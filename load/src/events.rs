//! What happens while the clock runs: brokers die or stand still, consumers come and go. A kind of fault is a row of [`FAULTS`].

use std::io;

use crate::arrivals::SECOND;
use crate::cluster::Cluster;
use crate::outcome::Quantiles;
use crate::receive::Progress;
use crate::recorder::{Recorder, Timed};
use crate::send::Shared;
use crate::spec::{Reading, Spec};

/// Events of a run, at most.
const MOST: usize = 16;
/// How often it is looked whether one is over, in nanoseconds.
const LOOK: u64 = 2 * SECOND / 1000;
const MS: u64 = SECOND / 1000;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A broker's process is killed (`kill -9`), and started anew when it is over.
    Kill,
    /// A broker's process is stopped (SIGSTOP), and goes on when it is over (SIGCONT).
    Freeze,
    /// Somebody else writes and syncs on the brokers' device, as fast as it goes. The device itself is as fast as before.
    BusyDisk,
    /// A consumer joins the group.
    Join,
    /// The consumer that has been there the longest leaves, and says so.
    Leave,
    /// The consumer that has been there the longest is gone without a word.
    Vanish,
}

/// A kind of fault.
struct Fault {
    what: What,
    strike: fn(&mut Cluster, usize) -> io::Result<()>,
    cure: fn(&mut Cluster, usize) -> io::Result<()>,
}

/// All there are.
const FAULTS: &[Fault] = &[
    Fault { what: What::Kill, strike: Cluster::kill, cure: Cluster::restart },
    Fault { what: What::Freeze, strike: Cluster::freeze, cure: Cluster::thaw },
    Fault { what: What::BusyDisk, strike: Cluster::crowd, cure: Cluster::clear },
];

impl What {
    fn fault(self) -> Option<&'static Fault> {
        FAULTS.iter().find(|fault| fault.what == self)
    }

    /// Whether it happens to brokers; else to the group.
    pub fn is_fault(self) -> bool {
        self.fault().is_some()
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            What::Kill => "kill -9",
            What::Freeze => "freeze",
            What::BusyDisk => "busy disk",
            What::Join => "join",
            What::Leave => "leave",
            What::Vanish => "vanish",
        }
    }
}

/// Something that happens while the clock runs. The next begins when this is over, at the earliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// What.
    pub what: What,
    /// To which broker, from 0.
    #[serde(default)]
    pub node: usize,
    /// When, in milliseconds since the clock runs.
    pub at_ms: u64,
    /// For how long, in milliseconds; of the group's events, nothing.
    #[serde(default)]
    pub lasts_ms: u64,
}

impl Event {
    /// A fault of a broker.
    pub fn fault(what: What, node: usize, at_ms: u64, lasts_ms: u64) -> Self {
        Self { what, node, at_ms, lasts_ms }
    }

    /// Something that happens to the group.
    pub fn group(what: What, at_ms: u64) -> Self {
        Self { what, node: 0, at_ms, lasts_ms: 0 }
    }
}

/// Why the events of a run cannot happen, if so.
pub(crate) fn refused(spec: &Spec) -> Option<&'static str> {
    let events = &spec.events;
    let nodes = usize::try_from(spec.replication).unwrap_or(1).max(1);
    let in_group = matches!(spec.reading, Reading::Group { .. });
    let aside = matches!(spec.reading, Reading::CatchUp { .. } | Reading::Backlog { .. });
    let early = events.windows(2).any(|two| two[0].at_ms + two[0].lasts_ms >= two[1].at_ms);
    let late = events.last().is_some_and(|last| last.at_ms + last.lasts_ms + 5 >= spec.measure_ms);
    let checks = [
        (events.len() > MOST, "there are at most 16 events"),
        (early, "an event must be over before the next one"),
        (late, "the last event must be over while the clock still runs"),
        (events.iter().any(|event| event.what.is_fault() && event.lasts_ms == 0), "a fault lasts for at least 1 ms"),
        (aside && !events.is_empty(), "nothing happens while a backlog is read"),
        (events.iter().any(|event| event.node >= nodes), "there are as many brokers as replicas, counted from 0"),
        (!in_group && events.iter().any(|event| !event.what.is_fault()), "consumers join and leave a group"),
        (members_end(spec), "a consumer must be left in the group"),
    ];
    checks.into_iter().find(|(wrong, _)| *wrong).map(|(_, why)| why)
}

fn members_end(spec: &Spec) -> bool {
    let mut left = i64::try_from(spec.consumers).unwrap_or(i64::MAX);
    spec.events.iter().any(|event| {
        left += match event.what {
            What::Join => 1,
            What::Leave | What::Vanish => -1,
            _ => 0,
        };
        left < 1
    })
}

/// When a consumer comes and goes, in milliseconds since the clock runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    /// When it comes; one that does not say is there before.
    pub comes_ms: Option<u64>,
    /// When it goes, and whether without a word; one that does not say stays.
    pub goes_ms: Option<(u64, bool)>,
}

/// Every consumer of a run.
pub fn seats(spec: &Spec) -> Vec<Seat> {
    let mut seats = vec![Seat::default(); spec.groups() * spec.consumers];
    for event in &spec.events {
        let word = event.what == What::Vanish;
        match event.what {
            What::Join => seats.push(Seat { comes_ms: Some(event.at_ms), goes_ms: None }),
            What::Leave | What::Vanish => {
                let first = seats.iter_mut().find(|seat| seat.goes_ms.is_none());
                first.into_iter().for_each(|seat| seat.goes_ms = Some((event.at_ms, word)));
            }
            _ => {}
        }
    }
    seats
}

/// What came of an event. Times are in milliseconds; those of the run are counted as its windows' are.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Episode {
    /// What happened.
    pub what: What,
    /// To which broker.
    pub node: usize,
    /// When it began.
    pub from_ms: u64,
    /// When what was done was undone: the process started anew, or woken.
    pub cured_ms: u64,
    /// When every partition was acknowledged and read again since, who came had something to
    /// read, and the group was at rest; none if that did not come before
    /// the next event, or the end.
    pub over_ms: Option<u64>,
    /// The longest time in which nothing was acknowledged of one partition.
    pub silent_ms: f64,
    /// The longest time in which nothing was acknowledged at all.
    pub all_silent_ms: f64,
    /// The longest time in which one partition was not read, where consumers read along.
    pub unread_ms: Option<f64>,
    /// The publish latency of what was to be sent from its beginning until it was over.
    pub publish: Quantiles,
    /// The end-to-end latency of the same.
    pub end_to_end: Option<Quantiles>,
}

/// One that has begun.
struct Begun {
    event: Event,
    part: usize,
    from: u64,
    cured: Option<u64>,
    over: Option<u64>,
}

/// Makes events happen, and sees when they are over.
#[derive(Default)]
pub(crate) struct Strikes<'a> {
    cluster: Option<&'a mut Cluster>,
    left: Vec<Event>,
    begun: Vec<Begun>,
    from: u64,
    /// Events of the group so far.
    moves: usize,
}

impl<'a> Strikes<'a> {
    /// What `spec` has happen, to this cluster. An error if it needs one.
    pub(crate) fn new(spec: &Spec, cluster: Option<&'a mut Cluster>) -> io::Result<Self> {
        if cluster.is_none() && spec.events.iter().any(|event| event.what.is_fault()) {
            let why = "faults happen to brokers of ours alone (own, program:PATH): others' processes are left alone";
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
        let left = spec.events.iter().rev().copied().collect();
        Ok(Self { cluster, left, ..Self::default() })
    }

    /// The clock runs.
    pub(crate) fn begin(&mut self, from: u64) {
        self.from = from;
    }

    /// When [`Strikes::step`] is to be called next.
    pub(crate) fn due(&self, now: u64) -> u64 {
        let next = self.left.last().map_or(u64::MAX, |event| self.from + event.at_ms * MS);
        match self.begun.last() {
            Some(Begun { event, from, cured: None, .. }) => from + event.lasts_ms * MS,
            Some(Begun { over: None, .. }) => next.min(now + LOOK),
            _ => next,
        }
    }

    /// Does what is due.
    pub(crate) fn step(&mut self, shared: &Shared, progress: &Progress, reads: bool) -> io::Result<()> {
        let now = shared.clock.now();
        if let Some(begun) = self.begun.last_mut().filter(|begun| begun.over.is_none()) {
            let Some(cured) = begun.cured else {
                if now >= begun.from + begun.event.lasts_ms * MS {
                    if let Some((fault, cluster)) = begun.event.what.fault().zip(self.cluster.as_deref_mut()) {
                        (fault.cure)(cluster, begun.event.node)?;
                    }
                    begun.cured = Some(shared.clock.now());
                }
                return Ok(());
            };
            let heard = shared.acks.is_broken_since(cured) && (!reads || shared.reads.is_broken_since(cured));
            if heard && progress.is_at_rest(self.moves) {
                begun.over = Some(now);
                shared.measured.mark(now);
            }
        }
        let Some(event) = self.left.pop_if(|event| now >= self.from + event.at_ms * MS) else { return Ok(()) };
        let part = shared.measured.mark(now);
        match event.what.fault().zip(self.cluster.as_deref_mut()) {
            Some((fault, cluster)) => (fault.strike)(cluster, event.node)?,
            None => self.moves += 1,
        }
        let cured = (event.lasts_ms == 0).then_some(now);
        self.begun.push(Begun { event, part, from: now, cured, over: None });
        Ok(())
    }

    /// What came of each, at the end `to` of the measured time.
    pub(crate) fn told(&self, shared: &Shared, recorder: &Recorder, to: u64, reads: bool) -> Vec<Episode> {
        let ends = self.begun.iter().skip(1).map(|next| next.from).chain([to]);
        let one = |(begun, end): (&Begun, u64)| {
            let (from, until) = (begun.from, begun.over.unwrap_or(end));
            let ms = |ns: u64| crate::statistics::figure(ns / 1000) / 1e3;
            let (silent, all_silent) = shared.acks.longest(from, until);
            let part = recorder.part(begun.part);
            Episode {
                what: begun.event.what,
                node: begun.event.node,
                from_ms: from / MS,
                cured_ms: begun.cured.unwrap_or(end) / MS,
                over_ms: begun.over.map(|over| over / MS),
                silent_ms: ms(silent),
                all_silent_ms: ms(all_silent),
                unread_ms: reads.then(|| ms(shared.reads.longest(from, until).0)),
                publish: Quantiles::of(part.of(Timed::Publish)),
                end_to_end: reads.then(|| Quantiles::of(part.of(Timed::EndToEnd))),
            }
        };
        self.begun.iter().zip(ends).map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Protocol;

    fn group(events: Vec<Event>) -> Spec {
        Spec { consumers: 2, reading: Reading::Group { protocol: Protocol::Eager }, events, ..Spec::default() }
    }

    #[test]
    fn who_has_been_there_longest_goes() {
        let of = |what, at_ms| Event::group(what, at_ms);
        let spec = group(vec![of(What::Join, 100), of(What::Leave, 200), of(What::Vanish, 300)]);
        assert_eq!(refused(&spec), None);
        let goes = |at, vanishes| Seat { comes_ms: None, goes_ms: Some((at, vanishes)) };
        assert_eq!(seats(&spec), [goes(200, false), goes(300, true), Seat { comes_ms: Some(100), goes_ms: None }]);
    }

    #[test]
    fn what_cannot_happen_is_refused() {
        let kill = |node, at_ms, lasts_ms| Event::fault(What::Kill, node, at_ms, lasts_ms);
        let with = |events: &[Event]| Spec { events: events.to_vec(), ..Spec::default() };
        assert_eq!(refused(&with(&[kill(0, 100, 50), kill(0, 200, 50)])), None);
        let bad = [
            with(&[kill(1, 100, 50)]),
            with(&[kill(0, 100, 0)]),
            with(&[kill(0, 100, 100), kill(0, 200, 50)]),
            with(&[kill(0, 4990, 10)]),
            with(&[Event::group(What::Join, 100)]),
            group(vec![Event::group(What::Leave, 100), Event::group(What::Leave, 200)]),
            Spec { reading: Reading::CatchUp { megabytes: 1, cold: false }, ..with(&[kill(0, 100, 50)]) },
        ];
        for spec in bad {
            assert!(spec.refused().is_some(), "{:?}", spec.events);
        }
    }

    #[test]
    fn every_fault_is_a_row_and_nothing_of_the_group_is() {
        let is = |what: What| what.is_fault();
        assert!([What::Kill, What::Freeze, What::BusyDisk].into_iter().all(is));
        assert!(![What::Join, What::Leave, What::Vanish].into_iter().any(is));
    }
}
