//! What was given: for each input how much, between which bounds, and who says so. What cannot be is refused here, before
//! anything is reckoned.

use std::collections::BTreeMap;
use std::fmt;

use super::derivation::Term;
use super::input::{self, Input, Row, Worse};
use super::parse;
use super::unit::{Amount, Unit};

/// Why there is no plan, or no page, in a way that says what is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Who says so.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Whoever asks.
    Stated,
    /// Nobody: it is assumed, for this reason.
    Default(&'static str),
    /// A benchmark, whose results are in this file.
    Measured(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Stated => f.write_str("stated"),
            Source::Default(why) => write!(f, "default: {why}"),
            Source::Measured(file) => write!(f, "measured: {file}"),
        }
    }
}

/// An input's value.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Given {
    /// The lowest it may be.
    pub low: f64,
    /// What is reckoned with.
    pub nominal: f64,
    /// The highest it may be.
    pub high: f64,
    /// Who says so.
    pub source: Source,
}

/// Of each input's range: which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// The end that needs least.
    Favourable,
    /// Neither.
    Nominal,
    /// The end that needs most.
    Unfavourable,
}

/// All that was given, and what is assumed besides.
#[derive(Clone, Debug)]
pub struct Inputs(BTreeMap<&'static str, Given>);

impl Default for Inputs {
    fn default() -> Self {
        let default = |row: &'static Row| {
            let (value, why) = row.default?;
            Some((row.name, Given { low: value, nominal: value, high: value, source: Source::Default(why) }))
        };
        Self(input::rows().filter_map(default).collect())
    }
}

impl Inputs {
    /// Sets the input of that name to what `text` says.
    pub fn state(&mut self, name: &str, text: &str) -> Result<(), Refused> {
        let row = input::find(name).ok_or_else(|| unknown(name))?;
        let (low, nominal, high) = parse::range(row.kind, text).map_err(|why| refused(row, text, &why))?;
        self.set(row, text, Given { low, nominal, high, source: Source::Stated })
    }

    /// Sets an input to what was measured, unless that is beyond all bounds.
    pub fn set(&mut self, row: &'static Row, text: &str, given: Given) -> Result<(), Refused> {
        let (least, most) = row.within;
        let within =
            least <= given.low && given.low <= given.nominal && given.nominal <= given.high && given.high <= most;
        if !within {
            let range = format!("it is from {} to {}", row.kind.show(least), row.kind.show(most));
            let order = given.low > given.nominal || given.nominal > given.high;
            return Err(refused(row, text, if order { "a range goes from low to high" } else { &range }));
        }
        if row.decided && given.low != given.high {
            return Err(refused(row, text, "it is decided and not estimated, so it has no range"));
        }
        if row.decided && given.nominal.fract() != 0.0 {
            return Err(refused(row, text, "it is a whole number"));
        }
        self.0.insert(row.name, given);
        Ok(())
    }

    /// What is known of an input.
    pub fn get(&self, row: &Row) -> Option<&Given> {
        self.0.get(row.name)
    }

    /// The same with other values of some inputs.
    pub(super) fn with(&self, changes: &[(&'static Row, f64)]) -> Inputs {
        let mut inputs = self.clone();
        for (row, value) in changes {
            if let Some(given) = inputs.0.get_mut(row.name) {
                (given.low, given.nominal, given.high) = (*value, *value, *value);
            }
        }
        inputs
    }

    /// Refuses what does not go together.
    pub fn check(&self) -> Result<(), Refused> {
        let has = |row: &Row| self.0.contains_key(row.name);
        let whole = |row: &Row| self.0.get(row.name).map_or(0.0, |given| given.nominal);
        let [users, events, rate] = [&input::USERS.row, &input::EVENTS.row, &input::RATE.row].map(has);
        let why = if rate && (users || events) {
            "the load is either --rate or --users and --events, not both".into()
        } else if !(rate || users && events) {
            "how much comes in? Say --users 500M --events 20, or --rate 100k/s".into()
        } else if whole(&input::LOSE_BROKERS.row) >= whole(&input::REPLICATION.row).max(2.0) {
            let copies = whole(&input::REPLICATION.row);
            format!(
                "with {copies} replicas, losing as many brokers may lose all of a partition's: --lose-brokers is below that"
            )
        } else if whole(&input::LOSE_RACKS.row) >= whole(&input::RACKS.row) {
            "with a single rack, losing a rack is losing everything: --racks is at least 2".into()
        } else {
            return Ok(());
        };
        Err(Refused(why))
    }

    /// One value of each, at this end of their ranges.
    pub(super) fn at(&self, case: Case) -> Point {
        let value = |(name, given): (&&'static str, &Given)| {
            let worse = input::find(name).map_or(Worse::More, |row| row.worse);
            let value = match (case, worse) {
                (Case::Nominal, _) => given.nominal,
                (Case::Favourable, Worse::More) | (Case::Unfavourable, Worse::Less) => given.low,
                (Case::Favourable, Worse::Less) | (Case::Unfavourable, Worse::More) => given.high,
            };
            (*name, value)
        };
        Point(self.0.iter().map(value).collect())
    }
}

/// One value of each input.
#[derive(Clone, Debug)]
pub struct Point(BTreeMap<&'static str, f64>);

impl Point {
    /// An input as a term of a derivation. Inputs without a default are asked for by [`Point::find`].
    pub(super) fn get<U: Unit>(&self, input: &Input<U>) -> Term<U> {
        self.find(input).unwrap_or_else(|| Term::named(input.row.name, Amount::new(0.0)))
    }

    /// An input, if it was given.
    pub(super) fn find<U: Unit>(&self, input: &Input<U>) -> Option<Term<U>> {
        self.0.get(input.row.name).map(|value| Term::named(input.row.name, Amount::new(*value)))
    }
}

fn refused(row: &Row, text: &str, why: &str) -> Refused {
    Refused(format!("{} '{text}': {why}, as {}", row.name, row.example))
}

fn unknown(name: &str) -> Refused {
    let names: Vec<&str> = input::rows().map(|row| row.name).collect();
    let closest = names.iter().min_by_key(|known| strsim::damerau_levenshtein(known, name));
    let tip = closest.map_or(String::new(), |closest| format!(" Did you mean '{closest}'?"));
    Refused(format!("there is no input '{name}'.{tip} There are {}", names.join(", ")))
}
