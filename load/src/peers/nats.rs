//! NATS JetStream, by its text protocol: a partition is a stream. Every record is published for an acknowledgement, and many are
//! on their way; consumers are ordered ones, which the server pushes to under its flow control.

use std::cell::Cell;
use std::fmt::Write as _;
use std::io;
use std::rc::Rc;

use broker::env::Env;
use broker::env::real::RealEnv;
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::net::tcp::OwnedReadHalf;

use super::answers::{Answered, Answers};
use super::link::{In, Out, connect, count};
use super::{AT_ONCE, PATIENCE, POLL, Spreading, refuse, shared, wrong};
use crate::driver::{Consumer, Driver, Producer};
use crate::spec::Spec;
use crate::stamp::Stamp;

/// What we are.
const CONNECT: &str = r#"CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"lang":"logquake","version":"1","protocol":1}"#;
/// Nanoseconds after which a server that has nothing to push says so; flow control needs that.
const HEARTBEAT: u64 = 5_000_000_000;
/// How a publish acknowledgement begins: an error begins otherwise.
const STORED: &[u8] = br#"{"stream":"#;

/// A server, and the streams that are written to.
#[derive(Clone, Debug)]
pub struct Nats {
    address: String,
    name: String,
}

impl Nats {
    /// The server at `address`; streams `name-0`, `name-1`, ... are made.
    pub fn new(address: &str, name: &str) -> Self {
        Self { address: address.into(), name: name.into() }
    }

    /// A stream and its only subject are called alike.
    fn stream(&self, partition: i32) -> String {
        format!("{}-{partition}", self.name)
    }

    async fn link(&self) -> io::Result<Link> {
        let env = RealEnv::new(std::env::temp_dir())?;
        let (mut from, out) = connect(&env, &self.address).await?;
        out.put(|to| to.put_slice(format!("{CONNECT}\r\nPING\r\n").as_bytes()));
        let hello = async {
            loop {
                match from.line(operation).await? {
                    Said::Pong => return Ok(()),
                    Said::Wrong(why) => return Err(io::Error::other(why)),
                    _ => {}
                }
            }
        };
        env.timeout(PATIENCE, hello).await.ok_or(io::ErrorKind::TimedOut)??;
        let inbox = format!("_INBOX.{:016x}", env.draw());
        Ok(Link { env, from, out, inbox })
    }
}

/// A connection, and the subject below which it is answered.
struct Link {
    env: RealEnv,
    from: In<OwnedReadHalf>,
    out: Rc<Out>,
    inbox: String,
}

impl Link {
    fn subscribe(&self, subject: &str, sid: i32) {
        self.out.put(|to| to.put_slice(format!("SUB {subject} {sid}\r\n").as_bytes()));
    }

    /// What the server's API answers to `what`.
    async fn call(&mut self, subject: &str, what: &Value) -> io::Result<Value> {
        let what = what.to_string();
        let reply = format!("{}.api", self.inbox);
        self.out.put(|to| publish(to, &format!("PUB $JS.API.{subject} {reply} "), what.as_bytes()));
        let (env, from, out) = (&self.env, &mut self.from, &self.out);
        let answer = async {
            loop {
                let message = match from.line(operation).await? {
                    Said::Message(message) => message,
                    Said::Ping => {
                        pong(out);
                        continue;
                    }
                    Said::Wrong(why) => return Err(io::Error::other(why)),
                    _ => continue,
                };
                let text = from.value(message.size, <[u8]>::to_vec).await?;
                if message.header > 0 {
                    return Err(io::Error::other("nobody answers: JetStream is not enabled"));
                }
                return serde_json::from_slice::<Value>(&text).map_err(io::Error::other);
            }
        };
        let answer = env.timeout(PATIENCE, answer).await.ok_or(io::ErrorKind::TimedOut)??;
        match answer.get("error") {
            Some(why) => Err(io::Error::other(format!("{subject}: {why}"))),
            None => Ok(answer),
        }
    }
}

impl Driver for Nats {
    type Producer = NatsProducer;
    type Consumer = NatsConsumer;

