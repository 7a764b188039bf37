//! `serve`: the broker on real files and sockets, for any Kafka client.

use std::path::PathBuf;

use anyhow::Context;
use broker::config::{BrokerConfig, FlushPolicy};
use broker::env::real::{RealEnv, block_on};
use broker::ids::NodeId;

use super::Cmd;
use crate::exit::Exit;
use crate::job::settings::{Assignment, SETTINGS, flush};
use crate::{interrupt, screen};

/// The arguments of `serve`.
#[derive(clap::Args)]
pub struct Serve {
    /// Where its logs live; made if it is not there.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where to listen, as host:port; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9092", value_parser = address)]
    listen: String,
    /// The host that clients are told to connect to; the listening host, if not given.
    #[arg(long, value_name = "HOST")]
    advertise: Option<String>,
    /// The broker's id.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..))]
    node_id: i32,
    /// When to fsync: always (before each acknowledgement), never (left to the system, Kafka's default), after so many
    /// records as 1000, or within a time as 50ms.
    #[arg(long, value_name = "POLICY", default_value = "never", value_parser = flush)]
    flush: FlushPolicy,
    /// A setting under Kafka's name, as num.partitions=4; may be given again. --help lists them.
    #[arg(short = 'o', long = "option", value_name = "NAME=VALUE", value_parser = Assignment::parse)]
    options: Vec<Assignment>,
}

impl Cmd for Serve {
    const NAME: &'static str = "serve";
    const ABOUT: &'static str = "Serve Kafka clients from real files, until Ctrl-C";
    const EXAMPLES: &'static str = "\
logquake serve --data /tmp/logquake
logquake serve --data /tmp/logquake --listen 0.0.0.0:9092 --advertise broker.example
logquake serve --data /tmp/logquake --flush always
logquake serve --data /tmp/logquake -o num.partitions=4 -o log.retention.ms=3600000";

    fn more() -> String {
        let lines = SETTINGS.iter().map(|s| format!("  {:<40} {}\n", s.name, s.about));
        format!("\nSettings for -o:\n{}", lines.collect::<String>())
    }

    fn go(self) -> anyhow::Result<Exit> {
        let config = self.config()?;
        let env = RealEnv::new(self.data.clone()).with_context(|| format!("cannot use {}", self.data.display()))?;
        let (host, data) = (host(&config.listen).to_string(), self.data.display().to_string());
        let ready = move |port| screen::remark(&format!("serving Kafka clients on {host}:{port} from {data}"));
        let served = block_on(async { broker::node::serve_ready(env, config, interrupt::ended(), ready).await });
        served.and_then(|ended| ended).with_context(|| format!("cannot serve on {}", self.listen))?;
        screen::remark("stopped");
        Ok(Exit::Pass)
    }
}

impl Serve {
    fn config(&self) -> Result<BrokerConfig, crate::ask::Usage> {
        let mut config = BrokerConfig {
            node_id: NodeId(self.node_id),
            listen: self.listen.clone(),
            advertised_host: self.advertise.clone(),
            ..BrokerConfig::default()
        };
        config.log.flush = self.flush;
        for option in &self.options {
            option.apply(&mut config).map_err(crate::ask::Usage)?;
        }
        Ok(config)
    }
}

fn host(listen: &str) -> &str {
    listen.rsplit_once(':').map_or(listen, |(host, _)| host)
}

fn address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.into()),
        _ => Err("an address is written host:port, as 127.0.0.1:9092".into()),
    }
}
