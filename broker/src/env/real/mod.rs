//! The live world: real files, real sockets, real time.

mod clock;
pub mod disk;
mod net;
mod tasks;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

pub use disk::{RealDisk, RealFile};
pub use net::{RealListener, RealNet};

use self::clock::Clocks;
use self::tasks::Tasks;
use super::{Env, Mono};
use crate::fact::Fact;

/// What a node does when it must stop at once; told why.
pub type OnHalt = Rc<dyn Fn(&str)>;

/// The doors of a live node. Used inside [`block_on`], on one thread.
#[derive(Clone)]
pub struct RealEnv(Rc<Inner>);

struct Inner {
    net: RealNet,
    disk: RealDisk,
    clocks: Clocks,
    tasks: Tasks,
    on_halt: OnHalt,
}

/// The exit code of a process whose node halted: `EX_SOFTWARE` of sysexits.h.
pub const HALTED: i32 = 70;

impl RealEnv {
    /// A node whose files are below `root`, which is created. When it halts, the process says why and ends.
    pub fn new(root: PathBuf) -> io::Result<Self> {
        let exit = |why: &str| {
            eprintln!("halted: {why}");
            std::process::exit(HALTED);
        };
        Self::with_halt(root, Rc::new(exit))
    }

    /// As [`RealEnv::new`], for a process with more than one node: `on_halt` is called once, and the node may start no
    /// task after it.
    pub fn with_halt(root: PathBuf, on_halt: OnHalt) -> io::Result<Self> {
        let disk = RealDisk::new(root)?;
        Ok(Self(Rc::new(Inner { net: RealNet, disk, clocks: Clocks::new(), tasks: Tasks::new()?, on_halt })))
    }
}

impl Env for RealEnv {
    type Net = RealNet;
    type Disk = RealDisk;

    fn net(&self) -> &RealNet {
        &self.0.net
    }

    fn disk(&self) -> &RealDisk {
        &self.0.disk
    }

    fn now(&self) -> Mono {
        self.0.clocks.mono()
    }

    fn wall(&self) -> i64 {
        clock::wall()
    }

    fn sleep(&self, d: Duration) -> impl Future<Output = ()> {
        clock::sleep(d)
    }

    fn spawn(&self, _name: &'static str, task: impl Future<Output = ()> + 'static) {
        self.0.tasks.spawn(task);
    }

    fn draw(&self) -> u64 {
        self.0.tasks.draw()
    }

    fn hears(&self) -> bool {
        false
    }

    fn tell(&self, _: Fact) {}

    fn halt(&self, why: &str) {
        if self.0.tasks.close() {
            (self.0.on_halt)(why);
        }
    }
}

/// Runs a node, or anything that uses a [`RealEnv`], on this thread: a current-thread runtime and a local task set. When
/// `work` ends, the tasks it spawned are dropped.
pub fn block_on<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(tokio::task::LocalSet::new().block_on(&runtime, work))
}
