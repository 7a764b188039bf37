//! The nodes of this process: a thread and a reactor each. They stop together: at Ctrl-C, when the process is asked to
//! terminate, or when one of them cannot go on.

use std::path::PathBuf;
use std::rc::Rc;
use std::thread::JoinHandle;

use anyhow::Context;
use broker::config::{BrokerConfig, ProcessRoles};
use broker::env::real::{HALTED, RealEnv, block_on};
use broker::env::{Env, race};
use broker::node::Node;
use tokio::sync::{mpsc, oneshot, watch};

use super::metrics::{self, Page};
use super::open_files;
use crate::{interrupt, screen};

/// One node: its settings, and where its logs live.
pub struct Member {
    /// Its settings.
    pub config: BrokerConfig,
    /// The directory of its logs.
    pub data: PathBuf,
}

/// What a node's thread tells of it.
enum Told {
    /// It serves clients, on this port.
    Ready(u16),
    /// It knows that every voter does.
    Whole,
    /// It has ended, by itself or as asked.
    Ended,
}

/// Serves until it is asked to stop; then every node takes its leave and shuts down cleanly. Says what becomes ready.
/// `page`: where to serve metrics, as host:port.
pub fn serve(mut members: Vec<Member>, page: Option<&str>) -> anyhow::Result<()> {
    open_files::share(&mut members);
    let (stop, stopped) = watch::channel(false);
    let (tell, told) = mpsc::unbounded_channel();
    let names: Vec<_> = members.iter().map(Name::of).collect();
    let data = members.first().map(|member| member.data.clone()).unwrap_or_default();
    let staying = watch::Sender::new(0);
    let (asking, asked): (Vec<_>, Vec<_>) = members.iter().map(|_| metrics::channel()).unzip();
    let start = |((at, member), asked)| {
        Thread { at, stopped: stopped.clone(), tell: tell.clone(), stay: Stay::of(&staying), asked }.start(member)
    };
    let threads: Vec<_> = (0..).zip(members).zip(asked).map(start).collect();
    drop(tell);
    let ended = async {
        race(listen(&names, told), interrupt::ended()).await;
    };
    let shown = block_on(race(show(page, data, asking), ended))?;
    stop.send_replace(true);
    let mut ends = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|why| std::panic::resume_unwind(why)));
    // Every thread is waited for; the first error is the one to tell.
    let first = ends.by_ref().find(Result::is_err);
    ends.for_each(drop);
    shown.unwrap_or(Ok(()))?;
    first.unwrap_or(Ok(()))
}

/// Serves metrics; ends only if it cannot.
async fn show(page: Option<&str>, data: PathBuf, asking: Vec<metrics::Asking>) -> anyhow::Result<()> {
    let Some(addr) = page else { return std::future::pending().await };
    let env = RealEnv::new(data.clone()).with_context(|| format!("cannot use {}", data.display()))?;
    Page::open(env, addr, asking).await?.serve().await;
    Ok(())
}

/// Counts a node that has not taken its leave. The controller is one of them, and needs a majority to let anyone go: so
/// none ends before all have left.
struct Stay(watch::Sender<usize>);

impl Stay {
    fn of(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|staying| *staying += 1);
        Self(count.clone())
    }

    /// Leaves, and waits for the others.
    async fn end(self) {
        let mut count = self.0.subscribe();
        drop(self);
        // An error means that the process ends.
        let _ = count.wait_for(|staying| *staying == 0).await;
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.send_modify(|staying| *staying -= 1);
    }
}

/// What a node's thread is given.
struct Thread {
    at: usize,
    stopped: watch::Receiver<bool>,
    tell: mpsc::UnboundedSender<(usize, Told)>,
    stay: Stay,
    asked: metrics::Asked,
}

impl Thread {
    #[expect(clippy::disallowed_methods, reason = "a node is one reactor: in one process, a thread for each")]
    fn start(self, member: Member) -> JoinHandle<anyhow::Result<()>> {
        std::thread::spawn(move || {
            let (at, tell) = (self.at, self.tell.clone());
            let ended = self.run(member);
            // An error means that nobody listens any more.
            let _ = tell.send((at, Told::Ended));
            ended
        })
    }

    fn run(self, member: Member) -> anyhow::Result<()> {
        let Member { config, data } = member;
        let (id, listen) = (config.node_id, config.listen.clone());
        // Of others than voters nobody knows how many there are to be.
        let clustered = !config.voters.is_empty() && config.process_roles == ProcessRoles::Combined;
        let halted = move |why: &str| {
            screen::error(&format!("{id} halted: {why}"));
            std::process::exit(HALTED);
        };
        let (left, has_left) = oneshot::channel();
        let beside = move |node| self.beside(node, clustered, left);
        let served = block_on(async {
            let env = RealEnv::with_halt(data.clone(), Rc::new(halted));
            let env = env.with_context(|| format!("cannot use {}", data.display()))?;
            let stop = async move { drop(has_left.await) };
            let served = broker::node::live::serve(env, config, stop, beside).await;
            served.with_context(|| format!("cannot serve on {listen}"))
        });
        served?
    }

    /// Tells how the node is until all are to stop; then leaves the cluster, and waits for the others.
    async fn beside(self, node: Rc<Node<RealEnv>>, clustered: bool, left: oneshot::Sender<()>) {
        let Self { at, mut stopped, tell, stay, asked } = self;
        node.env.spawn("metrics", metrics::answer(node.clone(), asked));
        let stop = async { drop(stopped.wait_for(|stop| *stop).await) };
        race(tell_of(&node, clustered, |said| drop(tell.send((at, said)))), stop).await;
        node.leave().await;
        stay.end().await;
        let _ = left.send(());
    }
}

/// Tells what becomes of a node; never ends.
async fn tell_of(node: &Node<RealEnv>, clustered: bool, tell: impl Fn(Told)) {
    node.until_ready().await;
    tell(Told::Ready(node.port));
    if clustered {
        node.until_whole().await;
        tell(Told::Whole);
    }
    std::future::pending().await
}

/// How a node is spoken of.
struct Name {
    before: String,
    does: &'static str,
    host: String,
    data: String,
}

impl Name {
    fn of(member: &Member) -> Self {
        let config = &member.config;
        let host = config.listen.rsplit_once(':').map_or(config.listen.as_str(), |(host, _)| host);
        let before = if config.voters.is_empty() { String::new() } else { format!("node {}: ", config.node_id.0) };
        let does =
            if config.process_roles.serves() { "serving Kafka clients" } else { "serving brokers as a controller" };
        Self { before, does, host: host.to_string(), data: member.data.display().to_string() }
    }
}

/// Says what the nodes tell. Returns when one of them has ended.
async fn listen(names: &[Name], mut told: mpsc::UnboundedReceiver<(usize, Told)>) {
    let mut waiting = 2 * names.len();
    while let Some((at, said)) = told.recv().await {
        match said {
            Told::Ended => return,
            Told::Ready(port) => {
                let Name { before, does, host, data } = &names[at];
                screen::remark(&format!("{before}{does} on {host}:{port} from {data}"));
            }
            Told::Whole => {}
        }
        waiting -= 1;
        if waiting == 0 {
            screen::remark("the cluster is ready: every node serves");
        }
    }
}
