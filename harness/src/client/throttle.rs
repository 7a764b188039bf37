//! How much a producer may send so that a consumer group is never behind by more than a bound: a plain state machine.
//!
//! It looks at the group's lag now and then. Each look gives leave for as many records as there is room for below the bound,
//! less those that are under way; when that is used up nothing more is sent before the next look. So a look that is late, or
//! fails, or finds an old state, makes a producer wait and never lets it pass the bound. Once a look finds too much, nothing
//! is sent until one finds the lag below a lower bound.
//!
//! Several producers that know nothing of each other keep to one bound. Each may use its part of the room that it has found,
//! and others may have found the same room before: what all of them have leave for, and the lag, together are at most
//! `2 - 1 / n` times what each of them stops at.

use broker::planted::{Defect, planted};

/// What producers of one group keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The group is never behind by more, in records: at least six for each producer, or they might wait for ever.
    pub most: u64,
    /// How many producers keep to it, each by itself.
    pub producers: u64,
}

impl Bounds {
    /// A look that finds so much makes a producer wait.
    fn stop(self) -> u64 {
        let n = self.producers.max(1);
        self.most.saturating_mul(n) / (2 * n - 1)
    }

    /// Until one finds no more than this.
    fn go(self) -> u64 {
        self.stop() / 2
    }
}

/// How much had been sent when a look began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    sent: u64,
    open: u64,
}

/// One producer's leave to send.
#[derive(Clone, Debug)]
pub struct Throttle {
    bounds: Bounds,
    /// The lag was too much, and has not come down far enough since.
    waits: bool,
    sent: u64,
    answered: u64,
    /// How much may have been sent in all.
    leave: u64,
}

