//! Asks DeleteRecords now and then, for some of what is there.

use broker::env::Env;

use crate::client::admin::LATEST;
use crate::history::{Call, Reply};

use super::Role;

/// An answer is waited for this long at most, in milliseconds.
const PATIENCE_MS: u64 = 3000;

pub(super) async fn play<E: Env>(role: Role<E>) {
    role.ready().await;
    let (client, mut draw) = (role.client(), role.draws());
    while role.loading() {
        role.pause(draw.between(100, 900)).await;
        let at = *draw.pick(&role.stage.live());
        let tp = &role.stage.partitions[at];
        let Ok(latest) = client.list_offsets(tp, LATEST, role.within(PATIENCE_MS)).await else { continue };
        let before = i64::try_from(draw.below(u64::try_from(latest.offset).unwrap_or(0) + 1)).unwrap_or(0);
        let call = Call::DeleteRecords { tp: role.tp(at), before };
        let asked = client.delete_records(tp, before, role.within(PATIENCE_MS));
        // A refusal is as good an outcome as any: the log's start may have passed `before` meanwhile.
        let _ = role.noted(call, asked, |_| Reply::None).await;
    }
}
