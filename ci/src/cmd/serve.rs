//! `serve`: the broker on real files and sockets, for any Kafka client: one, or a cluster.

use std::path::PathBuf;

use broker::config::{BrokerConfig, FlushPolicy, ProcessRoles};
use broker::ids::NodeId;

use super::Cmd;
use crate::ask::Usage;
use crate::exit::Exit;
use crate::job::nodes::{self, Member};
use crate::job::settings::{Assignment, SETTINGS, flush};
use crate::screen;

/// Where a single broker listens.
const USUAL: &str = "127.0.0.1:9092";
/// Nodes of a cluster in one process, at most.
const MOST: i64 = 9;

/// The arguments of `serve`.
#[derive(clap::Args)]
pub struct Serve {
    /// Where its logs live; made if it is not there. Of several nodes: in node-0, node-1, ... below it.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where to listen, as host:port; port 0 takes a free one. Of several nodes: the first; the others take the ports that
    /// follow. If not given: as --voters says of this node, else 127.0.0.1:9092.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<String>,
    /// The host that clients and other nodes are told to connect to; the listening host, if not given.
    #[arg(long, value_name = "HOST")]
    advertise: Option<String>,
    /// A whole cluster of so many nodes in this process; each is broker and controller, on a thread of its own.
    #[arg(long, value_name = "N", conflicts_with_all = ["node_id", "voters"],
          value_parser = clap::value_parser!(i32).range(1..=MOST))]
    nodes: Option<i32>,
    /// This node's id (node.id).
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..))]
    node_id: i32,
    /// Who votes on metadata, as id@host:port,id@host:port,... (controller.quorum.voters): all nodes of the cluster, this one
    /// among them, unless process.roles says otherwise. They speak to each other where they serve clients.
    #[arg(long, value_name = "LIST", value_parser = voters)]
    voters: Option<Voters>,
    /// When to fsync: always (before each acknowledgement), never (left to the system, Kafka's default), after so many
    /// records as 1000, or within a time as 50ms.
    #[arg(long, value_name = "POLICY", default_value = "never", value_parser = flush)]
    flush: FlushPolicy,
    /// Where to tell Prometheus, at http://ADDR/metrics, how topics, groups and their lag, and requests are; port 0 takes a
    /// free one.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    metrics: Option<String>,
    /// A setting under Kafka's name, as num.partitions=4; may be given again. --help lists them.
    #[arg(short = 'o', long = "option", value_name = "NAME=VALUE", value_parser = Assignment::parse)]
    options: Vec<Assignment>,
}

/// Who votes, and where each listens.
#[derive(Clone)]
struct Voters(Vec<(NodeId, String)>);

impl Cmd for Serve {
    const NAME: &'static str = "serve";
    const ABOUT: &'static str = "Serve Kafka clients from real files, until Ctrl-C";
    const EXAMPLES: &'static str = "\
logquake serve --data /tmp/logquake
logquake serve --data /tmp/logquake --listen 0.0.0.0:9092 --advertise broker.example
logquake serve --data /tmp/logquake --flush always --metrics 127.0.0.1:9308
logquake serve --data /tmp/logquake -o num.partitions=4 -o log.retention.ms=3600000
logquake serve --nodes 3 --data /tmp/cluster -o default.replication.factor=3 -o min.insync.replicas=2
logquake serve --node-id 1 --voters 0@a:9092,1@b:9092,2@c:9092 --data /tmp/node-1
logquake serve --node-id 3 --voters 0@a:9092,1@b:9092,2@c:9092 -o process.roles=broker --data /tmp/node-3";

    fn more() -> String {
        let lines = SETTINGS.iter().map(|s| format!("  {:<40} {}\n", s.name, s.about));
        format!("\nSettings for -o:\n{}", lines.collect::<String>())
    }

    fn go(self) -> anyhow::Result<Exit> {
        if std::env::var_os(load::target::WITH_PARENT).is_some() {
            // One that stands still hears of no other signal.
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        }
        nodes::serve(self.members()?, self.metrics.as_deref())?;
        screen::remark("stopped");
        Ok(Exit::Pass)
    }
}

