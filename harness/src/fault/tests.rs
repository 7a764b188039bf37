//! Strikes that overlap: the cure of one must not cure another.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use broker::env::Env;

use super::{Aim, Injected, find};
use crate::plan::{Strike, Target, Trigger};
use crate::seed::Seed;
use crate::sim::Host;
use crate::sim::env::SimEnv;
use crate::sim::turmoil::{HostSpec, SimWorld, WorldSpec};

/// A world of one host, and the nanoseconds that its monotonic clock shows.
fn world() -> (SimWorld, Rc<Cell<u64>>) {
    let ms = Duration::from_millis;
    let mut world = SimWorld::new(WorldSpec { seed: Seed::new(1), tick: ms(1), latency: (ms(1), ms(2)), split: false });
    let shown = Rc::new(Cell::new(0));
    let clock = shown.clone();
    let main = Rc::new(move |env: SimEnv| {
        let clock = clock.clone();
        let shows = async move {
            for _ in 0..u32::MAX {
                clock.set(env.now().0);
                env.sleep(Duration::from_nanos(1)).await;
            }
        };
        Box::pin(shows) as std::pin::Pin<Box<dyn Future<Output = ()>>>
    });
    world.add(HostSpec::client("c".into(), main));
    (world, shown)
}

fn strike(world: &mut SimWorld, fault: &str, force: u64) -> Injected {
    let strike = Strike {
        id: 0,
        trigger: Trigger::At { ms: 0 },
        fault: fault.into(),
        target: Target::Client,
        duration_ms: 1,
        until: Vec::new(),
        force,
        salt: 0,
    };
    let aim = Aim { hosts: vec![Host(0)], peers: vec![Host(0)] };
    (find(fault).expect("a fault").inject)(world, &aim, &strike)
}

/// How much the clock shows to pass in a second.
fn second(world: &mut SimWorld, shown: &Cell<u64>) -> Duration {
    let before = shown.get();
    for _ in 0..1000 {
        world.step().unwrap_or_else(|b| panic!("{}: {}", b.host, b.message));
    }
    Duration::from_nanos(shown.get() - before)
}

#[test]
fn a_jump_and_its_cure_leave_a_drift_alone() {
    let (mut world, shown) = world();
    second(&mut world, &shown);
    let plain = second(&mut world, &shown);
    let drift = strike(&mut world, "clock_drift", 500_000);
    let jump = strike(&mut world, "clock_jump", 60_000);
    let both = second(&mut world, &shown);
    (jump.heal)(&mut world);
    let one = second(&mut world, &shown);
    (drift.heal)(&mut world);
    let none = second(&mut world, &shown);
    assert!(both > plain.mul_f64(1.4), "the jump cured the drift: {both:?}");
    assert!(one > plain.mul_f64(1.4), "the cure of the jump cured the drift: {one:?}");
    assert!(none < plain.mul_f64(1.1), "the drift goes on: {none:?}");
}
