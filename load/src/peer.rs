//! Somebody else's system to measure beside ours: a script gets it and becomes it, so that the bench starts and ends it, and
//! watches it, as it does a broker of ours. `ci/peers/common.sh` says how such a script is called.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use broker::config::FlushPolicy;

use crate::spec::{Reading, Spec};
use crate::target::Broker;

/// How a peer is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Kafka's.
    Kafka,
    /// That of NATS, with JetStream.
    Nats,
    /// That of Redis, with streams.
    Redis,
}

/// A peer that is there and can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    script: PathBuf,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Whether it holds what it has in memory, rather than in files.
    in_memory: bool,
    what: String,
}

impl Peer {
    /// Has `script` get the peer, if it is not there.
    pub fn get(script: &Path) -> io::Result<Self> {
        let mut command = Command::new(script);
        let done = command.arg("install").stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let done = done.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", script.display())))?;
        if !done.status.success() {
            let kind = crate::target::ended(done.status);
            return Err(io::Error::new(kind, format!("{} install has failed ({})", script.display(), done.status)));
        }
        Self::read(script, String::from_utf8_lossy(&done.stdout).trim())
    }

    fn read(script: &Path, line: &str) -> io::Result<Self> {
        let wrong = || {
            let why = format!("{} install says '{line}', not PROTOCOL memory|files WHAT IT IS", script.display());
            io::Error::new(io::ErrorKind::InvalidData, why)
        };
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().ok_or_else(wrong);
        let protocol = match word()? {
            "kafka" => Protocol::Kafka,
            "nats" => Protocol::Nats,
            "redis" => Protocol::Redis,
            _ => return Err(wrong()),
        };
        let in_memory = match word()? {
            "memory" => true,
            "files" => false,
            _ => return Err(wrong()),
        };
        Ok(Self { script: script.into(), protocol, in_memory, what: word()?.into() })
    }

    /// Starts it with its files below `dir`, to flush as `spec` says.
    pub fn start(&self, dir: &Path, spec: &Spec) -> io::Result<Broker> {
        let cold = matches!(spec.reading, Reading::CatchUp { cold: true, .. });
        let refused = [
            (cold && self.in_memory, "it holds all in memory: there is no cold read of it"),
            (spec.replication > 1, "a peer is one process here: it has no replicas"),
        ];
        if let Some((_, why)) = refused.iter().find(|(refused, _)| *refused) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, *why));
        }
        Broker::become_by(&self.script, dir, &flush(spec.flush))
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.what, if self.in_memory { " (in memory)" } else { "" })
    }
}

/// How a script is told.
fn flush(policy: FlushPolicy) -> String {
    match policy {
        FlushPolicy::Never => "never".into(),
        FlushPolicy::Records(n) => format!("records:{n}"),
        FlushPolicy::Millis(ms) => format!("ms:{ms}"),
        FlushPolicy::Always => "always".into(),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "writes scripts")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn script(dir: &Path, text: &str) -> PathBuf {
        let path = dir.join("peer.sh");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_script_says_what_it_gets() {
        let read = |line| Peer::read(Path::new("x.sh"), line);
        let peer = read("redis memory Redis Streams 7.0").unwrap();
        assert_eq!((peer.protocol, peer.to_string().as_str()), (Protocol::Redis, "Redis Streams 7.0 (in memory)"));
        assert_eq!(read("nats files NATS 2").unwrap().to_string(), "NATS 2");
        for wrong in ["", "kafka", "kafka memory", "kafka tape X", "amqp files X"] {
            assert!(read(wrong).unwrap_err().to_string().contains("PROTOCOL"), "{wrong}");
        }
    }

    #[test]
    fn what_a_peer_cannot_do_is_told_from_what_goes_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let get = |text| Peer::get(&script(dir.path(), text)).unwrap_err().kind();
        assert_eq!((get("exit 69"), get("exit 1")), (io::ErrorKind::Unsupported, io::ErrorKind::Other));
        let text = "[ $1 = install ] && echo kafka memory X && exit; echo no $4 here >&2; exit 69";
        let peer = Peer::get(&script(dir.path(), text)).unwrap();
        let refused = |spec: Spec| peer.start(&dir.path().join("data"), &spec).err().unwrap();
        let why = refused(Spec { flush: FlushPolicy::Always, ..Spec::default() });
        assert_eq!(why.kind(), io::ErrorKind::Unsupported);
        assert!(why.to_string().contains("no always here"), "{why}");
        let cold = Spec { reading: Reading::CatchUp { megabytes: 1, cold: true }, ..Spec::default() };
        assert!(refused(cold).to_string().contains("in memory"));
        assert!(refused(Spec { replication: 3, ..Spec::default() }).to_string().contains("replicas"));
    }
}
