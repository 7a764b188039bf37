//! Every figure beside what this machine can do at most, where the broker is on this machine.

use std::path::{Path, PathBuf};

use load::limits::{Bound, Coding, Limits};
use load::outcome::Outcome;
use load::rounds::Rounds;
use load::spec::Spec;

use crate::job::progress;
use crate::job::target::Target;

/// What was probed before anything was measured.
pub(super) struct Beside {
    limits: Option<Limits>,
    dir: PathBuf,
    pids: Vec<u32>,
}

impl Beside {
    /// Probes the machine and the disk that `dir` is on, unless all targets are elsewhere: of one that runs already it is known
    /// only by its processes (`pids`).
    pub(super) fn probe(targets: &[Target], dir: &Path, pids: &[u32]) -> anyhow::Result<Self> {
        let beside = Self { limits: None, dir: dir.into(), pids: pids.into() };
        let here = targets.iter().any(|target| beside.is_here(target));
        let limits = here.then(|| progress::busy("limits", || Limits::probe(dir))).transpose()?;
        Ok(Self { limits, ..beside })
    }

    /// The rounds beside what binds them.
    pub(super) fn of(&self, target: &Target, spec: &Spec, rounds: Rounds) -> anyhow::Result<Rounds> {
        let Some(bound) = self.bound(target, spec, rounds.middle())? else { return Ok(rounds) };
        let floor = self.limits.as_ref().and_then(|limits| limits.floor(spec));
        Ok(rounds.beside(bound, floor))
    }

    /// What binds one run.
    pub(super) fn bound(&self, target: &Target, spec: &Spec, run: Option<&Outcome>) -> anyhow::Result<Option<Bound>> {
        let Some((limits, run)) = self.limits.as_ref().zip(run).filter(|_| self.is_here(target)) else {
            return Ok(None);
        };
        // What an adapter of another protocol does with a record is not known.
        let is_kafka = !matches!(target, Target::Peer(_));
        let coding = is_kafka.then(|| progress::busy("limits of this case", || Coding::probe(spec))).transpose()?;
        let bound = limits.binding(spec, &self.dir, run.page_after_us, coding.as_ref())?;
        // Only if it is empty: what else is there is not ours.
        let _ = std::fs::remove_dir(&self.dir);
        Ok(Some(bound))
    }

    fn is_here(&self, target: &Target) -> bool {
        !matches!(target, Target::Kafka(_)) || !self.pids.is_empty()
    }
}
