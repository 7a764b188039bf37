//! What a second of simulated time costs: idle, and with three hosts of clients that ask 100 times a second each. An
//! iteration is 1000 steps of 1 ms, so that its inverse is simulated seconds per CPU-second. And what a disk's append costs.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use broker::env::{Disk, Env, File, Listener, Net, Open};
use broker::ids::NodeId;
use criterion::{Criterion, criterion_group, criterion_main};
use harness::seed::Seed;
use harness::sim::World;
use harness::sim::env::SimEnv;
use harness::sim::turmoil::{HostSpec, SimWorld, WorldSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MS: Duration = Duration::from_millis(1);

type Main = Pin<Box<dyn Future<Output = ()>>>;

fn serve(env: SimEnv) -> Main {
    Box::pin(async move {
        let Ok(listener) = env.net().listen("b:9092").await else { return };
        while let Ok((mut stream, _)) = listener.accept().await {
            env.spawn("echo", async move {
                let mut buf = [0; 128];
                while stream.read_exact(&mut buf).await.is_ok() && stream.write_all(&buf).await.is_ok() {}
            });
        }
    })
}

fn ask(env: SimEnv) -> Main {
    Box::pin(async move {
        env.sleep(10 * MS).await;
        let Ok(stream) = env.net().connect("b:9092", 1000 * MS).await else { return };
        let (mut read, mut write) = tokio::io::split(stream);
        env.spawn("read", async move {
            let mut buf = [0; 128];
            while read.read_exact(&mut buf).await.is_ok() {}
        });
        loop {
            env.sleep(10 * MS).await;
            if write.write_all(&[7; 128]).await.is_err() {
                return;
            }
        }
    })
}

fn world(busy: bool) -> SimWorld {
    let spec = WorldSpec { seed: Seed::new(1), tick: MS, latency: (MS, 5 * MS), split: true };
    let mut world = SimWorld::new(spec);
    world.add(HostSpec::broker("b".into(), NodeId(0), None, Rc::new(serve)));
    for n in 0..3 {
        let main: fn(SimEnv) -> Main = if busy { ask } else { |_| Box::pin(std::future::pending()) };
        world.add(HostSpec::client(format!("c{n}"), Rc::new(main)));
    }
    world
}

fn seconds(c: &mut Criterion) {
    let mut group = c.benchmark_group("simulated second, 4 hosts");
    group.sample_size(20);
    for (name, busy) in [("idle", false), ("300 requests", true)] {
        let mut world = world(busy);
        group.bench_function(name, |b| b.iter(|| (0..1000).for_each(|_| world.step().expect("goes on"))));
    }
    group.finish();
}

fn appends(c: &mut Criterion) {
    let world = world(false);
    let disk = world.disk(world.brokers()[0]);
    let file = disk.open("log", Open::Create).expect("opens");
    let bytes = [7; 200];
    let mut at = 0;
    c.bench_function("append of 200 bytes, any backlog", |b| {
        b.iter(|| {
            if at > 64 << 20 {
                file.truncate(0).expect("cuts");
                at = 0;
            }
            file.write_at(&bytes, at).expect("writes");
            at += 200;
        });
    });
}

criterion_group!(benches, seconds, appends);
criterion_main!(benches);
