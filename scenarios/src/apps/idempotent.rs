//! The idempotent consumer: what an event asks for, and that the event is known, are one transaction. However often a record
//! is handed out, and however often its producer stored it, its effect is there once.

use std::rc::Rc;

use broker::env::Env;
use broker::planted::{Defect, planted};
use harness::app::App;
use harness::client::consumer::Polled;
use harness::group_load::GroupLoad;
use harness::history::Origin;
use harness::workload::Role;

use super::crew::{Post, staff};
use super::store::Result;
use super::{Shop, books};

/// The application; without `dedup` it knows no event again, and does what it is handed each time.
pub(crate) fn app(name: &'static str, group: GroupLoad, dedup: bool) -> App {
    App {
        name,
        group,
        play: Rc::new(move |crew| Box::pin(staff(crew, async move |post, shop| work(post, shop, dedup).await))),
    }
}

async fn work<E: Env>(post: Post<E>, shop: Rc<Shop<E>>, dedup: bool) {
    post.work(async |role: &Role<E>, part: &Polled| {
        let events = part.records.iter().filter_map(|record| role.origin(&part.tp, record));
        handle(role, &shop, dedup, events).await
    })
    .await;
}

/// Does what these events ask for: all of it, or nothing.
pub(super) async fn handle<E: Env>(
    role: &Role<E>,
    shop: &Shop<E>,
    dedup: bool,
    events: impl Iterator<Item = Origin>,
) -> Result<()> {
    let done = shop.store.change(|txn| {
        let mut done = Vec::new();
        for of in events {
            if !dedup || !books::knows(txn, of)? {
                done.push((books::enter(txn, of)?, of));
                if !planted(Defect::ApDedupNonatomic) {
                    books::remember(txn, of)?;
                }
            }
        }
        Ok(done)
    })?;
    done.iter().for_each(|(row, of)| shop.did(*row, *of));
    // Also where all was known already: whoever did it may not have heard yet that it is durable.
    shop.settle(role).await?;
    if planted(Defect::ApDedupNonatomic) {
        shop.store.change(|txn| done.iter().try_for_each(|(_, of)| books::remember(txn, *of)))?;
        shop.store.flush().await?;
    }
    Ok(())
}
