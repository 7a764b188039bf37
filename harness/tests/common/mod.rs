//! The broker in this tree over real sockets, for tests that are their own programs.

use std::future::Future;
use std::path::Path;
use std::rc::Rc;

use broker::config::BrokerConfig;
use broker::env::Env;
use broker::env::real::RealEnv;
use broker::node::Node;
use tokio::sync::oneshot;

/// Runs the broker of this tree on `root` and `port` (0: any), lets `work` use it by its port, and shuts it down.
pub async fn with_broker<F: Future<Output = ()>>(
    root: &Path,
    port: u16,
    config: BrokerConfig,
    work: impl FnOnce(u16) -> F,
) {
    let env = RealEnv::new(root.to_owned()).unwrap();
    let config = BrokerConfig { listen: format!("127.0.0.1:{port}"), ..config };
    let (stop, stopped) = oneshot::channel::<()>();
    let (ready, port) = oneshot::channel();
    let (ended, end) = oneshot::channel();
    let serving = env.clone();
    env.spawn("broker", async move {
        let stopped = async move { stopped.await.unwrap_or(()) };
        let beside = |node: Rc<Node<RealEnv>>| async move {
            node.until_ready().await;
            ready.send(node.port).unwrap();
        };
        let served = broker::node::live::serve(serving, config, stopped, beside).await;
        ended.send(served).unwrap();
    });
    work(port.await.unwrap()).await;
    stop.send(()).unwrap();
    end.await.unwrap().unwrap();
}
