//! Applications under test: what people build on a log, with state in a database on their host's disk.
//!
//! All members of an application's group run in one process and share one database, as several workers of a service share
//! the one that it owns. So a partition finds what is known of its events wherever it goes; the process dies as one.

mod books;
mod crew;
mod desk;
#[cfg(test)]
mod desk_tests;
pub(crate) mod idempotent;
pub(crate) mod pooled;
mod queue;
pub(crate) mod retry;
mod store;

use std::cell::RefCell;
use std::collections::VecDeque;

use broker::env::Env;
use harness::history::{AppStep, Origin};
use harness::seed::{Draw, Seed};
use harness::workload::Role;

use self::store::{Result, Store};

/// The file that holds an application's database.
const DATABASE: &str = "app.redb";

/// What a handler meets in an event: the same each time, whoever handles it.
fn chances(of: Origin) -> Draw {
    let seed = Seed::new(of.id.seq).split("producer", u64::from(of.id.producer));
    seed.split("life", u64::from(of.id.incarnation)).split("partition", u64::from(of.tp.0)).draw()
}

/// One process of an application: its database, and what it has done that it has not stated yet.
struct Shop<E: Env> {
    app: u32,
    store: Store<E::Disk>,
    /// In the order of the ledger.
    untold: RefCell<VecDeque<(u64, Origin)>>,
}

impl<E: Env> Shop<E> {
    /// Opens the database of an application whose process begins, and states what it has done so far.
    async fn open(app: u32, role: &Role<E>) -> Result<Self> {
        let store = Store::open(role.env.disk(), DATABASE).await?;
        let ledger = books::ledger(&store)?;
        role.tells(app, AppStep::Opened { rows: ledger.len() as u64 });
        for (row, of) in (0..).zip(ledger) {
            role.tells(app, AppStep::Effect { row, of });
        }
        Ok(Self { app, store, untold: RefCell::default() })
    }

    /// What an event asks for is done, by the transaction that was committed last.
    fn did(&self, row: u64, of: Origin) {
        self.untold.borrow_mut().push_back((row, of));
    }

    /// Makes durable what was done, and states it: all of it in the order of the ledger, whoever did it.
    async fn settle(&self, role: &Role<E>) -> Result<()> {
        let upto = self.untold.borrow().back().map_or(0, |(row, _)| row + 1);
        self.store.flush().await?;
        let mut untold = self.untold.borrow_mut();
        while let Some((row, of)) = untold.pop_front_if(|(row, _)| *row < upto) {
            role.tells(self.app, AppStep::Effect { row, of });
        }
        Ok(())
    }
}
