//! One part of a sweep that is spread over machines. What starts many of a kind tells each in its environment which it is.

use std::str::FromStr;

/// Part K of N, K from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard(pub u64, pub u64);

/// How a system that starts many of a kind tells which one this is, and of how many.
struct Starter {
    name: &'static str,
    /// Which one.
    index: &'static str,
    /// The number of the first, or where it is told.
    first: First,
    /// How many there are; the system does not tell, if it is empty.
    count: &'static str,
}

enum First {
    Is(u64),
    /// And the variable that tells how far they are apart.
    At(&'static str, &'static str),
}

/// In this order: a Kubernetes job may be started by a pipeline of GitLab's, and inherit nothing of it.
const STARTERS: &[Starter] = &[
    Starter { name: "a Kubernetes Indexed Job", index: "JOB_COMPLETION_INDEX", first: First::Is(0), count: "" },
    Starter {
        name: "a Slurm array",
        index: "SLURM_ARRAY_TASK_ID",
        first: First::At("SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"),
        count: "SLURM_ARRAY_TASK_COUNT",
    },
    Starter { name: "GitLab's parallel", index: "CI_NODE_INDEX", first: First::Is(1), count: "CI_NODE_TOTAL" },
    Starter {
        name: "Buildkite's parallelism",
        index: "BUILDKITE_PARALLEL_JOB",
        first: First::Is(0),
        count: "BUILDKITE_PARALLEL_JOB_COUNT",
    },
    Starter {
        name: "CircleCI's parallelism",
        index: "CIRCLE_NODE_INDEX",
        first: First::Is(0),
        count: "CIRCLE_NODE_TOTAL",
    },
];

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text, |name| std::env::var(name).ok())
    }
}

impl Shard {
    fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let valid = "a shard is written K/N with K from 1 to N, as 2/8; or auto, or auto/N, where a job array, an indexed \
                     job or a parallel pipeline says which part this is";
        let number = |text: &str| text.parse::<u64>().map_err(|_| valid.to_owned());
        let (of, count) = match text.split_once('/') {
            Some((of, count)) => (of, Some(number(count)?)),
            None => (text, None),
        };
        let shard = if of == "auto" { Self::of_this(count, variable)? } else { Self(number(of)?, count.ok_or(valid)?) };
        if (1..=shard.1).contains(&shard.0) { Ok(shard) } else { Err(format!("{}/{}: {valid}", shard.0, shard.1)) }
    }

    /// The part that the environment says this is.
    fn of_this(count: Option<u64>, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let number = |name: &str| {
            let text = variable(name).ok_or_else(|| format!("{name} is not set"))?;
            text.trim().parse::<u64>().map_err(|_| format!("{name} is not a number: {text}"))
        };
        let known = STARTERS.iter().find(|starter| variable(starter.index).is_some());
        let Some(starter) = known else {
            let all: Vec<_> = STARTERS.iter().map(|s| format!("{} ({})", s.name, s.index)).collect();
            return Err(format!("nothing here says which part this is: looked for {}", all.join(", ")));
        };
        let (first, apart) = match starter.first {
            First::Is(first) => (first, 1),
            First::At(first, apart) => (number(first)?, number(apart)?.max(1)),
        };
        let index = number(starter.index)?.checked_sub(first).ok_or(format!("{} is below the first", starter.index))?;
        let count = match (count, starter.count) {
            (Some(count), _) => count,
            (None, "") => return Err(format!("{} does not tell how many there are: write auto/N", starter.name)),
            (None, told) => number(told)?,
        };
        Ok(Self((index / apart).saturating_add(1), count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, set: &[(&str, &str)]) -> Result<Shard, String> {
        Shard::parse(text, |name| set.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn as_written() {
        assert_eq!(parse("2/8", &[]), Ok(Shard(2, 8)));
        for text in ["0/8", "9/8", "2", "/", "a/8", "auto/", "1/0", ""] {
            assert!(parse(text, &[]).unwrap_err().contains("2/8"), "{text}");
        }
    }

    #[test]
    fn as_the_environment_says() {
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "14"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
            ("SLURM_ARRAY_TASK_STEP", "2"),
            ("SLURM_ARRAY_TASK_COUNT", "6"),
        ];
        assert_eq!(parse("auto", &slurm), Ok(Shard(3, 6)));
        assert_eq!(parse("auto/100", &slurm), Ok(Shard(3, 100)));
        assert_eq!(parse("auto", &[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "4")]), Ok(Shard(1, 4)));
        let kubernetes = [("JOB_COMPLETION_INDEX", "7")];
        assert_eq!(parse("auto/8", &kubernetes), Ok(Shard(8, 8)));
        assert!(parse("auto", &kubernetes).unwrap_err().contains("auto/N"));
        assert!(parse("auto/7", &kubernetes).is_err(), "there is no eighth part of seven");
    }

    #[test]
    fn where_nothing_says_so() {
        assert!(parse("auto/8", &[]).unwrap_err().contains("JOB_COMPLETION_INDEX"));
        let error = parse("auto", &[("CI_NODE_INDEX", "one"), ("CI_NODE_TOTAL", "4")]).unwrap_err();
        assert_eq!(error, "CI_NODE_INDEX is not a number: one");
        assert!(parse("auto", &[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "4")]).unwrap_err().contains("below"));
    }
}
