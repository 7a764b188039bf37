//! How much of the machine and of a person's time a job may take: arguments that several subcommands share.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::watchdog::Watchdog;

/// Threads.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Jobs {
    /// Threads; one for each core, if not given.
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

impl Jobs {
    /// How many.
    pub fn count(self) -> usize {
        let cores = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.jobs.unwrap_or_else(cores).get()
    }
}

/// When a run counts as hung.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Hang {
    /// A run that takes longer than this in real time is reported as a hang (exit code 2).
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    hang_after: Duration,
}

impl Default for Hang {
    fn default() -> Self {
        Self { hang_after: Duration::from_secs(60) }
    }
}

impl Hang {
    /// A watchdog with this limit.
    pub fn watchdog(self) -> Watchdog {
        Watchdog::new(self.hang_after)
    }
}

/// A length of time, as `500ms`, `60s`, `10m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(d) if d.is_zero() => Err("it must be more than zero".into()),
        Ok(d) => Ok(d),
        Err(e) => Err(format!("{e}; a time is written as 500ms, 60s or 10m")),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn durations() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert!(duration("0s").is_err());
        assert!(duration("60").is_err_and(|e| e.contains("60s")));
        assert!(duration("soon").is_err());
    }
}
