//! Whether what a recipe waits for is so, counted from the moment it began to wait.

use std::collections::BTreeMap;

use broker::ids::LeaderEpoch;

use super::roles::Roles;
use crate::history::TpId;
use crate::plan::{Mark, Plan, Trigger};
use crate::recipe::Wait;
use crate::sim::World;

/// How many events of each kind there were.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    all: [u64; Mark::COUNT],
    parts: BTreeMap<TpId, [u64; Mark::COUNT]>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { all: [0; Mark::COUNT], parts: BTreeMap::new() }
    }
}

impl Tally {
    /// One more.
    pub(super) fn count(&mut self, mark: Mark, tp: Option<TpId>) {
        self.all[mark as usize] += 1;
        if let Some(tp) = tp {
            self.parts.entry(tp).or_insert([0; Mark::COUNT])[mark as usize] += 1;
        }
    }

    /// Of any partition, or of none.
    pub(super) fn of(&self, mark: Mark) -> u64 {
        self.all[mark as usize]
    }

    fn of_part(&self, mark: Mark, p: Option<u32>) -> u64 {
        match p {
            Some(p) => self.parts.get(&TpId(p)).map_or(0, |part| part[mark as usize]),
            None => self.of(mark),
        }
    }
}

/// How things stood when the waiting began.
#[derive(Clone, Debug, Default)]
pub(super) struct Since {
    tally: Tally,
    epochs: BTreeMap<TpId, LeaderEpoch>,
    asked: BTreeMap<i16, u64>,
}

/// How things stand.
pub(super) struct Now<'a> {
    pub(super) tally: &'a Tally,
    pub(super) roles: &'a Roles,
    pub(super) world: &'a dyn World,
}

impl Now<'_> {
    /// Begins to wait for what `plan` waits for. So many strikes were noted and are not counted yet.
    pub(super) fn since(&self, apis: &[i16], pending: usize) -> Since {
        let mut tally = self.tally.clone();
        tally.all[Mark::Struck as usize] += pending as u64;
        let asked = apis.iter().map(|api| (*api, self.world.asked(*api))).collect();
        Since { tally, epochs: self.roles.epochs(), asked }
    }

    /// Whether all of it is so.
    pub(super) fn all(&self, waits: &[Wait], since: &Since) -> bool {
        waits.iter().all(|wait| self.one(wait, since))
    }

    fn one(&self, wait: &Wait, since: &Since) -> bool {
        match *wait {
            Wait::Nth { of, p, n } => self.tally.of_part(of, p).saturating_sub(since.tally.of_part(of, p)) >= n,
            Wait::Asked { api, n } => {
                self.world.asked(api).saturating_sub(since.asked.get(&api).copied().unwrap_or(0)) >= n
            }
            Wait::InSync { p, size } => self.roles.in_sync(TpId(p)) == Some(size),
            Wait::NewLeader { p } => {
                self.roles.reign(TpId(p)).is_some_and(|epoch| since.epochs.get(&TpId(p)).is_none_or(|e| *e < epoch))
            }
            Wait::Level { p } => self.roles.replicas(TpId(p)).is_some_and(|(leader, followers)| {
                leader.high < leader.end && followers.iter().all(|of| of.end == leader.end)
            }),
            Wait::Ahead { p } => self.roles.replicas(TpId(p)).is_some_and(|(leader, followers)| {
                let all_lag = followers.iter().all(|of| of.high < leader.high);
                all_lag && followers.iter().any(|of| of.end >= leader.high)
            }),
            Wait::Tail { p, n } => self
                .roles
                .replicas(TpId(p))
                .is_some_and(|(leader, followers)| followers.iter().all(|of| of.end + n <= leader.end)),
        }
    }
}

