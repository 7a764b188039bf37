//! What the nodes of this process say of themselves, over HTTP: `GET /metrics`, for Prometheus.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use broker::env::real::{RealEnv, RealListener};
use broker::env::{Env, Listener, Net};
use broker::ids::{Offset, TopicPartition};
use broker::node::Node;
use broker::node::meter::Measured;
use harness::client::{Client, Settings};
use reports::prometheus::{CONTENT_TYPE, Seen, exposition};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::screen;

/// Bytes of a request at most, before its body, which it has none of.
const MOST_HEAD: usize = 8 << 10;
/// Header lines of a request at most.
const MOST_HEADERS: usize = 64;
/// Connections served at once.
const MOST_OPEN: usize = 16;
/// From when a connection is accepted until its answer is sent.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a node has for asking others how far their partitions have come.
const ASKING: Duration = Duration::from_secs(1);
/// Kafka's ListOffsets: the end of what consumers see.
const LATEST: i64 = -1;

/// What one node says.
type Said = (Measured, BTreeMap<TopicPartition, Offset>);
/// Asks a node.
pub type Asking = mpsc::Sender<oneshot::Sender<Said>>;
/// Where it is asked.
pub type Asked = mpsc::Receiver<oneshot::Sender<Said>>;

/// One for each node.
pub fn channel() -> (Asking, Asked) {
    mpsc::channel(MOST_OPEN)
}

/// Answers for a node, on its thread, as long as anyone may ask.
pub async fn answer(node: Rc<Node<RealEnv>>, mut asked: Asked) {
    let bootstrap = vec![format!("{}:{}", node.host(), node.port)];
    let settings = Settings { bootstrap, client_id: "metrics".into(), ..Settings::default() };
    let client = Client::new(node.env.clone(), settings);
    while let Some(reply) = asked.recv().await {
        let measured = node.measure();
        let ends = elsewhere(&client, &measured).await;
        // Whoever asked may have lost patience.
        let _ = reply.send((measured, ends));
    }
}

/// Ends of the partitions that groups here have committed offsets of and that this node has no replica of. What nobody
/// tells in time is left out.
async fn elsewhere(client: &Client<RealEnv>, measured: &Measured) -> BTreeMap<TopicPartition, Offset> {
    let deadline = client.env().now().after(ASKING);
    let committed: std::collections::BTreeSet<_> =
        measured.groups.iter().flat_map(|group| group.committed.iter().map(|(tp, _)| tp)).collect();
    let there = measured.partitions.iter().filter(|part| part.here.is_none() && committed.contains(&part.tp));
    let mut ends = BTreeMap::new();
    for part in there {
        if let Ok(listed) = client.list_offsets(&part.tp, LATEST, deadline).await {
            ends.insert(part.tp.clone(), listed.offset);
        }
    }
    ends
}

/// Where the page is.
pub struct Page {
    listener: RealListener,
    env: RealEnv,
    nodes: Rc<[Asking]>,
}

impl Page {
    /// At `addr`, host:port.
    pub async fn open(env: RealEnv, addr: &str, nodes: Vec<Asking>) -> anyhow::Result<Self> {
        let listener = env.net().listen(addr).await.with_context(|| format!("cannot serve metrics on {addr}"))?;
        let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
        screen::remark(&format!("metrics on http://{host}:{}/metrics", listener.port()));
        Ok(Self { listener, env, nodes: nodes.into() })
    }

    /// Serves it; never ends.
    pub async fn serve(self) {
        let room = Arc::new(Semaphore::new(MOST_OPEN));
        loop {
            let place = room.clone().acquire_owned().await;
            // An error of one connection, or of too many open files, is nobody else's.
            let Ok((stream, _)) = self.listener.accept().await else {
                self.env.sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (env, nodes) = (self.env.clone(), self.nodes.clone());
            self.env.spawn("metrics", async move {
                let _place = place;
                env.timeout(PATIENCE, serve_one(stream, &nodes)).await;
            });
        }
    }
}

/// One request, one answer.
async fn serve_one(mut stream: impl AsyncRead + AsyncWrite + Unpin, nodes: &[Asking]) {
    let (status, kind, body) = match read_head(&mut stream).await {
        Some(path) if path == "/metrics" => ("200 OK", CONTENT_TYPE, page(nodes).await),
        Some(_) => ("404 Not Found", "text/plain", "there is /metrics here\n".to_owned()),
        None => ("400 Bad Request", "text/plain", "only GET is understood\n".to_owned()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    // A client that is gone need not be told.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// The path of a GET request; `None`: it is none, or too long.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        if request.parse(&head).ok()?.is_complete() {
            let path = request.path?.split('?').next()?.to_owned();
            return (request.method == Some("GET")).then_some(path);
        }
        let mut more = [0; 1024];
        let read = stream.read(&mut more).await.ok().filter(|read| *read > 0)?;
        head.extend_from_slice(&more[..read]);
        if head.len() > MOST_HEAD {
            return None;
        }
    }
}

/// What every node says that answers.
async fn page(nodes: &[Asking]) -> String {
    let mut seen = Seen::default();
    for node in nodes {
        let (reply, said) = oneshot::channel();
        // A node that has ended says nothing.
        let sent = node.send(reply).await;
        if let (Ok(()), Ok((measured, ends))) = (sent, said.await) {
            seen.nodes.push(measured);
            seen.elsewhere.extend(ends);
        }
    }
    exposition(seen)
}

#[cfg(test)]
mod tests {
    use broker::env::real::block_on;
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// What is answered to `request`, which comes in two pieces.
    fn ask(request: &str) -> String {
        let answer = async {
            let (mut client, server) = tokio::io::duplex(1 << 20);
            let half = request.len() / 2;
            client.write_all(&request.as_bytes()[..half]).await.unwrap();
            client.write_all(&request.as_bytes()[half..]).await.unwrap();
            client.shutdown().await.unwrap();
            serve_one(server, &[]).await;
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            answer
        };
        block_on(answer).unwrap()
    }

    #[test]
    fn only_the_page_is_served_and_only_to_get() {
        let page = ask("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("# EOF\n"), "{page}");
        let length: usize =
            page.split("Content-Length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
        assert_eq!(page.split("\r\n\r\n").nth(1).unwrap().len(), length);
        assert!(ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
        for bad in ["POST /metrics HTTP/1.1\r\n\r\n", "GET /metrics HTTP/1.1\r\n", "\0\0\0\x12", ""] {
            assert!(ask(bad).starts_with("HTTP/1.1 400 "), "{bad:?}");
        }
        let long = format!("GET /metrics HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(MOST_HEAD));
        assert!(ask(&long).starts_with("HTTP/1.1 400 "));
    }
}
