//! What became of each seed of a sweep, small enough to be kept with its result: equal neighbours are told once.

use std::collections::BTreeMap;
use std::fmt::Write;

use harness::verdict::Verdict;
use serde::{Deserialize, Serialize};

/// By scenario, what became of its seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts(pub BTreeMap<String, Seeds>);

/// What became of one scenario's seeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seeds {
    /// The first one.
    first: u64,
    /// How far one is from the next: a part of a sweep has every so manieth.
    step: u64,
    /// From the first on: p passed, v vacuous, f failed, - not run; a number before it tells how many in a row.
    #[serde(with = "as_text")]
    runs: Vec<Stretch>,
}

/// So many seeds in a row of which the same became; nothing if they were not run.
type Stretch = (u64, Option<Verdict>);

/// Runs by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Those that passed.
    pub passed: u64,
    /// Those that proved nothing.
    pub vacuous: u64,
    /// Those that failed.
    pub failed: u64,
}

impl Count {
    /// All of them.
    pub fn runs(self) -> u64 {
        self.passed + self.vacuous + self.failed
    }
}

impl Verdicts {
    /// Of runs: the scenario, the seed, what it came to. Seeds of one scenario come in ascending order.
    pub fn of<'a>(runs: impl Iterator<Item = (&'a str, u64, Verdict)>) -> Self {
        let mut all: BTreeMap<&str, Vec<(u64, Verdict)>> = BTreeMap::new();
        runs.for_each(|(scenario, seed, verdict)| all.entry(scenario).or_default().push((seed, verdict)));
        Self(all.into_iter().filter_map(|(name, runs)| Some((name.into(), Seeds::of(&runs)?))).collect())
    }

    /// The first seed, and the one after the last: of all scenarios.
    pub fn span(&self) -> Option<(u64, u64)> {
        let first = self.0.values().map(|seeds| seeds.first).min()?;
        Some((first, self.0.values().map(Seeds::end).max()?))
    }

    /// How far seeds are apart: in a part of a sweep there is only every so manieth.
    pub fn step(&self) -> u64 {
        let first = self.span().map_or(0, |(first, _)| first);
        let of = |seeds: &Seeds| if seeds.end() > seeds.first.saturating_add(1) { seeds.step } else { 0 };
        self.0.values().fold(0, |step, seeds| gcd(gcd(step, of(seeds)), seeds.first - first)).max(1)
    }
}

impl Seeds {
    fn of(runs: &[(u64, Verdict)]) -> Option<Self> {
        let first = runs.first()?.0;
        let step = runs.windows(2).fold(0, |step, pair| gcd(step, pair[1].0.saturating_sub(pair[0].0))).max(1);
        let mut seeds = Self { first, step, runs: Vec::new() };
        let mut next = first;
        for (seed, verdict) in runs {
            seeds.push((seed.saturating_sub(next) / step, None));
            seeds.push((1, Some(*verdict)));
            next = seed.saturating_add(step);
        }
        Some(seeds)
    }

    fn push(&mut self, (count, what): Stretch) {
        match self.runs.last_mut() {
            _ if count == 0 => {}
            Some((before, same)) if *same == what => *before += count,
            _ => self.runs.push((count, what)),
        }
    }

    /// The seed after the last one.
    fn end(&self) -> u64 {
        let count = self.runs.iter().fold(0_u64, |sum, (count, _)| sum.saturating_add(*count));
        self.first.saturating_add(count.saturating_sub(1).saturating_mul(self.step)).saturating_add(1)
    }

    /// The seeds of which this became, in order.
    pub fn which(&self, became: Verdict) -> impl Iterator<Item = u64> {
        let mut begin = 0_u64;
        let stretches = self.runs.iter().map(move |(length, what)| {
            let stretch = begin..begin.saturating_add(*length);
            begin = stretch.end;
            (stretch, *what)
        });
        let places = stretches.filter(move |(_, what)| *what == Some(became)).flat_map(|(stretch, _)| stretch);
        places.map(|place| self.first.saturating_add(place.saturating_mul(self.step)))
    }