/// The APIs whose requests a plan waits for.
pub(super) fn apis(plan: &Plan) -> Vec<i16> {
    let waits = plan.strikes.iter().flat_map(|strike| {
        let then: &[Wait] = if let Trigger::Then { waits } = &strike.trigger { waits } else { &[] };
        then.iter().chain(&strike.until)
    });
    let mut apis: Vec<i16> =
        waits.filter_map(|wait| if let Wait::Asked { api, .. } = wait { Some(*api) } else { None }).collect();
    apis.sort_unstable();
    apis.dedup();
    apis
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use broker::fact::Fact;
    use broker::ids::{NodeId, Offset, TopicPartition};

    use super::*;
    use crate::history::{Event, Kind};
    use crate::recipe::{any, nth};
    use crate::seed::Seed;
    use crate::sim::turmoil::{SimWorld, WorldSpec};

    struct Scene(Tally, Roles, SimWorld);

    impl Scene {
        fn new() -> Self {
            let ms = Duration::from_millis(1);
            let world = SimWorld::new(WorldSpec { seed: Seed::new(1), tick: ms, latency: (ms, ms), split: false });
            Self(Tally::default(), Roles::default(), world)
        }

        fn says(&mut self, node: i32, fact: Fact) {
            let kind = Kind::Fact { node: NodeId(node), incarnation: 0, tp: Some(TpId(0)), fact };
            self.1.see(&Event { at: 0, kind });
        }

        fn leads(&mut self, node: i32, epoch: LeaderEpoch) {
            let in_sync = vec![NodeId(0), NodeId(1)];
            self.says(node, Fact::Leads { tp: tp(), epoch, partition_epoch: epoch, end: 0, in_sync });
        }

        fn marks(&mut self, node: i32, high: Offset, end: Offset) {
            self.says(node, Fact::Watermarks { tp: tp(), log_start: 0, stable: high, high, end, epoch: 0 });
        }

        fn now(&self) -> Now<'_> {
            Now { tally: &self.0, roles: &self.1, world: &self.2 }
        }

        fn so(&self, wait: Wait, since: &Since) -> bool {
            self.now().all(&[wait], since)
        }
    }

    fn tp() -> TopicPartition {
        TopicPartition::new("p", 0)
    }

    #[test]
    fn events_are_counted_from_where_the_waiting_began() {
        let mut scene = Scene::new();
        scene.0.count(Mark::Acked, Some(TpId(0)));
        let since = scene.now().since(&[1], 1);
        assert!(!scene.so(any(Mark::Acked, 1), &since));
        scene.0.count(Mark::Acked, Some(TpId(1)));
        assert!(scene.so(any(Mark::Acked, 1), &since) && !scene.so(nth(Mark::Acked, 0, 1), &since));
        // The strike itself was noted already.
        scene.0.count(Mark::Struck, None);
        assert!(!scene.so(any(Mark::Struck, 1), &since));
        scene.0.count(Mark::Struck, None);
        assert!(scene.so(any(Mark::Struck, 1), &since) && !scene.so(Wait::Asked { api: 1, n: 1 }, &since));
    }

    #[test]
    fn another_leader_is_one_of_a_newer_epoch_that_is_up() {
        let mut scene = Scene::new();
        scene.leads(0, 3);
        let since = scene.now().since(&[], 0);
        assert!(!scene.so(Wait::NewLeader { p: 0 }, &since) && scene.so(Wait::InSync { p: 0, size: 2 }, &since));
        let down = Kind::Down { host: "b".into(), node: Some(NodeId(0)), power: false, why: String::new() };
        scene.1.see(&Event { at: 0, kind: down });
        assert!(!scene.so(Wait::NewLeader { p: 0 }, &since) && !scene.so(Wait::InSync { p: 0, size: 2 }, &since));
        scene.leads(1, 4);
        assert!(scene.so(Wait::NewLeader { p: 0 }, &since));
    }

    #[test]
    fn what_replicas_have_and_know() {
        let mut scene = Scene::new();
        let (level, ahead) = (Wait::Level { p: 0 }, Wait::Ahead { p: 0 });
        scene.leads(0, 0);
        scene.says(1, Fact::Follows { tp: tp(), epoch: 0, leader: Some(NodeId(0)) });
        let since = Since::default();
        let mut so = |leader: (Offset, Offset), follower: (Offset, Offset)| {
            scene.marks(0, leader.0, leader.1);
            scene.marks(1, follower.0, follower.1);
            let tail = Wait::Tail { p: 0, n: 2 };
            (scene.so(level, &since), scene.so(ahead, &since), scene.so(tail, &since))
        };
        assert_eq!(so((5, 5), (5, 5)), (false, false, false));
        assert_eq!(so((5, 7), (5, 5)), (false, false, true));
        assert_eq!(so((5, 7), (5, 7)), (true, false, false));
        assert_eq!(so((7, 7), (5, 7)), (false, true, false));
        assert_eq!(so((7, 7), (5, 6)), (false, false, false));
    }
}
