//! The checker's speed: events a second, all invariants, a history of a hundred thousand calls held in memory.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use harness::history::Event;
use harness::history::synth::{Shape, Synth};
use harness::invariant::{Checker, Rules};

fn history() -> (Vec<Event>, Rules) {
    let shape = Shape { ops: 100_000, producers: 16, partitions: 8, tailers: 2, batch: 8, crashes: 1 };
    (Synth::new(shape, 1).collect(), Synth::rules(shape))
}

fn check(c: &mut Criterion) {
    let (events, rules) = history();
    let mut group = c.benchmark_group("checker");
    group.sample_size(20).throughput(Throughput::Elements(events.len() as u64));
    for (name, white_box) in [("all", true), ("black_box", false)] {
        let rules = Rules { white_box, ..rules.clone() };
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut checker = Checker::new(rules.clone());
                events.iter().for_each(|e| checker.see(e));
                checker.end(events.last().map_or(0, |e| e.at))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, check);
criterion_main!(benches);
