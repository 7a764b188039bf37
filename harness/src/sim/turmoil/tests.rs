//! A small service under every fault of the world: what peers see, and that a seed is a run.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use broker::env::{Disk, Env, File, Listener, Net, Open};
use broker::fact::Fact;
use broker::ids::{NodeId, TopicPartition};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{HostSpec, Main, SimWorld, WorldSpec};
use crate::history::Event;
use crate::seed::Seed;
use crate::sim::env::SimEnv;
use crate::sim::{Crash, Frames, Host, Unsynced, World};

type Log = Rc<RefCell<Vec<String>>>;

fn spec(seed: u64) -> WorldSpec {
    let ms = Duration::from_millis;
    WorldSpec { seed: Seed::new(seed), tick: ms(1), latency: (ms(1), ms(5)), split: true }
}

/// Answers each 12-byte request (as a Kafka head) with 8 bytes; writes it to a file and syncs before it answers.
async fn serve(env: SimEnv) {
    let listener = env.net().listen("b:9092").await.expect("listens");
    env.tell(Fact::Started { clean: false });
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        let node = env.clone();
        env.spawn("conn", async move {
            let file = node.disk().open("log", Open::Create).expect("opens");
            let mut head = [0; 12];
            while stream.read_exact(&mut head).await.is_ok() {
                if file.write_at(&head, file.size().unwrap_or(0)).is_err() || file.sync().await.is_err() {
                    return;
                }
                let tp = TopicPartition::new("t", 0);
                node.tell(Fact::Flushed { tp, upto: i64::try_from(file.size().unwrap_or(0)).unwrap_or(0) });
                let mut answer = [0, 0, 0, 4, 0, 0, 0, 0];
                answer[4..].copy_from_slice(&head[8..]);
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// As [`serve`], until it is asked to stop, which takes it a while.
async fn serve_until_asked(env: SimEnv) {
    broker::env::race(serve(env.clone()), env.asked_to_stop()).await;
    env.sleep(Duration::from_millis(20)).await;
}

fn request(n: i32) -> [u8; 12] {
    let mut r = [0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 0];
    r[8..].copy_from_slice(&n.to_be_bytes());
    r
}

/// Asks until it is stopped; a new connection after each failure. Logs what it sees.
async fn ask(env: SimEnv, log: Log) {
    let mut n = 0;
    let ms = Duration::from_millis;
    loop {
        let mut stream = match env.net().connect("b:9092", ms(100)).await {
            Ok(stream) => stream,
            Err(e) => {
                log.borrow_mut().push(format!("{} connect {:?}", env.now().0 / 1_000_000, e.kind()));
                env.sleep(ms(20)).await;
                continue;
            }
        };
        loop {
            n += 1;
            let asked = env.timeout(ms(200), async {
                stream.write_all(&request(n)).await?;
                let mut answer = [0; 8];
                stream.read_exact(&mut answer).await?;
                Ok::<_, std::io::Error>(i32::from_be_bytes([answer[4], answer[5], answer[6], answer[7]]))
            });
            match asked.await {
                Some(Ok(got)) => {
                    assert_eq!(got, n);
                    log.borrow_mut().push(format!("{} ok {n}", env.now().0 / 1_000_000));
                }
                Some(Err(e)) => {
                    log.borrow_mut().push(format!("{} err {:?} {n}", env.now().0 / 1_000_000, e.kind()));
                    break;
                }
                None => {
                    log.borrow_mut().push(format!("{} timeout {n}", env.now().0 / 1_000_000));
                    break;
                }
            }
            env.sleep(ms(3)).await;
        }
    }
}

fn boxed<F: Future<Output = ()> + 'static>(main: impl Fn(SimEnv) -> F + 'static) -> Main {
    Rc::new(move |env| Box::pin(main(env)))
}

fn world(seed: u64, clients: usize) -> (SimWorld, Log) {
    let mut world = SimWorld::new(spec(seed));
    let restart = Some(Duration::from_millis(50));
    world.add(HostSpec::broker("b".into(), NodeId(0), restart, boxed(serve_until_asked)));
    let log = Log::default();
    for n in 0..clients {
        let log = log.clone();
        world.add(HostSpec::client(format!("c{n}"), boxed(move |env| ask(env, log.clone()))));
    }
    (world, log)
}

fn steps(world: &mut SimWorld, n: usize) {
    for _ in 0..n {
        world.step().expect("does not break");
    }
}

fn count(log: &Log, what: &str) -> usize {
    log.borrow().iter().filter(|l| l.contains(what)).count()
}

/// Nothing was lost: a connection may be refused while the broker begins, and that is all.
fn all_well(log: &Log) {
    let ill: Vec<_> = log.borrow().iter().filter(|l| !l.contains(" ok ") && !l.contains("Refused")).cloned().collect();
    assert_eq!(ill, Vec::<String>::new());
}

const B: Host = Host(0);
const C: Host = Host(1);

#[test]
fn requests_are_answered() {
    let (mut world, log) = world(1, 2);
    steps(&mut world, 500);
    assert!(count(&log, "ok") > 40, "{log:?}");
    all_well(&log);
}

#[test]
fn a_cut_stalls_and_mending_delivers() {
    let (mut world, log) = world(2, 1);
    steps(&mut world, 100);
    world.cut(B, C);
    world.cut(B, C);
    steps(&mut world, 20);
    world.mend(B, C);
    let before = log.borrow().len();
    steps(&mut world, 60);
    assert_eq!(log.borrow().len(), before, "cuts nest");
    world.mend(B, C);
    steps(&mut world, 60);
    all_well(&log);
    assert!(log.borrow().len() > before);
}

#[test]
fn connecting_under_a_cut_times_out_and_costs_no_ports() {
    let (mut world, log) = world(3, 1);
    world.cut(C, B);
    steps(&mut world, 10_000);
    assert!(count(&log, "connect TimedOut") > 70);
    assert_eq!(count(&log, "connect TimedOut"), log.borrow().len(), "{log:?}");
    assert_eq!(world.state.host(1).failed_connects.get(), 0);
    world.mend(C, B);
    steps(&mut world, 200);
    assert!(count(&log, "ok") > 5);
}

#[test]
fn a_process_crash_closes_and_keeps_the_page_cache() {
    let (mut world, log) = world(4, 1);
    steps(&mut world, 100);
    let size = |w: &SimWorld| w.disk(B).open("log", Open::Read).and_then(|f| f.size()).expect("is there");
    let before = size(&world);
    world.crash(B, Crash::Process);
    assert_eq!(size(&world), before);
    assert!(!world.up(B));
    steps(&mut world, 300);
    assert_eq!(count(&log, "timeout"), 0, "peers were told: {log:?}");
    assert!(count(&log, "connect ConnectionRefused") > 3, "{log:?}");
    world.start(B);
    assert_eq!(world.incarnation(B), 1);
    let ok = count(&log, "ok");
    steps(&mut world, 200);
    assert!(count(&log, "ok") > ok);
}

#[test]
fn a_power_loss_is_silence_and_then_a_reset() {
    let (mut world, log) = world(5, 1);
    steps(&mut world, 100);
    let before = log.borrow().len();
    world.crash(B, Crash::Power(Unsynced::Lost));
    steps(&mut world, 150);
    assert_eq!(log.borrow().len(), before, "silence: {log:?}");
    world.start(B);
    steps(&mut world, 30);
    assert!(log.borrow()[before].contains("err ConnectionReset"), "{log:?}");
    steps(&mut world, 100);
    assert!(count(&log, "ok") > before);
}

#[test]
fn a_reset_comes_after_the_append_and_before_the_response() {
    let (mut world, log) = world(6, 1);
    steps(&mut world, 100);
    world.reset_after(B, 0, 3);
    steps(&mut world, 300);
    let log = log.borrow();
    let failed: Vec<_> = log.iter().filter(|l| l.contains("err")).collect();
    assert_eq!(failed.len(), 1, "{log:?}");
    assert!(failed[0].contains("ConnectionReset"));
    // The broker has it all the same: one more entry than answers, before and after.
    let size = world.disk(B).open("log", Open::Read).and_then(|f| f.size()).expect("is there") / 12;
    let ok = log.iter().filter(|l| l.contains("ok")).count() as u64;
    assert!(size == ok + 1 || size == ok + 2, "{size} {ok}");
}

/// Requests (or answers) of the test's API from a host to the other, all but the first few.
fn frames(from: Host, to: Host, answers: bool, most: u32) -> Frames {
    Frames { from: Some(from), to: Some(to), api_key: 0, answers, skip: 3, most }
}

/// Requests that the broker has written down.
fn stored(world: &SimWorld) -> u64 {
    world.disk(B).open("log", Open::Read).and_then(|f| f.size()).expect("is there") / 12
}

#[test]
fn a_held_request_arrives_after_newer_ones() {
    let (mut world, log) = world(12, 1);
    steps(&mut world, 100);
    let ticket = world.hold(frames(C, B, false, 1));
    steps(&mut world, 500);
    assert_eq!(count(&log, "timeout"), 1, "{log:?}");
    let (before, ok) = (stored(&world), count(&log, "ok") as u64);
    assert!(ok > 20 && before <= ok + 1, "{before} stored, {ok} answered");
    world.release(ticket, false);
    steps(&mut world, 200);
    let late = stored(&world) - count(&log, "ok") as u64;
    assert!((1..=2).contains(&late), "the old request was handled too: {late}");
}

#[test]
fn a_lost_answer_breaks_its_connection_and_the_request_was_handled() {
    let (mut world, log) = world(13, 1);
    steps(&mut world, 100);
    let ticket = world.hold(frames(B, C, true, 1));
    steps(&mut world, 100);
    world.release(ticket, true);
    steps(&mut world, 200);
    assert_eq!(count(&log, "err ConnectionReset"), 1, "{log:?}");
    assert!(stored(&world) > count(&log, "ok") as u64);
}

#[test]
fn a_repeated_request_is_handled_twice() {
    let (mut world, log) = world(14, 1);
    steps(&mut world, 100);
    let ticket = world.repeat(frames(C, B, false, 5), Duration::from_millis(30));
    steps(&mut world, 400);
    world.release(ticket, false);
    all_well(&log);
    let twice = stored(&world) - count(&log, "ok") as u64;
    assert!((5..=6).contains(&twice), "{twice}");
}

#[test]
fn a_repeated_request_outlives_the_process_that_sent_it() {
    let (mut world, log) = world(14, 1);
    steps(&mut world, 100);
    let ticket = world.repeat(frames(C, B, false, 5), Duration::from_millis(300));
    steps(&mut world, 150);
    world.release(ticket, false);
    world.crash(C, Crash::Process);
    steps(&mut world, 50);
    let once = stored(&world) - count(&log, "ok") as u64;
    assert!(once <= 1, "{once}");
    world.start(C);
    let late = |world: &SimWorld| stored(world) - count(&log, "ok") as u64 - once;
    steps(&mut world, 50);
    assert!(late(&world) <= 1, "it is not due yet");
    steps(&mut world, 350);
    let twice = late(&world);
    assert!((5..=6).contains(&twice), "{twice}");
    // And not once more with each process.
    world.crash(C, Crash::Process);
    world.start(C);
    steps(&mut world, 400);
    assert!(late(&world) <= twice + 2, "{}", late(&world));
}

#[test]
fn a_host_stops_in_its_own_time_and_stays_down() {
    let (mut world, log) = world(15, 1);
    steps(&mut world, 100);
    world.stop(B);
    steps(&mut world, 5);
    assert!(world.up(B) && world.stopping(B));
    steps(&mut world, 300);
    assert!(!world.up(B), "its supervisor was not to start it again");
    world.start(B);
    let before = count(&log, "ok");
    steps(&mut world, 200);
    assert!(!world.stopping(B) && count(&log, "ok") > before);
}

#[test]
fn a_wiped_host_starts_with_an_empty_disk() {
    let (mut world, _) = world(16, 1);
    steps(&mut world, 100);
    world.wipe(B);
    assert!(!world.up(B));
    assert_eq!(world.disk(B).list("").expect("lists"), [""; 0]);
    world.start(B);
    steps(&mut world, 600);
    assert!(stored(&world) > 0);
}

#[test]
fn a_slow_link_is_slow_one_way_only() {
    let (mut world, log) = world(7, 1);
    steps(&mut world, 200);
    let fast = log.borrow().len();
    let ticket = world.slow(B, C, Duration::from_millis(50));
    steps(&mut world, 1000);
    let slow = log.borrow().len() - fast;
    assert!((10..=19).contains(&slow), "{slow} round trips of more than 50 ms in a second");
    world.hasten(B, C, ticket);
    steps(&mut world, 200);
    assert!(log.borrow().len() - fast - slow > fast / 2);
}

#[test]
fn a_frozen_host_holds_everything() {
    let (mut world, log) = world(8, 1);
    steps(&mut world, 100);
    world.freeze(B);
    steps(&mut world, 10);
    let before = log.borrow().len();
    steps(&mut world, 100);
    assert_eq!(log.borrow().len(), before);
    world.thaw(B);
    steps(&mut world, 100);
    all_well(&log);
    assert!(log.borrow().len() > before);
}

#[test]
fn a_client_is_killed_and_started() {
    let (mut world, log) = world(9, 1);
    steps(&mut world, 100);
    world.crash(C, Crash::Process);
    let before = log.borrow().len();
    steps(&mut world, 100);
    assert_eq!(log.borrow().len(), before);
    world.start(C);
    steps(&mut world, 100);
    assert!(log.borrow()[before..].iter().any(|l| l.ends_with("ok 1")), "it begins anew");
}

#[test]
fn a_halt_is_at_once_and_the_supervisor_starts_it_again() {
    let mut world = SimWorld::new(spec(10));
    let main = boxed(|env: SimEnv| async move {
        let file = env.disk().open("f", Open::Create).expect("opens");
        file.write_at(b"x", u64::from(env.incarnation())).expect("writes");
        env.sleep(Duration::from_millis(10)).await;
        env.halt("enough");
        assert!(file.write_at(b"y", 50).is_err(), "nothing leaks out after the halt");
        std::future::pending::<()>().await;
    });
    let host = world.add(HostSpec::broker("b".into(), NodeId(0), Some(Duration::from_millis(30)), main));
    steps(&mut world, 100);
    assert_eq!(world.incarnation(host), 2);
    let size = world.disk(host).open("f", Open::Read).and_then(|f| f.size()).expect("is there");
    assert_eq!(size, 3, "one byte for each life");
}

#[test]
fn a_panic_is_a_finding_with_its_place() {
    let mut world = SimWorld::new(spec(11));
    let main = boxed(|env: SimEnv| async move {
        let inner = env.clone();
        env.spawn("task", async move {
            inner.sleep(Duration::from_millis(5)).await;
            panic!("boom");
        });
        std::future::pending::<()>().await;
    });
    world.add(HostSpec::client("c".into(), main));
    let broken = (0..20).find_map(|_| world.step().err()).expect("breaks");
    assert_eq!(broken.host, "c");
    assert!(broken.message.starts_with("panic: boom at ") && broken.message.contains("tests.rs"), "{broken:?}");
    assert_eq!(world.step().unwrap_err(), broken, "it stays broken");
}

#[test]
fn a_spinning_host_is_a_hang() {
    let mut world = SimWorld::new(spec(12));
    let spin = |env: SimEnv| async move {
        loop {
            _ = env.now();
        }
    };
    world.add(HostSpec::client("c".into(), boxed(spin)));
    let broken = world.step().unwrap_err();
    assert!(broken.message.contains("hang"), "{broken:?}");
}

#[test]
fn clocks_bend() {
    let mut world = SimWorld::new(spec(13));
    let seen: Rc<RefCell<Vec<(u64, i64)>>> = Rc::default();
    let out = seen.clone();
    let main = boxed(move |env: SimEnv| {
        let out = out.clone();
        async move {
            loop {
                env.sleep(Duration::from_millis(100)).await;
                out.borrow_mut().push((env.now().0, env.wall()));
            }
        }
    });
    let host = world.add(HostSpec::client("c".into(), main));
    let drift = world.clock_drift(host, 1_000_000);
    steps(&mut world, 1000);
    assert!((19..=20).contains(&seen.borrow().len()), "a clock twice as fast: {}", seen.borrow().len());
    let before = seen.borrow().last().expect("has slept").1;
    world.clock_jump(host, -60_000);
    world.clock_steady(host, drift);
    steps(&mut world, 200);
    assert!(seen.borrow().last().expect("has slept").1 < before - 59_000);
    assert!(seen.borrow().is_sorted_by_key(|(mono, _)| *mono), "the monotonic clock never goes back");
}

/// Crashes of both kinds, cuts, resets and a bad disk, all drawn from the seed.
fn turbulent(seed: u64) -> (Vec<Event>, Vec<String>) {
    let (mut world, log) = world(seed, 3);
    let mut draw = Seed::new(seed).split("faults", 0).draw();
    let tape = world.tape();
    let (mut events, mut held) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let client = Host(1 + usize::try_from(draw.below(3)).expect("small"));
        match draw.below(12) {
            0 => world.crash(B, Crash::Process),
            1 => world.crash(B, Crash::Power(Unsynced::Torn)),
            2 => world.cut(B, client),
            3 => (0..4).for_each(|n| world.mend(B, Host(n))),
            4 => drop(world.reset_after(B, 0, 2)),
            5 => world.crash(client, Crash::Process),
            6 => drop(world.disk_slow(B, Duration::from_millis(draw.below(9)))),
            7 => world.stop(B),
            8 => held.push(world.hold(frames(B, client, true, 2))),
            9 => held.push(world.repeat(frames(client, B, false, 2), Duration::from_millis(9))),
            _ => {
                (0..4).for_each(|n| world.start(Host(n)));
                held.drain(..).for_each(|ticket| world.release(ticket, false));
            }
        }
        steps(&mut world, 25);
        tape.drain(&mut events);
    }
    let lines = log.borrow().clone();
    (events, lines)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the point: another thread, the same run")]
fn a_seed_is_a_run_on_any_thread() {
    let here: Vec<_> = (0..20).map(turbulent).collect();
    let there = std::thread::spawn(|| (0..20).rev().map(turbulent).collect::<Vec<_>>()).join().expect("ends");
    for (seed, (a, b)) in here.iter().zip(there.iter().rev()).enumerate() {
        assert!(a.0.len() > 10, "seed {seed} did nothing");
        assert_eq!(a, b, "seed {seed}");
    }
    assert_ne!(here[0].1, here[1].1);
}

#[test]
fn a_world_leaves_nothing_behind() {
    let weak = {
        let (mut world, _) = world(14, 2);
        steps(&mut world, 50);
        world.cut(B, C);
        steps(&mut world, 50);
        world.crash(B, Crash::Power(Unsynced::Torn));
        steps(&mut world, 50);
        Rc::downgrade(&world.state)
    };
    assert_eq!(weak.strong_count(), 0, "a cycle keeps the world alive");
}
