//! Scenarios of consumer groups: members that come, go, stand still and come back; coordinators that die under them.

pub mod at_most_once;
pub mod backlog_drain;
pub mod backpressure;
pub mod coordinator_crash;
pub mod coordinator_cut;
pub mod dead_letter_order;
pub mod duplicate_delivery;
pub mod expand_partitions;
pub mod hot_partition;
pub mod hung_handler;
pub mod independent_groups;
pub mod lag_spike;
pub mod lost_join;
pub mod member_crash;
pub mod more_members_than_partitions;
pub mod near_members;
pub mod offsets_survive_failover;
pub mod orders_pipeline;
pub mod poison_message;
pub mod rebalance_storm;
pub mod replay_after_bug;
pub mod slow_member;
pub mod static_restart;
pub mod stuck_consumer;
pub mod throttled_producer;
pub mod twin_instance;
pub mod zombie_member;

#[cfg(test)]
mod tests {
    use harness::report::GroupWork;
    use harness::run::{Overrides, RunSpec, run};
    use harness::scenario::{Load, Scenario};

    /// What the first group did under a load that was changed so.
    fn group(scenario: &'static Scenario, change: impl FnOnce(&mut Load)) -> GroupWork {
        let mut spec = RunSpec::new(scenario, 1);
        let mut load = spec.setup().load;
        change(&mut load);
        spec.with = Overrides { load: Some(load), ..Overrides::default() };
        run(&spec, None).groups.remove(0)
    }

    #[test]
    fn a_salt_cools_a_hot_partition() {
        let [whole, salted] = [1, 16].map(|salts| group(&super::hot_partition::SCENARIO, |load| load.salts = salts));
        assert!(whole.hottest_per_mille > salted.hottest_per_mille + 50, "{whole:?} {salted:?}");
    }

    #[test]
    fn a_spike_leaves_a_group_behind() {
        let [calm, spiked] =
            [1, 20].map(|factor| group(&super::lag_spike::SCENARIO, |load| load.spike_factor = factor));
        assert!(spiked.lag_max > 3 * calm.lag_max && spiked.delivered > calm.delivered, "{calm:?} {spiked:?}");
    }

    #[test]
    fn producers_that_wait_leave_no_group_behind_and_go_on() {
        let [free, held] =
            [0, 150].map(|most| group(&super::throttled_producer::SCENARIO, |load| load.lag_bound = most));
        assert!(free.lag_max > 2 * held.lag_max && 4 * held.delivered > free.delivered, "{free:?} {held:?}");
    }
}
