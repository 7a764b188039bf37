//! The two worlds, each with a server and a client.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use broker::env::real::{self, RealEnv};
use broker::env::{Env, Net};
use broker::ids::NodeId;
use harness::seed::Seed;
use harness::sim::World;
use harness::sim::env::SimEnv;
use harness::sim::turmoil::{HostSpec, SimWorld, WorldSpec};

/// One of the two sides of a case.
pub struct Side<E: Env> {
    pub env: E,
    /// The server's name.
    pub server: String,
    /// The server's port, once it listens.
    pub port: Rc<Cell<u16>>,
    /// An address that answers nothing.
    pub silent: String,
    /// For cases whose sides compare notes.
    pub note: Rc<Cell<u64>>,
}

impl<E: Env> Side<E> {
    pub async fn listen(&self) -> <E::Net as Net>::Listener {
        use broker::env::Listener;
        let listener = self.env.net().listen(&format!("{}:0", self.server)).await.unwrap();
        self.port.set(listener.port());
        listener
    }

    pub async fn connect(&self) -> <E::Net as Net>::Stream {
        while self.port.get() == 0 {
            self.env.sleep(Duration::from_millis(1)).await;
        }
        let addr = format!("{}:{}", self.server, self.port.get());
        self.env.net().connect(&addr, Duration::from_secs(5)).await.unwrap()
    }
}

/// A case: what the server does and what the client does. Both end.
pub trait Case: Copy + 'static {
    fn server<E: Env>(self, side: Side<E>) -> impl Future<Output = ()> + 'static;
    fn client<E: Env>(self, side: Side<E>) -> impl Future<Output = ()> + 'static;
}

pub fn on_real(case: impl Case) {
    let dir = tempfile::tempdir().unwrap();
    real::block_on(async {
        let env = RealEnv::new(dir.path().to_path_buf()).unwrap();
        // A queue of one that nobody empties: the kernel drops what comes after.
        let full = tokio::net::TcpSocket::new_v4().unwrap();
        full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let full = full.listen(1).unwrap();
        let silent = full.local_addr().unwrap().to_string();
        let (port, note) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let side = || Side {
            env: env.clone(),
            server: "127.0.0.1".into(),
            port: port.clone(),
            silent: silent.clone(),
            note: note.clone(),
        };
        tokio::join!(case.server(side()), case.client(side()));
    })
    .unwrap();
}

type Part<C> = fn(C, Side<SimEnv>) -> Pin<Box<dyn Future<Output = ()>>>;

pub fn on_sim(case: impl Case) {
    for seed in 0..4 {
        let ms = Duration::from_millis;
        let mut world =
            SimWorld::new(WorldSpec { seed: Seed::new(seed), tick: ms(1), latency: (ms(1), ms(4)), split: seed > 0 });
        let (port, note, done) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let part = |run: Part<_>| {
            let (port, note, done) = (port.clone(), note.clone(), done.clone());
            let main: harness::sim::turmoil::Main = Rc::new(move |env: SimEnv| {
                let (server, silent) = ("server".to_string(), "silent:1".to_string());
                let side = Side { env, server, port: port.clone(), silent, note: note.clone() };
                let (work, done) = (run(case, side), done.clone());
                Box::pin(async move {
                    work.await;
                    done.set(done.get() + 1);
                    std::future::pending().await
                })
            });
            main
        };
        world.add(HostSpec::broker("server".into(), NodeId(0), None, part(|c, s| Box::pin(c.server(s)))));
        let client = world.add(HostSpec::client("client".into(), part(|c, s| Box::pin(c.client(s)))));
        let silent = world.add(HostSpec::client("silent".into(), Rc::new(|_| Box::pin(std::future::pending()))));
        world.cut(silent, client);
        let ended = (0..120_000).any(|_| {
            world.step().unwrap_or_else(|b| panic!("seed {seed}: {}: {}", b.host, b.message));
            done.get() == 2
        });
        assert!(ended, "seed {seed}: the case does not end");
    }
}

/// Runs a case of one process on both worlds.
pub fn alone<F: Future<Output = ()> + 'static>(on_real: impl FnOnce(RealEnv) -> F) {
    let dir = tempfile::tempdir().unwrap();
    real::block_on(async { on_real(RealEnv::new(dir.path().to_path_buf()).unwrap()).await }).unwrap();
}

/// Runs a case of one process in the simulator.
pub fn alone_in_sim<F: Future<Output = ()> + 'static>(case: impl Fn(SimEnv) -> F + 'static) {
    let ms = Duration::from_millis;
    let spec = WorldSpec { seed: Seed::new(1), tick: ms(1), latency: (ms(1), ms(4)), split: true };
    let mut world = SimWorld::new(spec);
    let done = Rc::new(RefCell::new(false));
    let ended = done.clone();
    let case = Rc::new(case);
    let main = Rc::new(move |env: SimEnv| {
        let (case, ended) = (case.clone(), ended.clone());
        Box::pin(async move {
            case(env).await;
            *ended.borrow_mut() = true;
        }) as Pin<Box<dyn Future<Output = ()>>>
    });
    world.add(HostSpec::client("alone".into(), main));
    for _ in 0..10_000 {
        if *done.borrow() {
            return;
        }
        world.step().unwrap_or_else(|b| panic!("{}: {}", b.host, b.message));
    }
    panic!("the case does not end");
}
