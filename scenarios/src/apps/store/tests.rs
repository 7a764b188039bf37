//! Whatever ends the process or the power, and whenever: what is found afterwards is what some of the transactions made, from
//! the first on without a gap, and every one that was flushed is among them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use broker::env::Env;
use harness::seed::Seed;
use harness::sim::env::SimEnv;
use harness::sim::turmoil::{HostSpec, SimWorld, WorldSpec};
use harness::sim::{Crash, Unsynced, World};
use redb::{ReadableTable, TableDefinition};

use super::Store;

const ROWS: TableDefinition<'_, u64, u64> = TableDefinition::new("rows");

type Content = BTreeMap<u64, u64>;

/// What may be found: the content after each transaction since the one that is known to be durable.
#[derive(Default)]
struct Model {
    after: Vec<Content>,
    opened: u64,
    /// Transactions that were lost, and such that were durable although nobody had heard of it.
    lost: usize,
    kept: usize,
    flushes: u64,
}

fn content<D: broker::env::Disk>(store: &Store<D>) -> Content {
    let read = store.read().expect("reads");
    match read.open_table(ROWS) {
        Ok(table) => {
            table.iter().expect("rows").map(|row| row.expect("a row")).map(|(k, v)| (k.value(), v.value())).collect()
        }
        Err(redb::TableError::TableDoesNotExist(_)) => Content::new(),
        Err(e) => panic!("{e}"),
    }
}

/// A process: opens what is there, judges it, and goes on.
async fn live(env: SimEnv, model: Rc<RefCell<Model>>) {
    let store = Store::open(env.disk(), "rows.redb").await.expect("opens");
    let found = content(&store);
    {
        let mut model = model.borrow_mut();
        let at = model.after.iter().rposition(|after| *after == found);
        let at = at.unwrap_or_else(|| panic!("found {found:?}; expected one of {:?}", model.after));
        model.lost += model.after.len() - 1 - at;
        model.kept += at;
        model.opened += 1;
        model.after = vec![found];
    }
    loop {
        let mut now = model.borrow().after.last().cloned().expect("never empty");
        let change = |txn: &redb::WriteTransaction| {
            let mut table = txn.open_table(ROWS)?;
            for _ in 0..1 + env.draw() % 4 {
                let (key, value) = (env.draw() % 200, env.draw());
                if value.is_multiple_of(4) {
                    table.remove(key)?;
                    now.remove(&key);
                } else {
                    table.insert(key, value)?;
                    now.insert(key, value);
                }
            }
            Ok(())
        };
        store.change(change).expect("changes");
        model.borrow_mut().after.push(now);
        if env.draw().is_multiple_of(3) {
            let covered = model.borrow().after.len() - 1;
            store.flush().await.expect("flushes");
            model.borrow_mut().after.drain(..covered);
            model.borrow_mut().flushes += 1;
        }
    }
}

#[test]
fn what_is_found_after_a_crash_is_a_prefix_with_all_that_was_flushed() {
    let (mut lost, mut kept, mut flushes) = (0, 0, 0);
    for seed in 0..12 {
        let latency = (Duration::from_millis(1), Duration::from_millis(2));
        let spec = WorldSpec { seed: Seed::new(seed), tick: Duration::from_millis(1), latency, split: false };
        let mut world = SimWorld::new(spec);
        let model = Rc::new(RefCell::new(Model { after: vec![Content::new()], ..Model::default() }));
        let theirs = model.clone();
        let host = world.add(HostSpec::client("app".into(), Rc::new(move |env| Box::pin(live(env, theirs.clone())))));
        let mut draw = Seed::new(seed).split("crashes", 0).draw();
        for _ in 0..40 {
            for _ in 0..draw.between(1, 60) {
                world.step().expect("no panic");
            }
            let power = [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn, Unsynced::Torn].map(Crash::Power);
            world.crash(host, if draw.chance(250) { Crash::Process } else { *draw.pick(&power) });
            world.start(host);
        }
        let model = model.borrow();
        assert!(model.opened > 10, "seed {seed}: opened {} times", model.opened);
        (lost, kept, flushes) = (lost + model.lost, kept + model.kept, flushes + model.flushes);
    }
    assert!(lost > 50 && kept > 10 && flushes > 500, "lost {lost}, kept unheard {kept}, flushed {flushes}");
}
