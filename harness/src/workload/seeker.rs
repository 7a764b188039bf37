//! Asks ListOffsets: earliest, latest, the largest timestamp, and look-ups by time over the run so far.

use broker::env::Env;

use crate::client::admin::{EARLIEST, LATEST, MAX_TIMESTAMP};
use crate::history::{Call, Reply, TpId};

use super::Role;

/// A look-up's answer is waited for this long at most, in milliseconds.
const PATIENCE_MS: u64 = 3000;

pub(super) async fn play<E: Env>(role: Role<E>) {
    role.ready().await;
    let (client, mut draw) = (role.client(), role.draws());
    let began = role.env.wall();
    while role.loading() {
        let at = usize::try_from(draw.below(role.stage.partitions.len() as u64)).unwrap_or(0);
        let span = u64::try_from(role.env.wall() - began).unwrap_or(0) + 500;
        let moment = began - 250 + i64::try_from(draw.below(span)).unwrap_or(0);
        let query = *draw.pick(&[LATEST, EARLIEST, MAX_TIMESTAMP, moment, moment, moment]);
        let call = Call::ListOffsets { tp: TpId(u32::try_from(at).unwrap_or(u32::MAX)), query };
        let asked = client.list_offsets(&role.stage.partitions[at], query, role.within(PATIENCE_MS));
        let reply = |_, listed: &crate::client::admin::Listed| Reply::Listed {
            offset: listed.offset,
            timestamp: listed.timestamp,
        };
        if role.noted(call, asked, reply).await.is_err() {
            role.pause(50).await;
        }
        role.pause(draw.between(2, 60)).await;
    }
}
