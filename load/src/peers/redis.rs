//! Redis Streams, by RESP2: a partition is a stream. Commands are pipelined, and the next read is asked for while the last is
//! looked at.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use broker::env::Env;
use broker::env::real::RealEnv;
use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio::net::tcp::OwnedReadHalf;

use super::answers::{Answered, Answers};
use super::link::{In, Out, connect, count};
use super::{AT_ONCE, PATIENCE, POLL, Spreading, refuse, shared, wrong};
use crate::driver::{Consumer, Driver, Producer};
use crate::spec::Spec;
use crate::stamp::Stamp;

/// Bytes that one read asks for, about: it is by the number of records.
const READ: usize = 1 << 20;
/// Elements of an array, at most.
const MOST: usize = 1 << 20;

/// A server, and the streams that are written to.
#[derive(Clone, Debug)]
pub struct Redis {
    address: String,
    name: String,
}

impl Redis {
    /// The server at `address`; streams `name-0`, `name-1`, ... are made and deleted.
    pub fn new(address: &str, name: &str) -> Self {
        Self { address: address.into(), name: name.into() }
    }

    fn stream(&self, partition: i32) -> Vec<u8> {
        format!("{}-{partition}", self.name).into_bytes()
    }

    /// What `words`, each with the streams that there are, are answered.
    async fn number(&self, word: &str, partitions: i32) -> io::Result<i64> {
        let env = RealEnv::new(std::env::temp_dir())?;
        let (mut from, out) = connect(&env, &self.address).await?;
        let streams: Vec<_> = (0..partitions).map(|partition| self.stream(partition)).collect();
        let words: Vec<&[u8]> = [word.as_bytes()].into_iter().chain(streams.iter().map(Vec::as_slice)).collect();
        out.put(|to| command(to, &words));
        match env.timeout(PATIENCE, item(&mut from)).await.ok_or(io::ErrorKind::TimedOut)?? {
            Item::Number(n) => Ok(n),
            Item::Error(why) => Err(io::Error::other(why)),
            _ => Err(wrong("no number")),
        }
    }
}

impl Driver for Redis {
    type Producer = RedisProducer;
    type Consumer = RedisConsumer;

    async fn prepare(&self, spec: &Spec) -> io::Result<()> {
        refuse(spec)?;
        match self.number("EXISTS", spec.partitions).await? {
            0 => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("there is {} already", self.name))),
        }
    }

    async fn producer(&self, spec: &Spec) -> io::Result<RedisProducer> {
        let env = RealEnv::new(std::env::temp_dir())?;
        let (from, out) = connect(&env, &self.address).await?;
        let answers = Rc::new(Answers::default());
        env.spawn("redis answers", listen(env.clone(), from, out.clone(), answers.clone()));
        let heads = (0..spec.partitions).map(|partition| head(&self.stream(partition))).collect();
        Ok(RedisProducer { out, answers, heads, spreading: Spreading::new(spec), sent: Cell::new(0) })
    }

    async fn consumer(&self, spec: &Spec, share: usize) -> io::Result<RedisConsumer> {
        let env = RealEnv::new(std::env::temp_dir())?;
        let (from, out) = connect(&env, &self.address).await?;
        let place = |partition| Place { partition, stream: self.stream(partition), read: b"0-0".to_vec() };
        let places = shared(spec, share).map(place).collect();
        let count = (READ / spec.record_bytes).clamp(16, AT_ONCE).to_string();
        let this = RedisConsumer { env, from, out, places, count };
        this.ask();
        Ok(this)
    }

    async fn remove(&self) -> io::Result<()> {
        // The server ends with the run, and all its streams with it.
        Ok(())
    }
}

/// One producer, on a connection of its own.
pub struct RedisProducer {
    out: Rc<Out>,
    answers: Rc<Answers>,
    heads: Vec<Bytes>,
    spreading: Spreading,
    sent: Cell<u64>,
}

impl Producer for RedisProducer {
    type Ack = Answered;

