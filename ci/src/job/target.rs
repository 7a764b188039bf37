//! What `bench` drives: a broker of this program, of another build of it, or any that speaks Kafka's protocol.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use load::cluster::Cluster;
use load::kafka::Kafka;
use load::machine::Machine;
use load::run::{Done, Watch};
use load::target::Broker;
use load::workloads::Case;

/// The topic that is written to, and removed.
const TOPIC: &str = "logquake-bench";

/// A broker to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This program's own, started anew for each run.
    Own,
    /// That of another build of this program.
    Program(PathBuf),
    /// One that runs already, found at these addresses.
    Kafka(Vec<String>),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "own" {
            return Ok(Self::Own);
        }
        if let Some(path) = text.strip_prefix("program:") {
            return Ok(Self::Program(path.into()));
        }
        let valid =
            "a target is own, program:PATH of another build of this program, or kafka://HOST:PORT,HOST:PORT,...";
        let addresses = text.strip_prefix("kafka://").ok_or(format!("'{text}' is no target; {valid}"))?;
        let addresses: Vec<String> = addresses.split(',').map(Into::into).collect();
        let is_address =
            |a: &String| a.rsplit_once(':').is_some_and(|(h, p)| !h.is_empty() && p.parse::<u16>().is_ok());
        match addresses.iter().find(|address| !is_address(address)) {
            Some(wrong) => Err(format!("'{wrong}' is no host:port; {valid}")),
            None => Ok(Self::Kafka(addresses)),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Program(path) => write!(f, "program:{}", path.display()),
            Self::Kafka(addresses) => write!(f, "kafka://{}", addresses.join(",")),
        }
    }
}

/// Runs one case. Files go below `dir`; `pids` are processes of a broker that runs already.
pub fn measure(target: &Target, case: &Case, dir: &Path, pids: &[u32], watch: &mut dyn Watch) -> anyhow::Result<Done> {
    let name = target.to_string();
    let program = match target {
        Target::Own => Some(std::env::current_exe().context("cannot find this program to start it again")?),
        Target::Program(path) => Some(path.clone()),
        Target::Kafka(_) => None,
    };
    if let Some(program) = program.filter(|_| !case.spec.events.is_empty()) {
        let cluster = Cluster::start(&program, dir, case.nodes()).with_context(|| format!("cannot start {name}"));
        let mut cluster = cluster?;
        let (kafka, machine) = (Kafka::new(cluster.addresses.clone(), TOPIC), cluster.machine());
        return load::run::run_on(&kafka, &case.spec, &machine, &name, watch, Some(&mut cluster))
            .with_context(|| name.clone());
    }
    let started = |program: &Path| {
        let options: Vec<&str> = case.settings.iter().flat_map(|setting| ["-o", *setting]).collect();
        let broker =
            Broker::start(program, dir, case.nodes(), &options).with_context(|| format!("cannot start {name}"))?;
        let kafka = Kafka::new(broker.addresses.clone(), TOPIC);
        Ok::<_, anyhow::Error>((broker, kafka))
    };
    let (broker, kafka) = match target {
        Target::Own => started(&std::env::current_exe().context("cannot find this program to start it again")?)?,
        Target::Program(path) => started(path)?,
        Target::Kafka(addresses) => {
            let machine = Machine { pids: pids.to_vec(), data: None };
            return load::run::run(&Kafka::new(addresses.clone(), TOPIC), &case.spec, &machine, &name, watch)
                .with_context(|| name.clone());
        }
    };
    load::run::run(&kafka, &case.spec, &broker.machine(), &name, watch).with_context(|| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_it_is_written() {
        for text in ["own", "program:/tmp/logquake", "kafka://a:1,b:2"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for wrong in ["", "a:9092", "kafka://", "kafka://a", "kafka://a:1,:2", "kafka://a:99999"] {
            assert!(wrong.parse::<Target>().unwrap_err().contains("kafka://HOST:PORT"), "{wrong}");
        }
    }
}
