//! What `bench` drives: a broker of this program, of another build of it, any that speaks Kafka's protocol, or a peer that a
//! script starts.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use load::cluster::Cluster;
use load::kafka::Kafka;
use load::machine::Machine;
use load::peer::{Peer, Protocol};
#[cfg(feature = "peers")]
use load::peers::{nats::Nats, redis::Redis};
use load::run::{Done, Watch, run, run_on};
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
    /// What `ci/peers/NAME.sh` gets and starts, or a script whose path it is.
    Peer(String),
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
        if let Some(name) = text.strip_prefix("peer:").filter(|name| !name.is_empty()) {
            return Ok(Self::Peer(name.into()));
        }
        let valid = "a target is own, program:PATH of another build of this program, kafka://HOST:PORT,HOST:PORT,..., or \
                     peer:NAME, which ci/peers/NAME.sh starts";
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
            Self::Peer(name) => write!(f, "peer:{name}"),
        }
    }
}

/// Runs one case. Files go below `dir`; `pids` are processes of a broker that runs already.
pub fn measure(target: &Target, case: &Case, dir: &Path, pids: &[u32], watch: &mut dyn Watch) -> anyhow::Result<Done> {
    let options: Vec<&str> = case.settings.iter().flat_map(|setting| ["-o", *setting]).collect();
    let (name, spec) = (format!("{target} {}", options.join(" ")).trim_end().to_owned(), &case.spec);
    if !options.is_empty() && matches!(target, Target::Kafka(_) | Target::Peer(_)) {
        let why = format!("{name}: the case is about settings of a broker of ours");
        return Err(io::Error::new(io::ErrorKind::Unsupported, why).into());
    }
    let kafka = |addresses: &[String]| Kafka::new(addresses.to_vec(), TOPIC);
    let own = |program: &Path, watch: &mut dyn Watch| {
        if !spec.events.is_empty() {
            let mut cluster = Cluster::start(program, dir, case.nodes())?;
            let (kafka, machine) = (kafka(&cluster.addresses), cluster.machine());
            return run_on(&kafka, spec, &machine, &name, watch, Some(&mut cluster));
        }
        let broker = Broker::start(program, dir, case.nodes(), &options)?;
        run(&kafka(&broker.addresses), spec, &broker.machine(), &name, watch)
    };
    let done = match target {
        Target::Own => own(&std::env::current_exe().context("cannot find this program to start it again")?, watch),
        Target::Program(path) => own(path, watch),
        Target::Kafka(addresses) => {
            run(&kafka(addresses), spec, &Machine { pids: pids.to_vec(), data: None }, &name, watch)
        }
        Target::Peer(script) => {
            let peer = Peer::get(&path(script)).with_context(|| name.clone())?;
            let broker = peer.start(dir, spec).with_context(|| name.clone())?;
            let (says, machine) = (format!("{name}, {peer}"), broker.machine());
            match peer.protocol {
                Protocol::Kafka => run(&kafka(&broker.addresses), spec, &machine, &says, watch),
                #[cfg(feature = "peers")]
                Protocol::Nats => run(&Nats::new(&broker.addresses[0], TOPIC), spec, &machine, &says, watch),
                #[cfg(feature = "peers")]
                Protocol::Redis => run(&Redis::new(&broker.addresses[0], TOPIC), spec, &machine, &says, watch),
                #[cfg(not(feature = "peers"))]
                Protocol::Nats | Protocol::Redis => {
                    let why = format!("{peer} has a protocol of its own: build with --features peers");
                    Err(io::Error::new(io::ErrorKind::Unsupported, why))
                }
            }
        }
    };
    done.with_context(|| name.clone())
}

/// Whether what went wrong is that the target cannot do what was asked of it.
pub fn cannot(error: &anyhow::Error) -> bool {
    let kinds = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    kinds.into_iter().any(|kind| kind == io::ErrorKind::Unsupported)
}

/// A peer's script.
fn path(name: &str) -> PathBuf {
    if name.contains('/') { name.into() } else { format!("ci/peers/{name}.sh").into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_it_is_written() {
        for text in ["own", "program:/tmp/logquake", "kafka://a:1,b:2", "peer:nats", "peer:/opt/x.sh"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        assert_eq!((path("nats"), path("./x.sh")), ("ci/peers/nats.sh".into(), "./x.sh".into()));
        for wrong in ["", "a:9092", "peer:", "kafka://", "kafka://a", "kafka://a:1,:2", "kafka://a:99999"] {
            assert!(wrong.parse::<Target>().unwrap_err().contains("kafka://HOST:PORT"), "{wrong}");
        }
    }
}
