//! Setting a group back to a time, as after a bug in its application: nobody is in it meanwhile, and whoever comes then goes
//! through everything from there on again.

use std::collections::{BTreeMap, BTreeSet};

use broker::env::{Env, Mono};
use broker::ids::{Offset, TopicPartition};

use super::Role;
use crate::client::group::operator::Operator;
use crate::client::group::watch::{OnTape, Step, Watch};
use crate::client::{CallError, Client};
use crate::group_load::GroupLoad;
use crate::seed::Draw;

/// Until the last member is gone, one that died in silence among them, and the offsets are set, in milliseconds.
const PATIENCE_MS: u64 = 3000;
/// One request's patience.
const ATTEMPT_MS: u64 = 500;
/// How far back it goes, in milliseconds, least and most.
const BACK_MS: (u64, u64) = (300, 3000);

/// One attempt at all of it.
pub(super) async fn carry_out<E: Env>(role: &Role<E>, client: &Client<E>, mut draw: Draw) -> Result<(), CallError> {
    let stage = &role.stage;
    let group = u32::try_from(draw.below(stage.setup.load.groups.len() as u64)).unwrap_or(0);
    let back = i64::try_from(draw.between(BACK_MS.0, BACK_MS.1)).unwrap_or(0);
    let (operator, deadline) = (Operator::new(client, GroupLoad::name(group)), role.within(PATIENCE_MS));
    let _away = stage.send_away(group);
    let watch = OnTape::new(stage.tape.clone(), role.number, role.incarnation, group);
    let since = role.env.wall() - back;
    loop {
        let end = attempt(role, client, &operator, &watch, since).await;
        if end.is_ok() || role.env.now() >= deadline {
            return end;
        }
        role.pause(50).await;
    }
}

async fn attempt<E: Env>(
    role: &Role<E>,
    client: &Client<E>,
    operator: &Operator<'_, E>,
    watch: &OnTape,
    since: i64,
) -> Result<(), CallError> {
    let by = || -> Mono { role.within(ATTEMPT_MS) };
    let live = role.stage.live().into_iter().map(|at| role.stage.partitions[at].clone());
    let committed = operator.committed(&live.collect::<BTreeSet<_>>(), by()).await?;
    let mut offsets: BTreeMap<TopicPartition, Offset> = BTreeMap::new();
    for (tp, offset) in committed {
        let then = client.list_offsets(&tp, since, by()).await?.offset;
        // Back, never forth: what the group has not come to yet it need not be sent to.
        if (0..offset).contains(&then) {
            offsets.insert(tp, then);
        }
    }
    if offsets.is_empty() {
        return Ok(());
    }
    let commit = watch.commits(-1, &offsets);
    let end = operator.set(&offsets, by()).await;
    watch.committed(commit, end.map(|()| false));
    end?;
    offsets.into_iter().for_each(|(tp, offset)| watch.step(-1, Step::Rewound(tp, offset)));
    Ok(())
}
