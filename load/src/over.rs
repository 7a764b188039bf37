//! A case again and again with more and more of something: what more of it brings, and where that ends.

use std::fmt;

use crate::outcome::grouped;
use crate::rounds::Rounds;
use crate::spec::{Drive, Reading, Spec};
use crate::statistics::figure;
use crate::usl::Usl;

/// What a case can be swept over: an axis.
struct Axis {
    name: &'static str,
    /// False if the case has nothing of the kind.
    set: fn(&mut Spec, u64) -> bool,
}

/// All there are.
const AXES: &[Axis] = &[
    Axis { name: "partitions", set: |spec, n| fits(n).map(|n| spec.partitions = n).is_some() },
    Axis { name: "producers", set: |spec, n| fits(n).map(|n| spec.producers = n).is_some() },
    Axis { name: "consumers", set: |spec, n| fits(n).map(|n| spec.consumers = n).is_some() },
    Axis { name: "groups", set: groups },
    Axis { name: "in-flight", set: in_flight },
    Axis { name: "rate", set: rate },
    Axis { name: "record-bytes", set: |spec, n| fits(n).map(|n| spec.record_bytes = n).is_some() },
    Axis { name: "batch-bytes", set: |spec, n| fits(n).map(|n| spec.batch_bytes = n).is_some() },
    Axis { name: "linger-us", set: |spec, n| fits(n).map(|n| spec.linger_us = n).is_some() },
];

fn fits<T: TryFrom<u64>>(n: u64) -> Option<T> {
    n.try_into().ok()
}

fn groups(spec: &mut Spec, n: u64) -> bool {
    match (&mut spec.reading, fits(n)) {
        (Reading::Tail { groups } | Reading::Backlog { groups, .. }, Some(n)) => *groups = n,
        _ => return false,
    }
    true
}

fn in_flight(spec: &mut Spec, n: u64) -> bool {
    match (&mut spec.drive, fits(n)) {
        (Drive::Closed { in_flight }, Some(n)) => *in_flight = n,
        _ => return false,
    }
    true
}

fn rate(spec: &mut Spec, n: u64) -> bool {
    let open = matches!(spec.drive, Drive::Open { .. });
    spec.drive = spec.drive.at(figure(n));
    open
}

/// An axis, and where on it a case is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// The axis.
    pub axis: &'static str,
    /// The values, in order.
    pub values: Vec<u64>,
}

impl std::str::FromStr for Over {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<_> = AXES.iter().map(|axis| axis.name).collect();
        let valid = format!("a sweep is written AXIS=N,N,...; axes are {}", names.join(", "));
        let (name, values) = text.split_once('=').ok_or_else(|| valid.clone())?;
        let axis = names.into_iter().find(|axis| *axis == name).ok_or_else(|| format!("no axis '{name}'; {valid}"))?;
        let values = values.split(',').map(|n| n.parse().map_err(|_| format!("'{n}' is no number; {valid}")));
        let mut values: Vec<u64> = values.collect::<Result<_, _>>()?;
        values.sort_unstable();
        values.dedup();
        Ok(Self { axis, values })
    }
}

impl Over {
    /// `spec` at each value. An error says why one cannot be run.
    pub fn each(&self, spec: &Spec) -> Result<Vec<(u64, Spec)>, String> {
        let set = AXES.iter().find(|axis| axis.name == self.axis).map(|axis| axis.set);
        let at = |value: &u64| {
            let mut spec = spec.clone();
            if !set.is_some_and(|set| set(&mut spec, *value)) {
                return Err(format!("it has no {}, or not so many as {value}", self.axis));
            }
            spec.refused().map_or(Ok((*value, spec)), Err)
        };
        self.values.iter().map(at).collect()
    }
}

/// Where in a sweep rounds are, and what the whole of it comes to.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// The case that was swept.
    pub case: String,
    /// The axis.
    pub axis: String,
    /// Where on it.
    pub value: u64,
    /// The law that all its results follow; none of fewer than three.
    pub law: Option<Law>,
}

/// The Universal Scalability Law, fitted.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Law {
    /// Its numbers.
    pub usl: Usl,
    /// Where most is to be had, and how many records a second: none if more always brings more.
    pub peak: Option<(f64, f64)>,
    /// How far the results are from it: the root of the mean square, as part of each.
    pub residual: f64,
    /// How many results it is fitted to.
    pub results: usize,
    /// Where no round was a result: not fitted to.
    pub left_out: Vec<u64>,
}