    async fn send(&self, _: Option<Bytes>, value: Bytes) -> Option<(usize, Answered)> {
        if !self.out.room().await {
            return None;
        }
        let head = &self.heads[self.spreading.of(self.sent.replace(self.sent.get() + 1))];
        self.out.put(|to| {
            to.extend_from_slice(head);
            bulk(to, &value);
        });
        // One connection's answers come in the order of its commands, whichever stream they are of.
        Some((0, Answered { answers: self.answers.clone(), n: self.answers.ask() }))
    }

    async fn flush(&self) {
        self.answers.all().await;
    }
}

/// Hands out what a producer is answered.
async fn listen(env: RealEnv, mut from: In<OwnedReadHalf>, out: Rc<Out>, answers: Rc<Answers>) {
    let mut n = 0;
    loop {
        match env.timeout(PATIENCE, item(&mut from)).await {
            Some(Ok(Item::Value(_))) => answers.answer(n, true),
            Some(Ok(_)) => answers.answer(n, false),
            // Nothing came, and nothing was to come. Half an answer is one that is owed.
            None if answers.open() == 0 => continue,
            Some(Err(_)) | None => break,
        }
        n += 1;
    }
    out.end();
    answers.end();
}

/// Where a consumer is.
struct Place {
    partition: i32,
    stream: Vec<u8>,
    /// The last entry that was read.
    read: Vec<u8>,
}

/// One consumer, on a connection of its own.
pub struct RedisConsumer {
    env: RealEnv,
    from: In<OwnedReadHalf>,
    out: Rc<Out>,
    places: Vec<Place>,
    count: String,
}

impl RedisConsumer {
    /// Asks for what comes next.
    fn ask(&self) {
        let wait = POLL.as_millis().to_string();
        let mut words: Vec<&[u8]> =
            vec![b"XREAD", b"COUNT", self.count.as_bytes(), b"BLOCK", wait.as_bytes(), b"STREAMS"];
        words.extend(self.places.iter().map(|place| place.stream.as_slice()));
        words.extend(self.places.iter().map(|place| place.read.as_slice()));
        self.out.put(|to| command(to, &words));
    }

    /// Reads an answer: of each stream that has something its name, then each entry's name and its fields.
    async fn answer(&mut self, into: &mut Vec<(i32, Stamp)>) -> io::Result<()> {
        let Some(streams) = array(&mut self.from).await? else { return Ok(()) };
        for _ in 0..streams {
            expect(&mut self.from, 2).await?;
            let name = value(&mut self.from, <[u8]>::to_vec).await?;
            let place = self.places.iter_mut().find(|place| place.stream == name);
            let place = place.ok_or_else(|| wrong("a stream that was not asked for"))?;
            for _ in 0..array(&mut self.from).await?.unwrap_or(0) {
                expect(&mut self.from, 2).await?;
                value(&mut self.from, |id| {
                    place.read.clear();
                    place.read.extend_from_slice(id);
                })
                .await?;
                expect(&mut self.from, 2).await?;
                value(&mut self.from, |_| ()).await?;
                let stamp = value(&mut self.from, Stamp::read).await?;
                into.extend(stamp.map(|stamp| (place.partition, stamp)));
            }
        }
        Ok(())
    }
}

impl Consumer for RedisConsumer {
    async fn poll(&mut self, into: &mut Vec<(i32, Stamp)>) -> io::Result<()> {
        let env = self.env.clone();
        env.timeout(PATIENCE, self.answer(into)).await.ok_or(io::ErrorKind::TimedOut)??;
        self.ask();
        Ok(())
    }
}

/// A command of these words.
fn command(to: &mut BytesMut, words: &[&[u8]]) {
    to.put_slice(format!("*{}\r\n", words.len()).as_bytes());
    words.iter().for_each(|word| bulk(to, word));
}

fn bulk(to: &mut BytesMut, word: &[u8]) {
    to.put_slice(format!("${}\r\n", word.len()).as_bytes());
    to.put_slice(word);
    to.put_slice(b"\r\n");
}

/// What appends to `stream`, but for the value.
fn head(stream: &[u8]) -> Bytes {
    let mut head = BytesMut::new();
    head.put_slice(b"*5\r\n");
    [b"XADD".as_slice(), stream, b"*", b"v"].iter().for_each(|word| bulk(&mut head, word));
    head.freeze()
}

