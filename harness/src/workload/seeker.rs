//! Asks ListOffsets: earliest, latest, the largest timestamp, and look-ups by time over the run so far.

use broker::env::Env;

use crate::client::admin::{EARLIEST, LATEST, Listed, MAX_TIMESTAMP};
use crate::client::{CallError, Client};
use crate::history::{Call, Reply};

use super::Role;

/// A look-up's answer is waited for this long at most, in milliseconds.
const PATIENCE_MS: u64 = 3000;

pub(super) async fn play<E: Env>(role: Role<E>) {
    role.ready().await;
    let (client, mut draw) = (role.client(), role.draws());
    let began = role.env.wall();
    while role.loading() {
        let at = *draw.pick(&role.stage.live());
        let span = u64::try_from(role.env.wall() - began).unwrap_or(0) + 500;
        let moment = began - 250 + i64::try_from(draw.below(span)).unwrap_or(0);
        let query = *draw.pick(&[LATEST, EARLIEST, MAX_TIMESTAMP, moment, moment, moment]);
        if ask(&role, &client, at, query).await.is_err() {
            role.pause(50).await;
        }
        role.pause(draw.between(2, 60)).await;
    }
}

/// One ListOffsets, noted.
pub(super) async fn ask<E: Env>(
    role: &Role<E>,
    client: &Client<E>,
    at: usize,
    query: i64,
) -> Result<Listed, CallError> {
    let call = Call::ListOffsets { tp: role.tp(at), query };
    let asked = client.list_offsets(&role.stage.partitions[at], query, role.within(PATIENCE_MS));
    role.noted(call, asked, |l| Reply::Listed { offset: l.offset, timestamp: l.timestamp }).await
}
