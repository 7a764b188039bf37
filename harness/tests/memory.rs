//! Worlds leave nothing behind: a sweep runs tens of thousands of them in one process. Alone in its process, because it
//! looks at the process's memory.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use broker::env::{Disk, Env, File, Listener, Net, Open};
use broker::ids::NodeId;
use harness::plan::Target;
use harness::run::RunSpec;
use harness::scenario::{Menace, Scenario, Setup};
use harness::seed::Seed;
use harness::sim::env::SimEnv;
use harness::sim::turmoil::{HostSpec, SimWorld, WorldSpec};
use harness::sim::{Crash, Host, Unsynced, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Main = Pin<Box<dyn Future<Output = ()>>>;

const MS: Duration = Duration::from_millis(1);

fn serve(env: SimEnv) -> Main {
    Box::pin(async move {
        let Ok(listener) = env.net().listen("b:9092").await else { return };
        while let Ok((mut stream, _)) = listener.accept().await {
            let node = env.clone();
            env.spawn("connection", async move {
                let mut buf = [0; 100];
                while stream.read_exact(&mut buf).await.is_ok() {
                    let Ok(file) = node.disk().open("log", Open::Create) else { return };
                    _ = file.write_at(&[1; 10_000], file.size().unwrap_or(0));
                    _ = file.sync().await;
                    _ = stream.write_all(&buf).await;
                }
            });
        }
    })
}

fn ask(env: SimEnv) -> Main {
    Box::pin(async move {
        loop {
            env.sleep(5 * MS).await;
            let Ok(mut stream) = env.net().connect("b:9092", 20 * MS).await else { continue };
            let mut buf = [0; 100];
            while stream.write_all(&buf).await.is_ok()
                && matches!(env.timeout(20 * MS, stream.read_exact(&mut buf)).await, Some(Ok(_)))
            {}
        }
    })
}

fn one_world(seed: u64) {
    let spec = WorldSpec { seed: Seed::new(seed), tick: MS, latency: (MS, 4 * MS), split: true };
    let mut world = SimWorld::new(spec);
    let broker = world.add(HostSpec::broker("b".into(), NodeId(0), None, Rc::new(serve)));
    let clients: Vec<Host> = (0..3).map(|n| world.add(HostSpec::client(format!("c{n}"), Rc::new(ask)))).collect();
    for step in 0..100 {
        match step {
            30 => world.crash(broker, Crash::Power(Unsynced::Torn)),
            50 => world.start(broker),
            60 => world.cut(broker, clients[0]),
            70 => world.crash(clients[1], Crash::Process),
            80 if seed.is_multiple_of(2) => world.crash(broker, Crash::Process),
            _ => {}
        }
        world.step().expect("does not break");
    }
}

/// Resident pages of this process.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    statm.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number")
}

static KILLS: Scenario = Scenario {
    name: "kills",
    about: "a broker and its clients are killed",
    setup: |_| {
        let mut setup = Setup::one_topic("orders", 2);
        setup.menu = [("process_crash", Target::Broker), ("client_crash", Target::Client)]
            .map(|(fault, target)| Menace {
                fault,
                target,
                count: (1, 2),
                duration_ms: (50, 300),
                force: (0, 0),
                after: &[],
            })
            .into();
        setup
    },
};

/// A whole run: broker, clients, checkers.
fn one_run(seed: u64) {
    let report = harness::run::run(&RunSpec::new(&KILLS, seed), None);
    assert!(report.cost.acked > 0, "seed {seed} has done nothing");
}

// One test, because another beside it would be measured too.
#[test]
fn memory_is_flat_over_many_worlds_and_many_runs() {
    (0..100).for_each(one_world);
    let before = resident();
    (100..1500).for_each(one_world);
    let grown = resident().saturating_sub(before);
    assert!(grown < 512, "{grown} pages after 1400 more worlds: each leaves something behind");

    (0..20).chain(0..20).for_each(one_run);
    let before = resident();
    (0..5).for_each(|_| (0..20).for_each(one_run));
    let grown = resident().saturating_sub(before);
    assert!(grown < 512, "{grown} pages after the same runs 5 times more: each leaves something behind");
}