/// One thing that the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    /// A word that says how it went.
    Status,
    Error(String),
    Number(i64),
    /// A value of so many bytes, which was passed over.
    Value(usize),
    /// Elements that follow.
    Array(usize),
    Nothing,
}

/// The next item's head; the bytes of a value follow it.
async fn next<R: AsyncRead + Unpin>(from: &mut In<R>) -> io::Result<Item> {
    from.line(|line| {
        let (kind, rest) = line.split_first().ok_or_else(|| wrong("an empty line"))?;
        match kind {
            b'+' => Ok(Item::Status),
            b'-' => Ok(Item::Error(String::from_utf8_lossy(rest).into_owned())),
            b':' => {
                let number = std::str::from_utf8(rest).ok().and_then(|digits| digits.parse().ok());
                Ok(Item::Number(number.ok_or_else(|| wrong("no number"))?))
            }
            b'$' | b'*' if rest == b"-1" => Ok(Item::Nothing),
            b'$' => Ok(Item::Value(count(rest)?)),
            b'*' => Ok(Item::Array(count(rest).ok().filter(|n| *n <= MOST).ok_or_else(|| wrong("too long an array"))?)),
            _ => Err(wrong("no reply of RESP2")),
        }
    })
    .await
}

/// The next item; a value's bytes are passed over.
async fn item<R: AsyncRead + Unpin>(from: &mut In<R>) -> io::Result<Item> {
    let item = next(from).await?;
    if let Item::Value(size) = item {
        from.value(size, |_| ()).await?;
    }
    Ok(item)
}

/// How many elements follow; `None` if there is no array.
async fn array<R: AsyncRead + Unpin>(from: &mut In<R>) -> io::Result<Option<usize>> {
    match next(from).await? {
        Item::Array(n) => Ok(Some(n)),
        Item::Nothing => Ok(None),
        Item::Error(why) => Err(io::Error::other(why)),
        _ => Err(wrong("no array")),
    }
}

async fn expect<R: AsyncRead + Unpin>(from: &mut In<R>, elements: usize) -> io::Result<()> {
    if array(from).await? == Some(elements) { Ok(()) } else { Err(wrong("an array of another length")) }
}

/// What `read` makes of the value that comes next.
async fn value<R: AsyncRead + Unpin, T>(from: &mut In<R>, read: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    match next(from).await? {
        Item::Value(size) => from.value(size, read).await,
        _ => Err(wrong("no value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_as_the_protocol_has_them() {
        let mut to = BytesMut::new();
        command(&mut to, &[b"EXISTS", b"a-0"]);
        assert_eq!(to, "*2\r\n$6\r\nEXISTS\r\n$3\r\na-0\r\n");
        let mut whole = BytesMut::from(&head(b"a-0")[..]);
        bulk(&mut whole, b"x\r\ny");
        assert_eq!(whole, "*5\r\n$4\r\nXADD\r\n$3\r\na-0\r\n$1\r\n*\r\n$1\r\nv\r\n$4\r\nx\r\ny\r\n");
    }

    #[tokio::test]
    async fn replies_are_read() {
        let text = b"+OK\r\n-ERR no such thing\r\n:-7\r\n$3\r\nabc\r\n$0\r\n\r\n$-1\r\n*-1\r\n*2\r\n";
        let mut from = In::new(&text[..]);
        let should = [
            Item::Status,
            Item::Error("ERR no such thing".into()),
            Item::Number(-7),
            Item::Value(3),
            Item::Value(0),
            Item::Nothing,
            Item::Nothing,
            Item::Array(2),
        ];
        for should in should {
            assert_eq!(item(&mut from).await.unwrap(), should);
        }
        assert_eq!(item(&mut from).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        for wrong in ["\r\n", "?1\r\n", ":x\r\n", "$-2\r\n", "*9999999\r\n", "$99999999\r\n"] {
            assert_eq!(
                item(&mut In::new(wrong.as_bytes())).await.unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{wrong}"
            );
        }
    }
}
