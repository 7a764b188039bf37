//! Hand-made reports for the tests of what is printed.

use broker::planted::Defect;
use harness::history::{Phase, TpId};
use harness::plan::{Mark, Strike, Target, Trigger};
use harness::report::{Cost, Evidence, RunReport, Struck};
use harness::verdict::{Finding, Promise, Severity, Verdict};

const MS: u64 = 1_000_000;

fn strike(id: u32, fault: &str, trigger: Trigger, duration_ms: u64) -> Strike {
    Strike { id, trigger, fault: fault.into(), target: Target::Broker, duration_ms, until: vec![], force: 1, salt: 7 }
}

fn evidence(invariant: &str, about: &str, promise: Promise, count: u64, violations: u64, expected: u64) -> Evidence {
    Evidence { invariant: invariant.into(), about: about.into(), promise, count, violations, expected }
}

const KEPT: &str = "recovery keeps what was flushed and nothing that was not written";

/// Three strikes, one of which never came; everything held.
pub(crate) fn passed() -> RunReport {
    let phases = [
        (Phase::WarmUp, 0),
        (Phase::Steady, 12),
        (Phase::Strikes, 512),
        (Phase::Heal, 4512),
        (Phase::Drain, 4512),
        (Phase::FinalRead, 4630),
        (Phase::Audit, 4700),
    ];
    RunReport {
        scenario: "broker_crash".into(),
        seed: 7,
        keep: None,
        planted: None,
        verdict: Verdict::Pass,
        findings: vec![],
        evidence: vec![
            evidence("B3", "an acknowledged record is in the final log", Promise::Safety, 1312, 0, 0),
            evidence("W16", KEPT, Promise::Safety, 2, 0, 0),
            evidence("L10", "every client call returns by its deadline", Promise::Liveness, 4120, 0, 0),
        ],
        phases: phases.into_iter().map(|(p, ms)| (p, ms * MS)).collect(),
        strikes: vec![
            Struck {
                strike: strike(0, "process_crash", Trigger::At { ms: 400 }, 700),
                at: Some(912 * MS),
                healed: Some(1612 * MS),
                on: "broker-0 killed".into(),
            },
            Struck {
                strike: strike(1, "process_crash", Trigger::Nth { of: Mark::Rolled, n: 58, by_ms: 9000 }, 700),
                at: None,
                healed: None,
                on: String::new(),
            },
        ],
        outages: vec![],
        groups: vec![],
        knobs: vec![("flush".into(), "always".into()), ("segment.bytes".into(), "16384".into())],
        partitions: vec!["orders-0".into(), "orders-1".into()],
        cost: Cost {
            world_ns: 4_712 * MS,
            cpu_ns: 31 * MS,
            steps: 4712,
            events: 9120,
            calls: 4120,
            acked: 1312,
            delivered: 2610,
            flushes: 402,
            ..Cost::default()
        },
        trace: 0x9f3a_0c11_2233_4455,
        replay: "logquake run broker_crash --seed 7".into(),
    }
}

/// A shrunk run with a planted defect: an acknowledged record is lost.
pub(crate) fn failed() -> RunReport {
    let mut report = passed();
    report.scenario = "power_loss".into();
    report.keep = Some(vec![0]);
    report.planted = Some(Defect::StAckBeforeFsync);
    report.verdict = Verdict::Fail;
    report.strikes.truncate(1);
    report.strikes[0].strike.fault = "power_loss".into();
    report.strikes[0].on = "broker-0 lost power; of what was not synced, each sector was kept or lost by draw".into();
    report.evidence[0].violations = 4;
    report.evidence[1].expected = 2;
    report.findings = vec![
        Finding {
            invariant: "B3".into(),
            severity: Severity::Violation,
            at: 4630 * MS,
            tp: Some(TpId(1)),
            what: "record p0.0/17 was acknowledged at offset 431 and is not in the final log: 3 of 900 are lost, all \
                   of them the end of the log as it was when the power went"
                .into(),
            story: vec![
                "0.904 s  p0 sends p0.0/17 to orders-1".into(),
                "0.908 s  the broker acknowledges it at offset 431".into(),
                "0.912 s  strike #0: power_loss hits broker-0".into(),
                "4.630 s  the final read of orders-1 ends at offset 428".into(),
            ],
        },
        Finding {
            invariant: "W16".into(),
            severity: Severity::ExpectedLoss,
            at: 1700 * MS,
            tp: None,
            what: "2 unsynced batches were lost with the power, as the contract permits".into(),
            story: vec![],
        },
    ];
    report.replay = "logquake run power_loss --seed 7 --keep 0 --planted st-ack-before-fsync".into();
    report
}

/// Nothing struck and nothing was read: no evidence.
pub(crate) fn vacuous() -> RunReport {
    let mut report = passed();
    report.keep = Some(vec![]);
    report.verdict = Verdict::Vacuous;
    report.strikes.clear();
    report.knobs.clear();
    report.evidence[1].count = 0;
    let vacuous = |invariant: &str, what: &str| Finding {
        invariant: invariant.into(),
        severity: Severity::Vacuous,
        at: 4700 * MS,
        tp: None,
        what: what.into(),
        story: vec![],
    };
    report.findings = vec![
        vacuous("W16", "never put to the test: recovery keeps what was flushed"),
        vacuous("M6", "0 strikes struck, and this scenario needs at least 1"),
    ];
    report.replay = "logquake run broker_crash --seed 7 --keep none".into();
    report
}
