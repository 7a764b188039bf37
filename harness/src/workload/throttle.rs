//! Looks at how far the first group is behind, for producers that wait for it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use broker::env::Env;

use super::{Role, seeker};
use crate::client::admin::LATEST;
use crate::client::group::operator::Operator;
use crate::client::group::watch::{OnTape, Watch};
use crate::client::throttle::{Bounds, Throttle};
use crate::client::{CallError, Client};
use crate::group_load::GroupLoad;

/// The group that producers wait for.
const GROUP: u32 = 0;
/// From one look to the next, in milliseconds.
const EVERY_MS: u64 = 50;
/// How long the group's coordinator may take over an answer, in milliseconds.
const PATIENCE_MS: u64 = 500;

/// A producer's leave to send, for as long as there is load; `None` if it waits for nobody.
pub(super) fn watch<E: Env>(role: &Rc<Role<E>>) -> Option<Rc<RefCell<Throttle>>> {
    let load = &role.stage.setup.load;
    if load.lag_bound == 0 {
        return None;
    }
    let bounds = Bounds { most: load.lag_bound, producers: u64::from(load.producers) };
    let throttle = Rc::new(RefCell::new(Throttle::new(bounds)));
    let (role, shared) = (role.clone(), throttle.clone());
    role.env.clone().spawn("lag", async move {
        let client = role.client();
        while role.loading() {
            let look = shared.borrow().look();
            // One that fails gives no leave.
            if let Ok(lag) = lag(&role, &client).await {
                shared.borrow_mut().hears(look, lag);
            }
            role.pause(EVERY_MS).await;
        }
    });
    Some(throttle)
}

/// How many records of its input the group has not committed.
async fn lag<E: Env>(role: &Role<E>, client: &Client<E>) -> Result<u64, CallError> {
    let fed = role.stage.fed();
    let partitions: BTreeSet<_> = fed.iter().map(|at| role.stage.partitions[*at].clone()).collect();
    let on_tape = OnTape::new(role.stage.tape.clone(), role.number, role.incarnation, GROUP);
    let asked = on_tape.asks(&partitions);
    let operator = Operator::new(client, GroupLoad::name(GROUP));
    let committed = operator.committed(&partitions, role.within(PATIENCE_MS)).await;
    on_tape.fetched(asked, committed.as_ref().map_err(|e| *e));
    let (committed, mut lag) = (committed?, 0);
    for at in fed {
        let end = seeker::ask(role, client, at, LATEST).await?.offset;
        // Where nothing is committed, the group begins at the start.
        let begun = committed.get(&role.stage.partitions[at]).map_or(0, |offset| (*offset).max(0));
        lag += u64::try_from(end - begun).unwrap_or(0);
    }
    Ok(lag)
}
