//! Brokers of ours that are to be harmed: each in a process of its own, on a place of its own, so that one can die and come back.

#![expect(clippy::disallowed_methods, reason = "starts processes, stops them, and competes with them for the device")]

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};

use crate::machine::Machine;
use crate::target::{free, listening, running, spawn};

/// Shorter than Kafka's own, so that what is decided by silence is decided within a run; the same for either protocol of groups.
const SETTINGS: &[&str] = &[
    "broker.heartbeat.interval.ms=500",
    "broker.session.timeout.ms=3000",
    "group.initial.rebalance.delay.ms=0",
    "group.consumer.heartbeat.interval.ms=1500",
    "group.consumer.session.timeout.ms=6000",
];

/// A cluster. When it is dropped its processes end, whatever state they are in, and its files are removed.
pub struct Cluster {
    program: PathBuf,
    data: PathBuf,
    nodes: Vec<Node>,
    crowd: Option<Crowd>,
    /// Where it listens: every node.
    pub addresses: Vec<String>,
}

struct Node {
    args: Vec<String>,
    said: PathBuf,
    process: Child,
}

impl Node {
    fn start(program: &Path, args: Vec<String>, said: PathBuf) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(&args);
        let process = spawn(command, &said)?;
        Ok(Self { args, said, process })
    }
}

/// Somebody else who writes to the same device.
struct Crowd {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<()>>,
}

impl Cluster {
    /// Starts so many processes of `program serve` with their files below `dir`.
    pub fn start(program: &Path, dir: &Path, count: u16) -> io::Result<Self> {
        let data = dir.join(format!("cluster-{}", std::process::id()));
        // Of one that had the same number and was killed: in a container numbers come again.
        match std::fs::remove_dir_all(&data) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => std::fs::create_dir_all(&data)?,
        }
        let port = free(count)?;
        let addresses: Vec<_> = (port..port + count).map(|port| format!("127.0.0.1:{port}")).collect();
        let voters: Vec<_> = addresses.iter().enumerate().map(|(id, address)| format!("{id}@{address}")).collect();
        let mut this = Self { program: program.into(), data, nodes: Vec::new(), crowd: None, addresses };
        for (id, address) in this.addresses.clone().iter().enumerate() {
            let data = this.data.join(format!("node-{id}")).display().to_string();
            let mut args: Vec<String> = ["serve", "--data", &data].map(Into::into).into();
            match count {
                1 => args.extend(["--listen".into(), address.clone()]),
                _ => args.extend(["--node-id".into(), id.to_string(), "--voters".into(), voters.join(",")]),
            }
            args.extend(SETTINGS.iter().flat_map(|setting| ["-o".into(), (*setting).into()]));
            let said = this.data.join(format!("node-{id}.said"));
            this.nodes.push(Node::start(&this.program, args, said)?);
            this.note();
        }
        for (node, address) in this.nodes.iter_mut().zip(&this.addresses) {
            listening(&mut node.process, std::slice::from_ref(address), &node.said)?;
        }
        Ok(this)
    }

    /// What is to be watched of it.
    pub fn machine(&self) -> Machine {
        Machine { pids: self.nodes.iter().map(|node| node.process.id()).collect(), data: Some(self.data.clone()) }
    }

    fn note(&self) {
        running(&self.data, self.nodes.iter().map(|node| node.process.id()).collect());
    }

    /// Kills a node: nothing is told to anyone, and nothing is written any more.
    pub fn kill(&mut self, node: usize) -> io::Result<()> {
        self.nodes[node].process.kill()?;
        self.nodes[node].process.wait().map(drop)
    }

    /// Starts a node anew on its files.
    pub fn restart(&mut self, node: usize) -> io::Result<()> {
        let Node { args, said, .. } = &self.nodes[node];
        self.nodes[node] = Node::start(&self.program, args.clone(), said.clone())?;
        self.note();
        Ok(())
    }

    /// Stops a node where it is: its connections stay.
    pub fn freeze(&mut self, node: usize) -> io::Result<()> {
        self.signal(node, Signal::STOP)
    }

    /// Lets it go on.
    pub fn thaw(&mut self, node: usize) -> io::Result<()> {
        self.signal(node, Signal::CONT)
    }

    fn signal(&self, node: usize, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.nodes[node].process), signal)?)
    }

    /// Has somebody else write a mebibyte and sync it, again and again, on the device that all nodes' files are on.
    pub fn crowd(&mut self, _: usize) -> io::Result<()> {
        let (stop, mut file) = (Arc::new(AtomicBool::new(false)), File::create(self.data.join("crowd"))?);
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let piece = vec![b'x'; 1 << 20];
            while !stopped.load(Ordering::Acquire) {
                file.write_all(&piece)?;
                file.sync_data()?;
            }
            Ok(())
        });
        self.crowd = Some(Crowd { stop, thread });
        Ok(())
    }

    /// Nobody else writes any more.
    pub fn clear(&mut self, _: usize) -> io::Result<()> {
        let Some(crowd) = self.crowd.take() else { return Ok(()) };
        crowd.stop.store(true, Ordering::Release);
        crowd.thread.join().unwrap_or_else(|why| std::panic::resume_unwind(why))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What cannot be ended or removed is not worth a panic.
        let _ = self.clear(0);
        for node in &mut self.nodes {
            let _ = node.process.kill();
            let _ = node.process.wait();
        }
        let _ = std::fs::remove_dir_all(&self.data);
        running(&self.data, Vec::new());
    }
}