/// The law of a sweep, by the medians of those that are results.
pub fn law(all: &[&Rounds]) -> Option<Law> {
    let place = |rounds: &&Rounds| rounds.over.as_ref().map_or(0, |place| place.value);
    let (results, none): (Vec<&Rounds>, Vec<&Rounds>) = all.iter().partition(|rounds| rounds.results() > 0);
    let points: Vec<(f64, f64)> = results.iter().map(|rounds| (figure(place(rounds)), rounds.rate.median)).collect();
    let usl = Usl::fit(&points)?;
    let square = |(n, x): &(f64, f64)| ((usl.at(*n) - x) / x).powi(2);
    let residual = (points.iter().map(square).sum::<f64>() / figure(points.len() as u64)).sqrt();
    let peak = usl.best().map(|best| (best, usl.at(best)));
    Some(Law { usl, peak, residual, results: points.len(), left_out: none.iter().map(place).collect() })
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Usl { lambda, sigma, kappa } = self.usl;
        write!(f, "{} records/s of one, contention {sigma:.4}, crosstalk {kappa:.6}", grouped(lambda))?;
        write!(f, "; {:.1} % beside the {} results", self.residual * 100.0, self.results)?;
        match self.peak {
            Some((best, most)) => write!(f, "; most at {best:.1}: {} records/s", grouped(most))?,
            None => write!(f, "; more always brings more")?,
        }
        if !self.left_out.is_empty() {
            let left: Vec<_> = self.left_out.iter().map(u64::to_string).collect();
            write!(f, "; no result at {}", left.join(", "))?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Used;
    use crate::outcome::{Checks, Figures, Flag, Outcome};

    fn rounds(value: u64, rate: u64, flag: Option<Flag>) -> Rounds {
        let figures = Figures { counted: rate, seconds: 1.0, checks: Checks::default(), pages_us: [None; 2] };
        let outcome = Outcome::new(&Spec::default(), "own", Used::default(), Vec::new(), figures);
        let outcome = Outcome { flags: flag.into_iter().collect(), ..outcome };
        let place = Place { case: "c".into(), axis: "producers".into(), value, law: None };
        Rounds { over: Some(place), ..Rounds::of(format!("c@{value}"), vec![outcome]) }
    }

    #[test]
    fn what_is_no_result_is_left_out_of_the_law() {
        let law_of = Usl { lambda: 1000.0, sigma: 0.02, kappa: 0.001 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
        let at = |n: u64| law_of.at(figure(n)).round() as u64;
        let mut all: Vec<Rounds> = [1, 2, 4, 8, 16, 64].into_iter().map(|n| rounds(n, at(n), None)).collect();
        all.push(rounds(32, 7, Some(Flag::Unsteady)));
        let found = law(&all.iter().collect::<Vec<_>>()).unwrap();
        assert!(found.residual < 0.01 && found.left_out == [32] && found.results == 6, "{found:?}");
        let (best, most) = found.peak.unwrap();
        assert!((best - 31.3).abs() < 2.0 && most > 9000.0, "{found}");
        assert_eq!(law(&all[..2].iter().collect::<Vec<_>>()), None);
    }

    #[test]
    fn a_sweep_is_read_as_it_is_written() {
        let over: Over = "producers=4,1,4,64".parse().unwrap();
        assert_eq!(over, Over { axis: "producers", values: vec![1, 4, 64] });
        let specs = over.each(&Spec::default()).unwrap();
        assert_eq!(specs.iter().map(|(n, spec)| (*n, spec.producers)).collect::<Vec<_>>(), [(1, 1), (4, 4), (64, 64)]);
        for wrong in ["producers", "producer=1", "producers=1,x", "producers=-1"] {
            assert!(wrong.parse::<Over>().unwrap_err().contains("partitions"), "{wrong}");
        }
        for wrong in ["producers=65", "groups=2", "rate=5", "partitions=99999999999"] {
            assert!(wrong.parse::<Over>().unwrap().each(&Spec::default()).is_err(), "{wrong}");
        }
        for axis in AXES {
            let open = Spec {
                drive: Drive::Open { rate: 9.0, arrivals: crate::arrivals::Arrivals::Fixed },
                reading: Reading::Tail { groups: 1 },
                ..Spec::default()
            };
            let changed = [Spec::default(), open].map(|spec| {
                let mut after = spec.clone();
                (axis.set)(&mut after, 33) && after != spec
            });
            assert!(changed.contains(&true), "{} changes nothing", axis.name);
        }
    }
}