    /// What became of those from `from` to before `until`.
    pub fn count(&self, from: u64, until: u64) -> Count {
        // How many of the seeds are below a limit.
        let below = |limit: u64| limit.saturating_sub(self.first).div_ceil(self.step.max(1));
        let (from, until) = (below(from), below(until));
        let (mut count, mut begin) = (Count::default(), 0_u64);
        for (length, what) in &self.runs {
            let end = begin.saturating_add(*length);
            let within = end.min(until).saturating_sub(begin.max(from));
            match what {
                Some(Verdict::Pass) => count.passed += within,
                Some(Verdict::Vacuous) => count.vacuous += within,
                Some(Verdict::Fail) => count.failed += within,
                None => {}
            }
            begin = end;
        }
        count
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Stretches as text.
mod as_text {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Stretch, Verdict, Write};

    const LETTERS: [(char, Option<Verdict>); 4] =
        [('p', Some(Verdict::Pass)), ('v', Some(Verdict::Vacuous)), ('f', Some(Verdict::Fail)), ('-', None)];

    pub fn serialize<S: Serializer>(runs: &[Stretch], to: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        for (count, what) in runs {
            if *count > 1 {
                let _ = write!(text, "{count}");
            }
            text.extend(LETTERS.iter().filter(|(_, of)| of == what).map(|(letter, _)| letter));
        }
        to.serialize_str(&text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Stretch>, D::Error> {
        let text = String::deserialize(from)?;
        let (mut runs, mut number) = (Vec::new(), String::new());
        for letter in text.chars() {
            if letter.is_ascii_digit() {
                number.push(letter);
                continue;
            }
            let what = LETTERS.iter().find(|(known, _)| *known == letter);
            let what = what.ok_or_else(|| D::Error::custom(format!("'{letter}' is no verdict: p, v, f or -")))?.1;
            let count = if number.is_empty() { Ok(1) } else { number.parse::<u64>() };
            runs.push((count.map_err(D::Error::custom)?, what));
            number.clear();
        }
        if number.is_empty() { Ok(runs) } else { Err(D::Error::custom("a number without a verdict")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Verdict; 3] = [Verdict::Pass, Verdict::Vacuous, Verdict::Fail];

    #[test]
    fn equal_neighbours_are_told_once() {
        let verdict = |seed| if seed == 803 { Verdict::Fail } else { Verdict::Pass };
        let runs = (3..2000).step_by(8).filter(|seed| *seed != 1003).map(|seed| ("steady", seed, verdict(seed)));
        let text = serde_json::to_string(&Verdicts::of(runs)).unwrap();
        assert_eq!(text, r#"{"steady":{"first":3,"step":8,"runs":"100pf24p-124p"}}"#);
        let pass = |name, seed| (name, seed, Verdict::Pass);
        let parts = [pass("a", 5), pass("a", 21), pass("b", 13), pass("c", 5), pass("c", 13)];
        assert_eq!((Verdicts::of(parts.into_iter()).step(), Verdicts::default().step()), (8, 1));
    }

    #[test]
    fn what_is_no_verdict_is_refused() {
        for runs in ["3", "p4", "x", "3é", "99999999999999999999p"] {
            let text = format!(r#"{{"a":{{"first":0,"step":1,"runs":"{runs}"}}}}"#);
            assert!(serde_json::from_str::<Verdicts>(&text).is_err(), "{runs}");
        }
    }

    proptest! {
        /// Beside each seed's verdict by itself.
        #[test]
        fn each_seed_is_counted_where_it_is(
            runs in prop::collection::btree_map(0..400_u64, 0..3_usize, 1..60), by in 1..9_u64, cut in 0..3600_u64,
        ) {
            let runs: Vec<(u64, Verdict)> = runs.into_iter().map(|(seed, n)| (7 + seed * by, ALL[n])).collect();
            let all = Verdicts::of(runs.iter().map(|(seed, verdict)| ("a", *seed, *verdict)));
            let text = serde_json::to_string(&all).unwrap();
            let all: Verdicts = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(serde_json::to_string(&all).unwrap(), text);
            prop_assert_eq!(all.span(), Some((runs[0].0, runs[runs.len() - 1].0 + 1)));
            for verdict in ALL {
                let should: Vec<u64> = runs.iter().filter(|(_, v)| *v == verdict).map(|(seed, _)| *seed).collect();
                prop_assert_eq!(all.0["a"].which(verdict).collect::<Vec<_>>(), should);
            }
            for (from, until) in [(0, cut), (cut, u64::MAX), (cut, cut + 1), (cut / 2, cut)] {
                let of = |verdict| runs.iter().filter(|(s, v)| (from..until).contains(s) && *v == verdict).count() as u64;
                let should = Count { passed: of(ALL[0]), vacuous: of(ALL[1]), failed: of(ALL[2]) };
                prop_assert_eq!(all.0["a"].count(from, until), should, "{}..{}", from, until);
            }
        }
    }
}
