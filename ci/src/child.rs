//! The same run in a fresh process: no thread-local, allocator or hash state of ours can have leaked into it.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use harness::report::RunReport;
use harness::run::RunSpec;

/// This program, about to play `spec`.
fn command(spec: &RunSpec) -> anyhow::Result<Command> {
    let program = std::env::current_exe().context("cannot find this program to start it again")?;
    let mut command = Command::new(program);
    command.args(args(spec)).stdin(Stdio::null()).stdout(Stdio::piped());
    Ok(command)
}

/// The arguments that name `spec`.
fn args(spec: &RunSpec) -> Vec<String> {
    let mut args = vec!["run".into(), spec.scenario.name.into(), "--seed".into(), spec.seed.to_string()];
    if let Some(keep) = &spec.keep {
        let ids: Vec<String> = keep.iter().map(u32::to_string).collect();
        args.extend(["--keep".into(), if ids.is_empty() { "none".into() } else { ids.join(",") }]);
    }
    if let Some(defect) = spec.planted {
        args.extend(["--planted".into(), defect.id()]);
    }
    if let Ok(with) = serde_json::to_string(&spec.with)
        && with != "{}"
    {
        args.extend(["--with".into(), with]);
    }
    args
}

/// The report of `spec`, run in a fresh process.
pub fn report(spec: &RunSpec) -> anyhow::Result<RunReport> {
    let output = command(spec)?.arg("--json").stderr(Stdio::piped()).output().context("cannot start a process")?;
    match serde_json::from_slice(&output.stdout) {
        Ok(report) => Ok(report),
        Err(_) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let first = said.lines().find(|l| !l.trim().is_empty()).unwrap_or("it said nothing");
            bail!("{}: {first}", output.status)
        }
    }
}

/// A fresh process that writes the events of `spec`, a line each, to its standard output.
pub fn events(spec: &RunSpec) -> anyhow::Result<Child> {
    let mut command = command(spec)?;
    command.args(["--history", "-"]).stderr(Stdio::null()).spawn().context("cannot start a process")
}
