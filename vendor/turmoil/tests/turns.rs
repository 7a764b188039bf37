//! What was changed here: a host runs in a tick only if there is something to run, and then all of it.

use std::cell::Cell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, Notify};
use turmoil::net::{TcpListener, TcpStream};
use turmoil::{Builder, Sim};

fn sim() -> Sim<'static> {
    Builder::new()
        .rng_seed(7)
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(3))
        .max_message_latency(Duration::from_millis(3))
        .build()
}

/// How often `main` of a host came to where it counts, after each of `steps` steps.
fn counts(sim: &mut Sim<'_>, count: &Cell<u32>, steps: u32) -> Vec<u32> {
    (0..steps)
        .map(|_| {
            sim.step().unwrap();
            count.get()
        })
        .collect()
}

#[test]
fn what_puts_itself_off_has_its_turn_in_the_same_tick() {
    let (mut sim, count) = (sim(), Rc::new(Cell::new(0)));
    let counted = count.clone();
    sim.host("yields", move || {
        let count = counted.clone();
        async move {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            // More than tokio lets a task take at once.
            let (tx, mut rx) = mpsc::channel(1000);
            (0..1000).for_each(|n| tx.try_send(n).unwrap());
            drop(tx);
            while rx.recv().await.is_some() {
                count.set(count.get() + 1);
            }
            std::future::pending().await
        }
    });
    assert_eq!(counts(&mut sim, &count, 2), [1000, 1000]);
}

#[test]
fn whoever_is_woken_from_outside_runs_in_the_next_tick() {
    let (mut sim, count, bell) = (sim(), Rc::new(Cell::new(0)), Rc::new(Notify::new()));
    let (counted, rung) = (count.clone(), bell.clone());
    sim.host("waits", move || {
        let (count, bell) = (counted.clone(), rung.clone());
        async move {
            let main = tokio::task::spawn_local(async move {
                loop {
                    bell.notified().await;
                    count.set(count.get() + 1);
                }
            });
            main.await.unwrap()
        }
    });
    assert_eq!(counts(&mut sim, &count, 3), [0, 0, 0]);
    bell.notify_one();
    assert_eq!(counts(&mut sim, &count, 3), [1, 1, 1]);
    sim.crash("waits");
    bell.notify_one();
    assert_eq!(counts(&mut sim, &count, 2), [1, 1]);
    sim.bounce("waits");
    assert_eq!(counts(&mut sim, &count, 2), [2, 2]);
}

#[test]
fn messages_arrive_in_their_time_at_hosts_with_nothing_else_to_do() {
    let (mut sim, count) = (sim(), Rc::new(Cell::new(0)));
    let counted = count.clone();
    sim.host("serves", move || {
        let count = counted.clone();
        async move {
            let listener = TcpListener::bind("0.0.0.0:9").await?;
            let (mut stream, _) = listener.accept().await?;
            while stream.read_u8().await? > 0 {
                count.set(count.get() + 1);
            }
            Ok(())
        }
    });
    sim.host("sends", || async {
        let mut stream = TcpStream::connect("serves:9").await?;
        stream.write_all(&[1, 1, 1]).await?;
        std::future::pending().await
    });
    // The connection's request takes 3 ms, its bytes as much.
    let seen = counts(&mut sim, &count, 12);
    let at = seen.iter().position(|n| *n > 0).unwrap();
    assert!((6..=8).contains(&at), "{seen:?}");
    assert_eq!(seen[11], 3);
}

#[test]
fn a_panic_in_a_task_reaches_whoever_steps() {
    let mut sim = sim();
    sim.host("breaks", || async {
        tokio::task::spawn_local(async { panic!("for the test") });
        std::future::pending().await
    });
    assert!(catch_unwind(AssertUnwindSafe(|| sim.step())).is_err());
}

#[test]
fn a_host_that_asks_tokio_for_time_panics() {
    let mut sim = sim();
    sim.host("sleeps", || async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    });
    assert!(catch_unwind(AssertUnwindSafe(|| sim.step())).is_err());
}