    async fn prepare(&self, spec: &Spec) -> io::Result<()> {
        refuse(spec)?;
        let mut link = self.link().await?;
        link.subscribe(&format!("{}.api", link.inbox), 1);
        for name in (0..spec.partitions).map(|partition| self.stream(partition)) {
            let config = json!({
                "name": name, "subjects": [name], "storage": "file", "retention": "limits", "discard": "old",
                "num_replicas": 1, "max_msgs": -1, "max_bytes": -1,
            });
            let made = link.call(&format!("STREAM.CREATE.{name}"), &config).await?;
            if made.pointer("/state/messages") != Some(&json!(0)) {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("there is {name} already")));
            }
        }
        Ok(())
    }

    async fn producer(&self, spec: &Spec) -> io::Result<NatsProducer> {
        let Link { env, from, out, inbox } = self.link().await?;
        let lanes: Rc<[Lane]> = (0..spec.partitions)
            .map(|partition| {
                let reply = format!("{inbox}.{partition}.");
                let head = format!("PUB {} {reply}", self.stream(partition));
                out.put(|to| to.put_slice(format!("SUB {reply}* {partition}\r\n").as_bytes()));
                Lane { head, answers: Rc::default() }
            })
            .collect();
        env.spawn("nats answers", listen(env.clone(), from, out.clone(), lanes.clone()));
        Ok(NatsProducer { out, lanes, spreading: Spreading::new(spec), sent: Cell::new(0) })
    }

    async fn consumer(&self, spec: &Spec, share: usize) -> io::Result<NatsConsumer> {
        let mut link = self.link().await?;
        link.subscribe(&format!("{}.api", link.inbox), -1);
        let mut early = Vec::new();
        for partition in shared(spec, share) {
            let (name, subject) = (self.stream(partition), format!("{}.{partition}", link.inbox));
            let config = json!({
                "deliver_subject": subject, "deliver_policy": "all", "ack_policy": "none", "max_deliver": 1,
                "replay_policy": "instant", "flow_control": true, "idle_heartbeat": HEARTBEAT, "mem_storage": true,
            });
            link.call(&format!("CONSUMER.CREATE.{name}"), &json!({"stream_name": name, "config": config})).await?;
            early.push((subject, partition));
        }
        // Only now: until somebody listens nothing is pushed.
        early.iter().for_each(|(subject, partition)| link.subscribe(subject, *partition));
        Ok(NatsConsumer(link))
    }

    async fn remove(&self) -> io::Result<()> {
        // The server ends with the run, and its files with it.
        Ok(())
    }
}

/// Where one partition's acknowledgements come.
struct Lane {
    head: String,
    answers: Rc<Answers>,
}

/// One producer, on a connection of its own.
pub struct NatsProducer {
    out: Rc<Out>,
    lanes: Rc<[Lane]>,
    spreading: Spreading,
    sent: Cell<u64>,
}

impl Producer for NatsProducer {
    type Ack = Answered;

    async fn send(&self, _: Option<Bytes>, value: Bytes) -> Option<(usize, Answered)> {
        if !self.out.room().await {
            return None;
        }
        let at = self.spreading.of(self.sent.replace(self.sent.get() + 1));
        let Lane { head, answers } = &self.lanes[at];
        let n = answers.ask();
        self.out.put(|to| {
            to.put_slice(head.as_bytes());
            _ = write!(to, "{n} ");
            publish(to, "", &value);
        });
        Some((at, Answered { answers: answers.clone(), n }))
    }

    async fn flush(&self) {
        for lane in &*self.lanes {
            lane.answers.all().await;
        }
    }
}

/// Hands out what a producer is answered.
async fn listen(env: RealEnv, mut from: In<OwnedReadHalf>, out: Rc<Out>, lanes: Rc<[Lane]>) {
    let owed = || lanes.iter().any(|lane| lane.answers.open() > 0);
    loop {
        match env.timeout(PATIENCE, acknowledgement(&mut from, &out, &lanes)).await {
            Some(Ok(())) => {}
            None if !owed() => {}
            Some(Err(_)) | None => break,
        }
    }
    out.end();
    lanes.iter().for_each(|lane| lane.answers.end());
}

async fn acknowledgement(from: &mut In<OwnedReadHalf>, out: &Out, lanes: &[Lane]) -> io::Result<()> {
    match from.line(operation).await? {
        Said::Ping => pong(out),
        Said::Wrong(why) => return Err(io::Error::other(why)),
        Said::Message(message) => {
            let stored = from.value(message.size, |value| value.starts_with(STORED)).await?;
            if let Some((lane, n)) = lanes.get(message.sid).zip(message.number) {
                lane.answers.answer(n, stored);
            }
        }
        Said::Pong | Said::Other => {}
    }
    Ok(())
}

/// One consumer, on a connection of its own.
pub struct NatsConsumer(Link);

impl NatsConsumer {
    /// Takes one thing that the server says.
    async fn take(&mut self, into: &mut Vec<(i32, Stamp)>) -> io::Result<()> {
        let Link { from, out, .. } = &mut self.0;
        match from.line(operation).await? {
            Said::Ping => pong(out),
            Said::Wrong(why) => return Err(io::Error::other(why)),
            Said::Message(message) if message.header > 0 => {
                // It waits for word that what it sent has been read; a heartbeat says if it does so already.
                let waits = from.value(message.size, stalled).await?;
                if let Some(reply) = message.reply.or(waits) {
                    out.put(|to| publish(to, &format!("PUB {reply} "), b""));
                }
            }
            Said::Message(message) => {
                let stamp = from.value(message.size, Stamp::read).await?;
                let partition = i32::try_from(message.sid).unwrap_or(i32::MAX);
                into.extend(stamp.map(|stamp| (partition, stamp)));
            }
            Said::Pong | Said::Other => {}
        }
        Ok(())
    }
}

impl Consumer for NatsConsumer {
    async fn poll(&mut self, into: &mut Vec<(i32, Stamp)>) -> io::Result<()> {
        while into.len() < AT_ONCE {
            if self.0.from.has_line() {
                let env = self.0.env.clone();
                env.timeout(PATIENCE, self.take(into)).await.ok_or(io::ErrorKind::TimedOut)??;
            } else if into.is_empty() {
                match self.0.env.timeout(POLL, self.0.from.fill()).await {
                    Some(filled) => filled?,
                    None => break,
                }
            } else {
                break;
            }
        }
        Ok(())
    }
}