impl Throttle {
    /// Before the first look nothing is sent.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, waits: false, sent: 0, answered: 0, leave: 0 }
    }

    /// Whether one more record may be sent; then it counts as sent, and [`Throttle::answered`] must follow.
    pub fn take(&mut self) -> bool {
        let may = self.sent < self.leave || planted(Defect::ApThrottleBlind);
        self.sent += u64::from(may);
        may
    }

    /// It is known what became of a record, or nothing will come of it any more.
    pub fn answered(&mut self) {
        self.answered += 1;
    }

    /// A look begins: whatever it reads is read after this.
    pub fn look(&self) -> Look {
        Look { sent: self.sent, open: self.sent.saturating_sub(self.answered) }
    }

    /// That look has found the group to be behind by so many records.
    pub fn hears(&mut self, look: Look, lag: u64) {
        let stop = self.bounds.stop();
        self.waits = lag >= stop || (self.waits && lag > self.bounds.go());
        let room = if self.waits { 0 } else { (stop - lag) / self.bounds.producers.max(1) };
        // Those that were under way may be in the lag already, or not.
        self.leave = look.sent + room.saturating_sub(look.open);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What may happen: to which producer, and how much of it.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Send(usize, u64),
        /// A record arrives, or is lost on its way; nobody knows yet.
        Arrive(usize, bool),
        Answer(usize),
        Commit(u64),
        Begin(usize),
        ReadCommitted(usize),
        ReadEnd(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let who = 0usize..4;
        let one = prop_oneof![
            3 => (who.clone(), 1u64..20).prop_map(|(who, n)| Step::Send(who, n)),
            6 => (who.clone(), prop::bool::weighted(0.9)).prop_map(|(who, whole)| Step::Arrive(who, whole)),
            6 => who.clone().prop_map(Step::Answer),
            1 => (0u64..40).prop_map(Step::Commit),
            3 => who.clone().prop_map(Step::Begin),
            3 => who.clone().prop_map(Step::ReadCommitted),
            3 => who.prop_map(Step::ReadEnd),
        ];
        prop::collection::vec(one, 0..400)
    }

    /// One producer: its records under way, those that have arrived (or not) and are not answered, and its look.
    struct Producer {
        throttle: Throttle,
        under_way: u64,
        unanswered: u64,
        look: Option<(Look, Option<u64>)>,
        /// Whether it waits, by the naive rule: the last look that found much or little says so.
        waits: bool,
    }

    struct World {
        bounds: Bounds,
        producers: Vec<Producer>,
        end: u64,
        committed: u64,
    }

    impl World {
        fn new(most: u64, count: usize) -> Self {
            let bounds = Bounds { most, producers: count as u64 };
            let producer =
                |_| Producer { throttle: Throttle::new(bounds), under_way: 0, unanswered: 0, look: None, waits: false };
            Self { bounds, producers: (0..count).map(producer).collect(), end: 0, committed: 0 }
        }

        fn hears(&mut self, who: usize, look: Look, lag: u64) {
            let producer = &mut self.producers[who];
            producer.throttle.hears(look, lag);
            if lag >= self.bounds.stop() {
                producer.waits = true;
            } else if lag <= self.bounds.go() {
                producer.waits = false;
            }
        }

        fn step(&mut self, step: Step) {
            let count = self.producers.len();
            let of = |who: usize| who % count;
            match step {
                Step::Send(who, n) => {
                    let producer = &mut self.producers[of(who)];
                    producer.under_way += (0..n).filter(|_| producer.throttle.take()).count() as u64;
                }
                Step::Arrive(who, whole) => {
                    let producer = &mut self.producers[of(who)];
                    if producer.under_way > 0 {
                        producer.under_way -= 1;
                        producer.unanswered += 1;
                        self.end += u64::from(whole);
                    }
                }
                Step::Answer(who) => {
                    let producer = &mut self.producers[of(who)];
                    if producer.unanswered > 0 {
                        producer.unanswered -= 1;
                        producer.throttle.answered();
                    }
                }
                Step::Commit(n) => self.committed = self.end.min(self.committed + n),
                Step::Begin(who) => {
                    let producer = &mut self.producers[of(who)];
                    producer.look = Some((producer.throttle.look(), None));
                }
                Step::ReadCommitted(who) => {
                    let committed = self.committed;
                    let look = self.producers[of(who)].look.as_mut();
                    look.into_iter().for_each(|(_, read)| *read = Some(committed));
                }
                Step::ReadEnd(who) => {
                    if let Some((look, Some(committed))) = self.producers[of(who)].look {
                        self.producers[of(who)].look = None;
                        self.hears(of(who), look, self.end - committed);
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// However late, old and interleaved the looks are.
        #[test]
        fn the_bound_is_kept_and_nobody_waits_for_ever(
            steps in steps(), count in 1usize..4, most in 24u64..120,
        ) {
            let mut world = World::new(most, count);
            for step in steps {
                world.step(step);
                let lag = world.end - world.committed;
                prop_assert!(lag <= most, "behind by {lag} after {step:?}");
                for producer in &world.producers {
                    prop_assert_eq!(producer.throttle.waits, producer.waits);
                }
            }
            // Everything arrives, is answered and committed; then a look gives everyone leave again.
            for who in 0..count {
                while world.producers[who].under_way + world.producers[who].unanswered > 0 {
                    world.step(Step::Arrive(who, true));
                    world.step(Step::Answer(who));
                }
            }
            world.committed = world.end;
            for who in 0..count {
                let look = world.producers[who].throttle.look();
                world.hears(who, look, 0);
                prop_assert!(world.producers[who].throttle.take(), "producer {who} waits for ever");
            }
        }
    }

    #[test]
    fn it_stops_at_one_bound_and_goes_on_at_a_lower_one() {
        let mut throttle = Throttle::new(Bounds { most: 100, producers: 1 });
        let mut hears = |lag| {
            let look = throttle.look();
            throttle.hears(look, lag);
            let sent = (0..1000).take_while(|_| throttle.take()).count();
            (0..sent).for_each(|_| throttle.answered());
            sent
        };
        assert_eq!([0, 70, 99, 100, 70, 51, 50].map(&mut hears), [100, 30, 1, 0, 0, 0, 50]);
    }
}
