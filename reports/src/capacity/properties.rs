//! What must hold of any plan: nothing panics, what is worse never needs less, ranges hold what lies in between, units scale.

use proptest::prelude::*;

use super::given::Case;
use super::input::{self, Row, Worse};
use super::tests::inputs;
use super::*;

/// Any inputs that are accepted, the whole of what is accepted included.
fn drawn(rate: bool) -> impl Strategy<Value = Inputs> {
    let rows: Vec<&'static Row> = input::rows().collect();
    let ends = rows.iter().map(|_| (0.0..=1.0f64, 0.0..=1.0f64, prop::bool::weighted(0.5)));
    ends.collect::<Vec<_>>().prop_map(move |drawn| {
        let mut inputs = Inputs::default();
        for (row, (a, b, stated)) in rows.iter().copied().zip(drawn) {
            let load = [&input::USERS.row, &input::EVENTS.row, &input::RATE.row].map(|row| row.name);
            let wanted = if rate { row.name == load[2] } else { load[..2].contains(&row.name) };
            let taken = if load.contains(&row.name) { wanted } else { stated };
            if !taken {
                continue;
            }
            // Over all orders of magnitude.
            let (least, most) = (row.within.0.max(row.within.1 * 1e-12), row.within.1);
            let at = |part: f64| (least * (most / least).powf(part)).clamp(row.within.0, most);
            let (low, high) = (at(a.min(b)), at(a.max(b)));
            let (low, high) = if row.decided { (low.ceil(), low.ceil()) } else { (low, high) };
            let nominal = f64::midpoint(low, high);
            inputs.set(row, "", Given { low, nominal, high, source: Source::Stated }).expect("within bounds");
        }
        inputs
    })
}

fn anything() -> impl Strategy<Value = Inputs> {
    any::<bool>().prop_flat_map(drawn)
}

/// A load as there are some: nothing about it is absurd.
fn sane() -> impl Strategy<Value = Inputs> {
    let of = (1e2..1e7f64, 50.0..5e3f64, 1.0..20.0f64, 1.0..8.0f64, 3600.0..3e6f64, 1.0..5.0f64);
    of.prop_map(|(rate, size, peak, compression, retention, fan_out)| {
        let values = [
            (&input::RATE.row, rate),
            (&input::SIZE.row, size),
            (&input::PEAK.row, peak),
            (&input::COMPRESSION.row, compression),
            (&input::RETENTION.row, retention),
            (&input::FAN_OUT.row, fan_out),
        ];
        let mut inputs = Inputs::default();
        for (row, value) in values {
            let given = Given { low: value, nominal: value, high: value, source: Source::Stated };
            inputs.set(row, "", given).expect("within bounds");
        }
        inputs
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// Whatever is accepted gives a plan without a number that is none, or is refused.
    #[test]
    fn nothing_panics_and_no_number_is_none(inputs in anything()) {
        if let Ok(plan) = plan(&inputs) {
            prop_assert!(plan.brokers.low >= 1.0 && plan.brokers.high <= MOST_BROKERS);
            for line in &plan.lines {
                prop_assert!(line.nominal >= 0.0 && line.low <= line.nominal && line.nominal <= line.high, "{line:?}");
                prop_assert!(!line.with.contains("NaN") && !line.result().contains("NaN"), "{line:?}");
            }
            for resource in &plan.resources {
                prop_assert!(resource.headroom_after_loss >= -1e-9, "{resource:?} of {:?}", plan.brokers);
            }
        }
    }

    /// What is worse never needs less.
    #[test]
    fn every_input_pulls_the_way_it_says(inputs in anything(), which in 0usize..64, by in 1.0..3.0f64) {
        let rows: Vec<&Row> = input::rows().filter(|row| inputs.get(row).is_some()).collect();
        let row = rows[which % rows.len()];
        let now = inputs.get(row).map_or(0.0, |given| given.nominal);
        let value = if row.decided { now + 1.0 } else { now * by };
        prop_assume!(value <= row.within.1);
        let (less, more) = (inputs.with(&[(row, now)]).at(Case::Nominal), inputs.with(&[(row, value)]).at(Case::Nominal));
        let (less, more) = if row.worse == Worse::More { (less, more) } else { (more, less) };
        let (less, more) = (Solved::of(&less), Solved::of(&more));
        prop_assert!(less.brokers <= more.brokers, "{} {} {}", row.name, less.brokers, more.brokers);
        prop_assert!(less.stored <= more.stored && less.peak <= more.peak);
        // Who is told how many consumers there are needs a partition for each.
        if row.name != "consumers" {
            prop_assert!(less.partitions <= more.partitions && less.consumers <= more.consumers, "{}", row.name);
        }
    }

    /// Whatever lies between the ends of all ranges is answered between the ends of the answer.
    #[test]
    fn ranges_hold_what_lies_in_between(inputs in anything(), parts in prop::collection::vec(0.0..=1.0f64, 64)) {
        let Ok(plan) = plan(&inputs) else { return Ok(()) };
        let within: Vec<_> = input::rows()
            .zip(parts)
            .filter_map(|(row, part)| inputs.get(row).map(|g| (row, (g.low + (g.high - g.low) * part).clamp(g.low, g.high))))
            .collect();
        let solved = Solved::of(&inputs.with(&within).at(Case::Nominal));
        let between = |answer: Answer, value: f64| answer.low <= value && value <= answer.high;
        prop_assert!(between(plan.brokers, solved.brokers), "{:?} {}", plan.brokers, solved.brokers);
        prop_assert!(between(plan.partitions, solved.partitions), "{:?} {}", plan.partitions, solved.partitions);
        prop_assert!(between(plan.consumers, solved.consumers), "{:?} {}", plan.consumers, solved.consumers);
    }

    /// Units: so many times the bytes are so many times the storage and the traffic, and no more records.
    #[test]
    fn bytes_scale(inputs in sane(), by in 2u32..50) {
        let by = f64::from(by);
        let of = |inputs: &Inputs| Solved::of(&inputs.at(Case::Nominal));
        let size = inputs.get(&input::SIZE.row).map_or(0.0, |given| given.nominal);
        let (one, many) = (of(&inputs), of(&inputs.with(&[(&input::SIZE.row, size * by)])));
        let near = |a: f64, b: f64| (a - b).abs() <= b.abs() * 1e-9;
        prop_assert!(near(many.stored, one.stored * by));
        prop_assert_eq!((many.peak, many.partitions, many.consumers), (one.peak, one.partitions, one.consumers));
        for (many, one) in many.needs.iter().zip(&one.needs) {
            match one.resource {
                "storage" | "disk throughput" | "network in" | "network out" | "memory" => prop_assert!(near(many.exact, one.exact * by)),
                "partitions" => prop_assert_eq!(many.exact, one.exact),
                _ => prop_assert!(many.exact >= one.exact && many.exact <= one.exact * by),
            }
        }
    }

    /// Users times records each and the same rate a second are the same load.
    #[test]
    fn a_rate_is_as_good_as_users(users in 1u32..1_000_000_000, each in 1u32..10_000) {
        let by_users = inputs(&[("users", &users.to_string()), ("events", &each.to_string())]);
        let rate = f64::from(users) * f64::from(each) / 86_400.0;
        let by_rate = inputs(&[("rate", &format!("{rate}/s"))]);
        let near = |a: f64, b: f64| (a - b).abs() <= b * 1e-9;
        let [one, other] = [by_users, by_rate].map(|inputs| Solved::of(&inputs.at(Case::Nominal)));
        prop_assert!(near(one.stored, other.stored) && near(one.peak, other.peak));
    }
}
