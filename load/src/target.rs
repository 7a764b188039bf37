//! A broker to measure, in a process of its own, so that its processor time and memory are its own: this program's `serve`, or
//! what a peer's script becomes.

#![expect(clippy::disallowed_methods, reason = "starts processes and waits for them")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::machine::Machine;

/// An environment variable that has `serve` end when whoever started it does.
pub const WITH_PARENT: &str = "LOGQUAKE_WITH_PARENT";
/// How long it may take to serve.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a process exits with that cannot do what is asked of it: `EX_UNAVAILABLE` of sysexits.h.
const UNAVAILABLE: i32 = 69;
/// Where among its files a broker's messages go.
const SAID: &str = "said";
/// How often it is looked whether it does.
const LOOK: Duration = Duration::from_millis(20);

/// Processes that were started and where their files are, for as long as they are.
static RUNNING: Mutex<BTreeMap<PathBuf, Vec<u32>>> = Mutex::new(BTreeMap::new());

/// These processes have their files there, or none have any more.
pub(crate) fn running(data: &Path, processes: Vec<u32>) {
    let mut all = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    match processes.is_empty() {
        true => all.remove(data),
        false => all.insert(data.into(), processes),
    };
}

/// Ends all brokers at once and removes their files, for whoever ends at once.
pub fn abandon() {
    let all = std::mem::take(&mut *RUNNING.lock().unwrap_or_else(PoisonError::into_inner));
    for (data, processes) in all {
        for pid in processes.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = std::fs::remove_dir_all(data);
    }
}

/// A running broker, or a cluster in one process. When it is dropped the process ends and its files are removed.
pub struct Broker {
    process: Child,
    data: PathBuf,
    /// Where it listens: every node.
    pub addresses: Vec<String>,
}

impl Broker {
    /// Starts `program serve` with its files below `dir`, so many nodes, and further arguments.
    pub fn start(program: &Path, dir: &Path, nodes: u16, more: &[&str]) -> io::Result<Self> {
        Self::begin(dir, nodes, |data, port| {
            let mut command = Command::new(program);
            command.arg("serve").arg("--data").arg(data).args(["--listen", &format!("127.0.0.1:{port}")]).args(more);
            if nodes > 1 {
                command.args(["--nodes", &nodes.to_string()]);
            }
            command
        })
    }

    /// Starts what a peer's `script` becomes, with its files below `dir`; `flush` as the script has it.
    pub fn become_by(script: &Path, dir: &Path, flush: &str) -> io::Result<Self> {
        Self::begin(dir, 1, |data, port| {
            let mut command = Command::new(script);
            command.args(["serve", &port.to_string()]).arg(data).arg(flush);
            command
        })
    }

    fn begin(dir: &Path, nodes: u16, command: impl FnOnce(&Path, u16) -> Command) -> io::Result<Self> {
        let data = dir.join(format!("broker-{}", std::process::id()));
        // Of one that had the same number and was killed: in a container numbers come again.
        match std::fs::remove_dir_all(&data) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => std::fs::create_dir_all(&data)?,
        }
        let data = data.canonicalize()?;
        let port = free(nodes)?;
        let addresses: Vec<_> = (port..port + nodes).map(|port| format!("127.0.0.1:{port}")).collect();
        let said = data.join(SAID);
        let process = spawn(command(&data, port), &said).inspect_err(|_| drop(std::fs::remove_dir_all(&data)))?;
        let mut this = Self { process, data, addresses };
        running(&this.data, vec![this.process.id()]);
        listening(&mut this.process, &this.addresses, &said)?;
        Ok(this)
    }

    /// What is to be watched of it.
    pub fn machine(&self) -> Machine {
        Machine { pids: vec![self.process.id()], data: Some(self.data.clone()) }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.data);
        running(&self.data, Vec::new());
    }
}

/// Starts a broker, whose messages go to the file `said`.
pub(crate) fn spawn(mut command: Command, said: &Path) -> io::Result<Child> {
    // Ctrl-C is for the one who measures: the broker stays until the run is over.
    command.process_group(0).env(WITH_PARENT, "1");
    // Nobody reads a pipe while it runs: one who says much would stand still.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(said)?).spawn()
}

/// Waits until a broker listens at all of these. An error says what it has `said`, if it has ended.
pub(crate) fn listening(process: &mut Child, addresses: &[String], said: &Path) -> io::Result<()> {
    let until = Instant::now() + PATIENCE;
    while let Some(silent) = addresses.iter().find(|address| TcpStream::connect(address).is_err()) {
        if let Some(status) = process.try_wait()? {
            let said = std::fs::read_to_string(said).unwrap_or_default();
            return Err(io::Error::new(ended(status), format!("the broker has ended ({status}): {}", said.trim())));
        }
        if Instant::now() > until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("nobody listens at {silent}")));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// What it means that a process has ended so: `Unsupported` if it cannot do what was asked of it.
pub fn ended(status: ExitStatus) -> io::ErrorKind {
    if status.code() == Some(UNAVAILABLE) { io::ErrorKind::Unsupported } else { io::ErrorKind::Other }
}

/// The first of so many ports in a row that nobody listens at.
pub(crate) fn free(count: u16) -> io::Result<u16> {
    for _ in 0..64 {
        let first = TcpListener::bind("127.0.0.1:0")?;
        let port = first.local_addr()?.port();
        let Some(last) = port.checked_add(count - 1) else { continue };
        if (port + 1..=last).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return Ok(port);
        }
    }
    Err(io::Error::other(format!("no {count} free ports in a row")))
}
