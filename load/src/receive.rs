//! The receiving side: each consumer notes what it reads, and how long after it was meant to be sent.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::driver::Consumer;
use crate::recorder::Timed;
use crate::send::Shared;
use crate::tally::Read;

/// What consumers are told, and tell.
#[derive(Default)]
pub struct Progress {
    /// Nothing more is to come.
    pub stop: AtomicBool,
    /// Records that each group has read.
    pub groups: Vec<AtomicU64>,
}

/// Reads until it is told to stop; consumer `number` of all, for `group`. Latency is recorded if it is `timed`.
pub async fn receive<C: Consumer>(
    mut consumer: C,
    (number, group): (usize, usize),
    timed: bool,
    shared: Arc<Shared>,
    progress: Arc<Progress>,
) -> io::Result<Read> {
    let (mut read, mut batch) = (Read::default(), Vec::new());
    while !progress.stop.load(Ordering::Acquire) {
        batch.clear();
        consumer.poll(&mut batch).await?;
        let now = shared.clock.now();
        // Others may have written there too.
        batch.retain(|(_, stamp)| stamp.run == shared.run);
        if batch.is_empty() {
            continue;
        }
        let mut recorder = Shared::locked(&shared.read[number]);
        for (partition, stamp) in &batch {
            // What is read to be checked was not waited for.
            if timed {
                recorder.record(Timed::EndToEnd, stamp.intended, now, &shared.measured);
            }
            read.add(*partition, *stamp);
        }
        progress.groups[group].fetch_add(batch.len() as u64, Ordering::Release);
    }
    Ok(read)
}