impl Serve {
    /// The nodes of this process.
    fn members(&self) -> Result<Vec<Member>, Usage> {
        if let Some(count) = self.nodes {
            let places = self.places(count)?;
            let member = |(node, listen): &(NodeId, String)| {
                let config = self.config(*node, listen.clone(), places.clone())?;
                if config.process_roles != ProcessRoles::Combined {
                    return Err(Usage(
                        "each of --nodes is broker and controller: process.roles cannot say otherwise".into(),
                    ));
                }
                Ok(Member { config, data: self.data.join(format!("node-{}", node.0)) })
            };
            return places.iter().map(member).collect();
        }
        let node = NodeId(self.node_id);
        let voters = self.voters.as_ref().map_or(&[][..], |voters| &voters.0);
        let own = voters.iter().find(|(voter, _)| *voter == node).map(|(_, address)| address.clone());
        let votes = own.is_some();
        let listen = self.listen.clone().or(own).unwrap_or_else(|| USUAL.into());
        let config = self.config(node, listen, voters.to_vec())?;
        fits(config.process_roles, node, voters, votes)?;
        Ok(vec![Member { config, data: self.data.clone() }])
    }

    /// Where each of `count` nodes listens.
    fn places(&self, count: i32) -> Result<Vec<(NodeId, String)>, Usage> {
        let first = self.listen.as_deref().unwrap_or(USUAL);
        let (host, port) = split(first).ok_or_else(|| Usage(NO_ADDRESS.into()))?;
        let last = i32::from(port) + count - 1;
        if port == 0 || u16::try_from(last).is_err() {
            let what =
                format!("{count} nodes need {count} ports, from that of --listen on; {first} does not say which");
            return Err(Usage(format!("{what}. Write it as {USUAL}")));
        }
        Ok((0..count).map(|n| (NodeId(n), format!("{host}:{}", i32::from(port) + n))).collect())
    }

    fn config(&self, node_id: NodeId, listen: String, voters: Vec<(NodeId, String)>) -> Result<BrokerConfig, Usage> {
        let advertised_host = self.advertise.clone();
        let mut config = BrokerConfig { node_id, listen, advertised_host, voters, ..BrokerConfig::default() };
        config.log.flush = self.flush;
        for option in &self.options {
            option.apply(&mut config).map_err(Usage)?;
        }
        let nodes = config.voters.len().max(1);
        // Where controllers are nodes of their own, who votes says nothing of how many brokers there are.
        let combined = config.process_roles == ProcessRoles::Combined;
        if combined && usize::try_from(config.default_replication_factor).is_ok_and(|replicas| replicas > nodes) {
            let replicas = config.default_replication_factor;
            return Err(Usage(format!(
                "default.replication.factor={replicas} needs {replicas} nodes; there are {nodes}"
            )));
        }
        Ok(config)
    }
}

/// Whether a node may be what `process.roles` says, by who votes.
fn fits(roles: ProcessRoles, node: NodeId, voters: &[(NodeId, String)], votes: bool) -> Result<(), Usage> {
    let ids: Vec<_> = voters.iter().map(|(voter, _)| voter.0.to_string()).collect();
    match roles {
        ProcessRoles::Broker if votes || voters.is_empty() => {
            let what = "process.roles=broker is for a node that does not vote: --voters names the controllers";
            Err(Usage(format!("{what}, and not node {}", node.0)))
        }
        ProcessRoles::Controller if !votes => {
            Err(Usage(format!("process.roles=controller is for a node that votes: --voters must name node {}", node.0)))
        }
        ProcessRoles::Combined if !votes && !voters.is_empty() => {
            let what = format!("--voters has no node {}: it has {}", node.0, ids.join(", "));
            let tip = "--node-id says which one this is; one that does not vote is given -o process.roles=broker";
            Err(Usage(format!("{what}. {tip}")))
        }
        _ => Ok(()),
    }
}

const NO_ADDRESS: &str = "an address is written host:port, as 127.0.0.1:9092";

fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    Some((host, port.parse().ok()?)).filter(|_| !host.is_empty())
}

fn address(text: &str) -> Result<String, String> {
    split(text).map(|_| text.into()).ok_or_else(|| NO_ADDRESS.into())
}

fn voters(text: &str) -> Result<Voters, String> {
    let valid = "voters are written id@host:port,id@host:port,..., as 0@127.0.0.1:9092,1@127.0.0.1:9093";
    let mut all: Vec<(NodeId, String)> = Vec::new();
    for voter in text.split(',') {
        let parts = voter.split_once('@').and_then(|(id, address)| Some((id.parse().ok()?, address, split(address)?)));
        let Some((id, address, (_, port))) = parts.filter(|(id, ..)| *id >= 0) else {
            return Err(format!("'{voter}' is no voter; {valid}"));
        };
        if port == 0 {
            return Err(format!("'{voter}': the others must know the port; it cannot be 0"));
        }
        if let Some((other, _)) = all.iter().find(|(other, at)| other.0 == id || at == address) {
            let what = if other.0 == id { format!("node {id}") } else { address.to_string() };
            return Err(format!("{what} is there twice; {valid}"));
        }
        all.push((NodeId(id), address.to_string()));
    }
    Ok(Voters(all))
}
