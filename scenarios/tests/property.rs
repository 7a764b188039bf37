//! Properties over whole simulated runs: any plan from the menus, any workload, any log settings.

use harness::property;
use proptest::prelude::*;

/// Runs of each scenario; `PROPTEST_CASES` asks for more.
const CASES: u32 = 12;

fn scenario(name: &str) -> &'static harness::scenario::Scenario {
    scenarios::find(name).unwrap_or_else(|| panic!("no scenario {name}"))
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 60, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn power_loss_takes_nothing_acknowledged(spec in property::specs(scenario("power_loss"))) {
        property::holds(&spec)?;
    }

    #[test]
    fn lost_answers_are_never_mistaken(spec in property::specs(scenario("reset_after_append"))) {
        property::holds(&spec)?;
    }

    #[test]
    fn torn_tails_are_never_served(spec in property::specs(scenario("torn_tail"))) {
        property::holds(&spec)?;
    }

    #[test]
    fn a_full_disk_harms_no_record(spec in property::specs(scenario("full_disk"))) {
        property::holds(&spec)?;
    }
}

/// A property test that cannot fail proves nothing: with a defect planted, the same property must break, shrink to at
/// most three strikes, and print its replay line.
#[cfg(feature = "planted")]
#[test]
fn a_planted_defect_breaks_the_property_and_shrinks() {
    use broker::planted::Defect;
    use harness::run::RunSpec;
    use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

    // Always the same cases: how far a shrink comes must not depend on the day.
    let config = Config { max_shrink_iters: 500, failure_persistence: None, ..Config::with_cases(60) };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let specs = property::specs(scenario("power_loss"));
    let planted = |spec: RunSpec| RunSpec { planted: Some(Defect::StAckBeforeFsync), ..spec };
    let failed = runner.run(&specs.prop_map(planted), |spec| property::holds(&spec));
    let Err(TestError::Fail(why, spec)) = failed else { panic!("the defect was not found: {failed:?}") };
    let strikes = spec.with.plan.expect("every case has a plan").strikes.len();
    assert!(strikes <= 3, "shrunk to {strikes} strikes only");
    assert!(why.message().contains("replay: logquake run power_loss --seed"), "{}", why.message());
}
