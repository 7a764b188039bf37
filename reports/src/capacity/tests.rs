//! The textbook case to the last digit; and what is refused.

use super::*;

/// Inputs as one writes them: names and values by turns.
pub(crate) fn inputs(stated: &[(&str, &str)]) -> Inputs {
    let mut inputs = Inputs::default();
    for (name, text) in stated {
        inputs.state(name, text).unwrap_or_else(|e| panic!("{e}"));
    }
    inputs
}

/// 500 million users, 20 records of 500 B each, ten times as much at the peak, a week, three replicas, disks of 10 TB.
pub(crate) const TEXTBOOK: &[(&str, &str)] = &[
    ("users", "500M"),
    ("events", "20"),
    ("size", "500B"),
    ("peak", "10x"),
    ("retention", "7d"),
    ("replication", "3"),
    ("disk", "10TB"),
    ("partition-rate", "10k/s"),
    ("consumer-rate", "10k/s"),
];

fn textbook(more: &[(&str, &str)]) -> Plan {
    let mut inputs = inputs(TEXTBOOK);
    for (name, text) in [("fill", "100%"), ("lose-brokers", "0")].iter().chain(more) {
        inputs.state(name, text).unwrap_or_else(|e| panic!("{e}"));
    }
    plan(&inputs).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_textbook_case() {
    let plan = textbook(&[]);
    let result = |name: &str| plan.line(name).map(Line::result).unwrap_or_default();
    let expected = [
        ("records a day", "10 billion"),
        ("average rate", "115,741/s"),
        ("peak rate", "1.157 million/s"),
        ("bytes a day", "5 TB"),
        ("average throughput", "57.87 MB/s"),
        ("peak throughput", "578.7 MB/s"),
        ("kept once", "35 TB"),
        ("kept in all", "105 TB"),
        ("brokers by storage", "11"),
        ("partitions", "116"),
        ("replicas of partitions", "348"),
        ("network out", "1.736 GB/s"),
        ("writes of a broker", "157.8 MB/s"),
    ];
    for (name, value) in expected {
        assert_eq!(result(name), value, "{name}");
    }
    assert_eq!((plan.brokers.nominal, plan.binds, plan.partitions.nominal), (11.0, "storage", 116.0));
    assert_eq!(textbook(&[("lose-brokers", "1")]).brokers.nominal, 12.0);
    assert_eq!(textbook(&[("fill", "70%")]).brokers.nominal, 15.0);
    assert_eq!(textbook(&[("fill", "70%"), ("lose-brokers", "1")]).brokers.nominal, 16.0);
    // What no interview asks: compression, and then storage no longer binds alone.
    assert_eq!(textbook(&[("compression", "4.4")]).line("brokers by storage").map(|line| line.nominal), Some(3.0));
}

#[test]
fn margins_of_the_textbook_case_one_by_one() {
    let plan = plan(&inputs(TEXTBOOK)).expect("a plan");
    let brokers: Vec<f64> = plan.margins.iter().map(|margin| margin.brokers).collect();
    // None; a disk 70 % full; all else 60 % busy; one lost; all.
    assert_eq!(brokers, [11.0, 15.0, 11.0, 12.0, 16.0], "{:?}", plan.margins);
    assert_eq!(plan.brokers.nominal, 16.0);
    // Of 15 that are left each is asked for all it may give, which is 7.35 TB of 10.
    assert_eq!(plan.resources[0].headroom_after_loss, 0.0);
    let most = plan.sensitivity.first().map(|row| (row.moves * 1000.0).round() / 10.0);
    assert_eq!(most, Some(10.0), "{:?}", plan.sensitivity);
}

#[test]
fn forty_partitions() {
    let stated = [("rate", "100k/s"), ("peak", "1"), ("consumer-rate", "5k/s"), ("headroom", "2x")];
    assert_eq!(plan(&inputs(&stated)).expect("a plan").partitions.nominal, 40.0);
}

#[test]
fn a_lost_rack_leaves_enough() {
    for (racks, brokers) in [("3", 17.0), ("2", 22.0), ("11", 13.0)] {
        // Eleven must be left: of 17 in three racks six go, of 22 in two eleven, of 13 in eleven two.
        let plan = textbook(&[("lose-racks", "1"), ("racks", racks)]);
        assert_eq!((plan.brokers.nominal, plan.brokers.nominal - plan.lost), (brokers, 11.0), "{racks} racks");
    }
}

#[test]
fn what_cannot_be_is_refused_and_says_what_can() {
    let refusals = [
        ("disk", "0TB", "from 1 GB to 100 PB, as 10TB"),
        ("disk", "-1TB", "from 1 GB"),
        ("disk", "NaN", "no number"),
        ("disk", "1e300TB", "from 1 GB"),
        ("disk", "10", "it needs a unit, as 10TB"),
        ("disk", "10MB/s", "'MB/s' is no unit of it"),
        ("fill", "170%", "from 1 % to 100 %"),
        ("replication", "2.5", "a whole number"),
        ("replication", "2..3", "has no range"),
        ("size", "600..400B", "from low to high"),
        ("disks", "10TB", "there is no input 'disks'. Did you mean 'disk'? There are users, events"),
    ];
    for (name, text, why) in refusals {
        let refused = Inputs::default().state(name, text).expect_err(text);
        assert!(refused.0.contains(why), "{refused}");
    }
    let together: [(&[(&str, &str)], &str); 6] = [
        (&[], "how much comes in?"),
        (&[("users", "5M")], "how much comes in?"),
        (&[("users", "5M"), ("events", "3"), ("rate", "5/s")], "not both"),
        (&[("rate", "5/s"), ("lose-brokers", "3")], "with 3 replicas"),
        (&[("rate", "5/s"), ("lose-racks", "1"), ("racks", "1")], "--racks is at least 2"),
        (&[("rate", "1T/s"), ("size", "1GB")], "is a unit wrong?"),
    ];
    for (stated, why) in together {
        let refused = plan(&inputs(stated)).expect_err(why);
        assert!(refused.0.contains(why), "{refused}");
    }
}

#[test]
fn one_who_does_not_keep_up_never_catches_up() {
    let plan = plan(&inputs(&[("rate", "10k/s"), ("consumer-rate", "1k/s"), ("consumers", "10")])).expect("a plan");
    for name in ["caught up after the peak in", "worked off at the average in"] {
        assert_eq!(plan.line(name).map(Line::result).as_deref(), Some("never"), "{name}");
    }
}

#[test]
fn the_lines_of_a_burst_are_those_of_the_burst() {
    let plan = plan(&inputs(&[("rate", "10k/s"), ("consumer-rate", "1k/s"), ("max-delay", "10min")])).expect("a plan");
    let line = |name: &str| plan.line(name).map(|line| line.nominal);
    assert_eq!(line("behind after the peak"), Some(plan.burst.peak_lag().get()));
    assert_eq!(line("its last record is late by"), Some(plan.burst.peak_delay().get()));
    assert_eq!(line("caught up after the peak in"), Some(plan.burst.drain().get()));
    assert!(plan.burst.peak_delay().get() <= 600.0 && plan.burst.drain().get() > 0.0, "{:?}", plan.burst);
}

#[test]
fn examples_are_accepted_and_defaults_are_within_bounds() {
    for row in input::rows() {
        Inputs::default().state(row.name, row.example).unwrap_or_else(|e| panic!("{e}"));
        if let Some((value, why)) = row.default {
            assert!(row.within.0 <= value && value <= row.within.1 && !why.is_empty(), "{}", row.name);
        }
    }
}

#[test]
fn where_everything_is_little_replication_binds() {
    let plan = plan(&inputs(&[("rate", "5/s")])).expect("a plan");
    assert_eq!((plan.brokers.nominal, plan.binds), (3.0, "replication"));
    let moved: Vec<_> = plan.sensitivity.iter().map(|one| (one.input, one.more)).collect();
    assert_eq!(moved, [("replication", Some(4.0))]);
}
