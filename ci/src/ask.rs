//! What the command line takes: scenarios, seeds, strikes, shards. A wrong value is answered with what is valid.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use broker::planted::Defect;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use harness::run::{Overrides, RunSpec};
use harness::scenario::Scenario;

/// The command line asks for something that cannot be: exit code 64.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A scenario of the catalogue, by name.
pub fn scenario() -> impl TypedValueParser<Value = &'static Scenario> {
    PossibleValuesParser::new(scenarios::ALL.iter().map(|s| s.name)).try_map(|name| known_scenario(&name))
}

/// The scenario of that name, or an error with the closest there is.
pub fn known_scenario(name: &str) -> Result<&'static Scenario, Usage> {
    scenarios::find(name).ok_or_else(|| {
        let closest = scenarios::ALL.iter().min_by_key(|s| strsim::damerau_levenshtein(s.name, name));
        let tip = closest.map_or(String::new(), |s| format!(" Did you mean '{}'?", s.name));
        Usage(format!("there is no scenario '{name}'.{tip} `logquake list scenarios` shows them all"))
    })
}

/// A planted defect, by id.
pub fn defect() -> impl TypedValueParser<Value = Defect> {
    PossibleValuesParser::new(Defect::ALL.iter().map(|d| d.id())).try_map(|id| {
        let known = Defect::ALL.iter().copied().find(|d| d.id() == id);
        known.ok_or_else(|| Usage(format!("there is no planted defect '{id}'")))
    })
}

/// The scenarios asked for, each once; all, if none is named.
pub fn chosen(named: &[&'static Scenario]) -> Vec<&'static Scenario> {
    if named.is_empty() {
        return scenarios::ALL.iter().collect();
    }
    let mut seen = std::collections::BTreeSet::new();
    named.iter().copied().filter(|scenario| seen.insert(scenario.name)).collect()
}

/// A range of seeds, as `0..2000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let valid = "a range of seeds is written A..B with A below B (B is left out), as 0..2000; or one seed, as 7";
        let number = |t: &str| t.replace('_', "").parse::<u64>().map_err(|_| valid.to_string());
        let range = match text.split_once("..") {
            Some((from, to)) => match to.strip_prefix('=') {
                Some(last) => number(from)?..number(last)?.saturating_add(1),
                None => number(from)?..number(to)?,
            },
            None => number(text)?..number(text)?.saturating_add(1),
        };
        if range.is_empty() { Err(valid.into()) } else { Ok(Self(range)) }
    }
}

/// Which strikes of a plan to keep, as `0,3` or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep(pub Vec<u32>);

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let valid = |_| String::from("strikes are kept by their numbers, as 0,3; or none");
        text.split(',').map(|id| id.trim().parse().map_err(valid)).collect::<Result<_, _>>().map(Self)
    }
}

/// What names one run.
#[derive(Clone, Debug, clap::Args)]
pub struct Named {
    /// The seed everything is drawn from.
    #[arg(long, default_value_t = 0, value_name = "S", value_parser = seed)]
    pub seed: u64,
    /// Keep only these strikes of the plan, by number, as 0,3; or none.
    #[arg(long, value_name = "IDS")]
    pub keep: Option<Keep>,
    /// Activate a planted defect.
    #[arg(long, value_name = "ID", value_parser = defect(), hide_possible_values = true)]
    pub planted: Option<Defect>,
    /// What replaces the scenario's draws, as a property test prints it.
    #[arg(long, value_name = "JSON", value_parser = overrides)]
    pub with: Option<Overrides>,
}

fn seed(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

fn overrides(json: &str) -> Result<Overrides, String> {
    serde_json::from_str(json).map_err(|e| e.to_string())
}

impl Named {
    /// The run of `scenario` that this names.
    pub fn spec(self, scenario: &'static Scenario) -> Result<RunSpec, Usage> {
        if self.planted.is_some() {
            needs_planted()?;
        }
        Ok(RunSpec {
            keep: self.keep.map(|k| k.0),
            planted: self.planted,
            with: self.with.unwrap_or_default(),
            ..RunSpec::new(scenario, self.seed)
        })
    }
}

/// An error in a build that has no planted defects.
pub fn needs_planted() -> Result<(), Usage> {
    if cfg!(feature = "planted") {
        return Ok(());
    }
    Err(Usage("this build has no planted defects: build without --no-default-features".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds() {
        assert_eq!("0..2000".parse(), Ok(Seeds(0..2000)));
        assert_eq!("0..=9".parse(), Ok(Seeds(0..10)));
        assert_eq!("7".parse(), Ok(Seeds(7..8)));
        assert_eq!("1_000..2_000".parse(), Ok(Seeds(1000..2000)));
        for wrong in ["", "..", "5..5", "9..3", "a..b", "1..2..3", "-1..4", "0...5"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn keeps() {
        assert_eq!("none".parse(), Ok(Keep(vec![])));
        assert_eq!("0,3".parse(), Ok(Keep(vec![0, 3])));
        assert!("0;3".parse::<Keep>().is_err());
        assert!("".parse::<Keep>().is_err());
    }
}
