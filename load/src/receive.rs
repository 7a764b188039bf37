//! The receiving side: each consumer notes what it reads, and how long after it was meant to be sent.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crate::arrivals::SECOND;
use crate::driver::{Consumer, Driver};
use crate::events::Seat;
use crate::recorder::Timed;
use crate::send::Shared;
use crate::spec::Spec;
use crate::tally::Read;

/// How often one that is not there yet looks whether it is time to come, in nanoseconds.
const LOOK: u64 = SECOND / 1000;

/// What consumers are told, and tell.
#[derive(Default)]
pub struct Progress {
    /// Nothing more is to come.
    pub stop: AtomicBool,
    /// Records that each group has read.
    pub groups: Vec<AtomicU64>,
    /// Consumers that wait for what they are to read, or must give it up.
    pub unsettled: AtomicUsize,
    /// Consumers that have come or gone while the clock ran.
    pub moved: AtomicUsize,
}

impl Progress {
    /// Whether so many have come and gone, and all that are there know what they are to read.
    pub fn is_at_rest(&self, moved: usize) -> bool {
        self.moved.load(Ordering::Acquire) >= moved && self.unsettled.load(Ordering::Acquire) == 0
    }

    fn over(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// One consumer's part in a run: who it is, and what it shares with the others.
pub struct Part {
    /// Its number, of all consumers.
    pub number: usize,
    /// Its group.
    pub group: usize,
    /// When it comes and goes.
    pub seat: Seat,
    /// What is run.
    pub spec: Spec,
    /// What is shared with producers, too.
    pub shared: Arc<Shared>,
    /// What consumers share.
    pub progress: Arc<Progress>,
}

impl Part {
    /// Reads from when it is to come until it is to go, or all is over: with `consumer`, or, if it comes later, with one that it
    /// then asks for.
    pub async fn play<D: Driver>(self, driver: D, consumer: Option<D::Consumer>) -> io::Result<Read> {
        let (mut read, progress) = (Read::default(), self.progress.clone());
        let mut consumer = match (consumer, self.seat.comes_ms) {
            (Some(consumer), _) => consumer,
            (None, at) => {
                if !self.wait(at.unwrap_or(0)).await {
                    return Ok(read);
                }
                driver.consumer(&self.spec, self.number % self.spec.consumers).await?
            }
        };
        progress.unsettled.fetch_add(1, Ordering::AcqRel);
        let (mut settled, mut arrived) = (false, self.seat.comes_ms.is_none());
        while !progress.over() && !self.goes() {
            if consumer.is_settled() != settled {
                settled = !settled;
                match settled {
                    true => progress.unsettled.fetch_sub(1, Ordering::AcqRel),
                    false => progress.unsettled.fetch_add(1, Ordering::AcqRel),
                };
            }
            let new = self.poll(&mut consumer, &mut read).await?;
            // Before it has read something, what it is to have may be another's still.
            if new && !std::mem::replace(&mut arrived, true) {
                progress.moved.fetch_add(1, Ordering::AcqRel);
            }
        }
        if self.seat.goes_ms.is_none_or(|(_, vanishes)| !vanishes) {
            consumer.close().await;
        }
        progress.moved.fetch_add(1, Ordering::AcqRel);
        if !settled {
            progress.unsettled.fetch_sub(1, Ordering::AcqRel);
        }
        Ok(read)
    }

    /// Reads what there is. False if that was nothing new.
    async fn poll(&self, consumer: &mut impl Consumer, read: &mut Read) -> io::Result<bool> {
        let (shared, mut batch) = (&self.shared, Vec::new());
        consumer.poll(&mut batch).await?;
        if consumer.has_skipped() {
            read.skip();
        }
        let now = shared.clock.now();
        // Others may have written there too.
        batch.retain(|(_, stamp)| stamp.run == shared.run);
        if batch.is_empty() {
            return Ok(false);
        }
        // What is read to be checked was not waited for, and how late a backlog is says its size.
        let timed = self.spec.is_timed_to_the_end();
        let (mut recorder, mut heard, mut new) = (Shared::locked(&shared.read[self.number]), -1, 0);
        for (partition, stamp) in &batch {
            if *partition != heard {
                heard = *partition;
                shared.reads.heard(usize::try_from(heard).unwrap_or(usize::MAX), now);
            }
            if !read.add(*partition, *stamp) {
                continue;
            }
            new += 1;
            if timed {
                recorder.record(Timed::EndToEnd, stamp.intended, now, &shared.measured);
            }
        }
        self.progress.groups[self.group].fetch_add(new, Ordering::Release);
        Ok(new > 0)
    }

    /// Waits until the clock has run for so many milliseconds. False if all is over before.
    async fn wait(&self, ms: u64) -> bool {
        while !self.has_run(ms) {
            if self.progress.over() {
                return false;
            }
            self.shared.clock.until(self.shared.clock.now() + LOOK).await;
        }
        true
    }

    fn goes(&self) -> bool {
        self.seat.goes_ms.is_some_and(|(at, _)| self.has_run(at))
    }

    fn has_run(&self, ms: u64) -> bool {
        let from = self.shared.measured.from();
        from != u64::MAX && self.shared.clock.now() >= from + ms * (SECOND / 1000)
    }
}
