//! A world of one thread, paused time and pipes, so that the client's waits and failures are exact and cost nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use broker::env::{Disk, Env, File, Listener, Mono, Net, Open};
use broker::fact::Fact;
use tokio::io::DuplexStream;
use tokio::time::Instant;

/// What takes a new connection to an address.
type Accept = Rc<dyn Fn(DuplexStream)>;

/// The world as the client sees it.
#[derive(Clone)]
pub struct World(Rc<Inner>);

struct Inner {
    start: Instant,
    drawn: Cell<u64>,
    pipes: Pipes,
    disk: NoDisk,
}

/// Addresses and who answers there.
#[derive(Default)]
pub struct Pipes(RefCell<BTreeMap<String, Accept>>);

/// Runs `test` in a new world: time passes only when everyone waits.
pub fn run<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let inner = Inner { start: Instant::now(), drawn: Cell::new(7), pipes: Pipes::default(), disk: NoDisk };
        test(World(Rc::new(inner))).await;
    });
}

impl World {
    /// `accept` answers at `addr` from now on.
    pub fn serve(&self, addr: &str, accept: impl Fn(DuplexStream) + 'static) {
        self.0.pipes.0.borrow_mut().insert(addr.to_owned(), Rc::new(accept));
    }

    /// Milliseconds since the world began.
    pub fn ms(&self) -> u64 {
        self.now().0 / 1_000_000
    }
}

impl Env for World {
    type Net = Pipes;
    type Disk = NoDisk;

    fn net(&self) -> &Pipes {
        &self.0.pipes
    }
    fn disk(&self) -> &NoDisk {
        &self.0.disk
    }
    fn now(&self) -> Mono {
        Mono(0).after(self.0.start.elapsed())
    }
    fn wall(&self) -> i64 {
        1_700_000_000_000 + i64::try_from(self.ms()).unwrap()
    }
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    async fn sleep(&self, d: Duration) {
        tokio::time::sleep(d).await;
    }
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    fn spawn(&self, _name: &'static str, task: impl Future<Output = ()> + 'static) {
        tokio::task::spawn_local(task);
    }
    fn draw(&self) -> u64 {
        let drawn = self.0.drawn.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.0.drawn.set(drawn);
        drawn >> 20
    }
    fn hears(&self) -> bool {
        false
    }
    fn tell(&self, _fact: Fact) {}
    fn halt(&self, why: &str) {
        panic!("halted: {why}");
    }
}

impl Net for Pipes {
    type Stream = DuplexStream;
    type Listener = Nobody;

    async fn listen(&self, _addr: &str) -> io::Result<Nobody> {
        Err(io::ErrorKind::Unsupported.into())
    }
    async fn connect(&self, addr: &str, _timeout: Duration) -> io::Result<DuplexStream> {
        let accept = self.0.borrow().get(addr).cloned().ok_or(io::ErrorKind::ConnectionRefused)?;
        let (near, far) = tokio::io::duplex(1 << 12);
        accept(far);
        Ok(near)
    }
}

/// No one listens in this world: brokers are given their ends of pipes.
pub struct Nobody;

impl Listener for Nobody {
    type Stream = DuplexStream;

    async fn accept(&self) -> io::Result<(DuplexStream, String)> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn port(&self) -> u16 {
        0
    }
}

/// A client has no disk.
#[derive(Clone)]
pub struct NoDisk;

/// A file that is never opened.
pub enum NoFile {}

impl Disk for NoDisk {
    type File = NoFile;

    fn open(&self, _path: &str, _how: Open) -> io::Result<Rc<NoFile>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn create_dir(&self, _path: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn remove_dir(&self, _path: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn remove(&self, _path: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn list(&self, _path: &str) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn exists(&self, _path: &str) -> bool {
        false
    }
    async fn sync_dir(&self, _path: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    async fn settled(&self) {}
}

impl File for NoFile {
    fn read_at(&self, _buf: &mut [u8], _position: u64) -> io::Result<usize> {
        match *self {}
    }
    fn write_at(&self, _bytes: &[u8], _position: u64) -> io::Result<()> {
        match *self {}
    }
    fn size(&self) -> io::Result<u64> {
        match *self {}
    }
    fn truncate(&self, _size: u64) -> io::Result<()> {
        match *self {}
    }
    async fn sync(&self) -> io::Result<()> {
        match *self {}
    }
}