/// Where a heartbeat says that word of it is waited for.
fn stalled(header: &[u8]) -> Option<String> {
    let header = std::str::from_utf8(header).ok()?;
    header.lines().find_map(|line| line.strip_prefix("Nats-Consumer-Stalled:")).map(|subject| subject.trim().into())
}

fn pong(out: &Out) {
    out.put(|to| to.put_slice(b"PONG\r\n"));
}

/// The rest of a publication, after what `head` says.
fn publish(to: &mut BytesMut, head: &str, value: &[u8]) {
    _ = write!(to, "{head}{}\r\n", value.len());
    to.put_slice(value);
    to.put_slice(b"\r\n");
}

/// What the server says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Ping,
    Pong,
    Message(Message),
    Wrong(String),
    /// What says nothing to us.
    Other,
}

/// A message; its bytes follow.
#[derive(Debug, PartialEq, Eq)]
struct Message {
    /// The subscription.
    sid: usize,
    /// What the subject ends with, if that is a number.
    number: Option<u64>,
    /// Where to answer, of a message with a header.
    reply: Option<String>,
    /// Bytes of its header.
    header: usize,
    /// Bytes of header and value.
    size: usize,
}

/// One line of the protocol.
fn operation(line: &[u8]) -> io::Result<Said> {
    let line = std::str::from_utf8(line).map_err(|_| wrong("no text"))?;
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "MSG" => message(rest, false),
        "HMSG" => message(rest, true),
        "PING" => Ok(Said::Ping),
        "PONG" => Ok(Said::Pong),
        "-ERR" => Ok(Said::Wrong(rest.into())),
        "+OK" | "INFO" => Ok(Said::Other),
        _ => Err(wrong("no word of this protocol")),
    }
}

/// `SUBJECT SID [REPLY] [HEADER BYTES] BYTES`.
fn message(rest: &str, headed: bool) -> io::Result<Said> {
    let mut words = [""; 5];
    let mut found = 0;
    for word in rest.split_ascii_whitespace() {
        *words.get_mut(found).ok_or_else(|| wrong("too long a message line"))? = word;
        found += 1;
    }
    let sizes = 1 + usize::from(headed);
    let replies = found.checked_sub(2 + sizes).filter(|n| *n <= 1).ok_or_else(|| wrong("no message line"))?;
    let size = count(words[found - 1].as_bytes())?;
    let header = if headed { count(words[found - 2].as_bytes())? } else { 0 };
    let number = words[0].rsplit_once('.').and_then(|(_, number)| number.parse().ok());
    let reply = (headed && replies == 1).then(|| words[2].to_owned());
    // That of the API is no partition's.
    let sid = words[1].parse().unwrap_or(usize::MAX);
    Ok(Said::Message(Message { sid, number, reply, header, size }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_read() {
        let read = |line: &str| operation(line.as_bytes()).unwrap();
        let message = |sid, number, reply: Option<&str>, header, size| {
            Said::Message(Message { sid, number, reply: reply.map(Into::into), header, size })
        };
        assert_eq!(read("MSG _INBOX.00ff.3.17 3 26"), message(3, Some(17), None, 0, 26));
        assert_eq!(read("MSG lq-0 0 $JS.ACK.lq-0.x.1.1.1.1.0 1024"), message(0, None, None, 0, 1024));
        assert_eq!(read("HMSG _INBOX.a.0 0 $JS.FC.lq.x 44 44"), message(0, Some(0), Some("$JS.FC.lq.x"), 44, 44));
        assert_eq!(read("HMSG _INBOX.a.9 1  16 16"), message(1, Some(9), None, 16, 16));
        assert_eq!((read("PING"), read("PONG"), read("+OK")), (Said::Ping, Said::Pong, Said::Other));
        assert_eq!(read("-ERR 'Slow Consumer'"), Said::Wrong("'Slow Consumer'".into()));
        for wrong in ["", "MSG", "MSG a", "MSG a 1", "MSG a 1 b c d 5", "MSG a 1 x", "HMSG a 1 5", "GET / HTTP/1.1"] {
            assert!(operation(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_server_that_waits_says_where_it_wants_to_hear() {
        let header =
            b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 3\r\nNats-Consumer-Stalled: $JS.FC.a.b\r\n\r\n";
        assert_eq!(stalled(header).as_deref(), Some("$JS.FC.a.b"));
        assert_eq!(stalled(b"NATS/1.0 100 Idle Heartbeat\r\n\r\n"), None);
    }

    #[test]
    fn a_publication_is_as_the_protocol_has_it() {
        let mut to = BytesMut::new();
        publish(&mut to, "PUB lq-0 _INBOX.a.0.5 ", b"x\r\ny");
        assert_eq!(to, "PUB lq-0 _INBOX.a.0.5 4\r\nx\r\ny\r\n");
    }
}
