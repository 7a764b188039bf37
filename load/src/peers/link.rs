//! One connection of a protocol of lines and counted bytes: what goes out is gathered while the last of it is being written.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use broker::env::real::RealEnv;
use broker::env::{Env, Net};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

use super::{PATIENCE, wrong};

/// Bytes that may wait to be written until nobody may add more.
const ROOM: usize = 1 << 20;
/// Bytes of a line, at most.
const LINE: usize = 64 << 10;
/// Bytes of a value, at most: the largest record and what is around it.
const VALUE: usize = 17 << 20;
/// Bytes that are asked of the socket at once.
const READ: usize = 256 << 10;

/// What is to be written.
#[derive(Default)]
pub(super) struct Out {
    bytes: RefCell<BytesMut>,
    filled: Notify,
    room: Notify,
    over: Cell<bool>,
}

impl Out {
    /// Adds what `write` does, to be written soon.
    pub(super) fn put(&self, write: impl FnOnce(&mut BytesMut)) {
        write(&mut self.bytes.borrow_mut());
        self.filled.notify_one();
    }

    /// Waits for room. False if nothing is written any more.
    pub(super) async fn room(&self) -> bool {
        while !self.over.get() && self.bytes.borrow().len() >= ROOM {
            self.room.notified().await;
        }
        !self.over.get()
    }

    /// Nothing is written any more.
    pub(super) fn end(&self) {
        self.over.set(true);
        self.room.notify_one();
        self.filled.notify_one();
    }

    async fn write(&self, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut writing = BytesMut::new();
        while !self.over.get() {
            std::mem::swap(&mut writing, &mut *self.bytes.borrow_mut());
            if writing.is_empty() {
                self.filled.notified().await;
                continue;
            }
            self.room.notify_one();
            to.write_all(&writing).await?;
            writing.clear();
        }
        Ok(())
    }
}

/// Connects to `addr`: what comes, and where to put what goes.
pub(super) async fn connect(env: &RealEnv, addr: &str) -> io::Result<(In<OwnedReadHalf>, Rc<Out>)> {
    let (from, to) = env.net().connect(addr, PATIENCE).await?.into_split();
    let out = Rc::new(Out::default());
    let writing = out.clone();
    env.spawn("peer writer", async move {
        // The reader hears of it, too.
        let _ = writing.write(to).await;
        writing.end();
    });
    Ok((In::new(from), out))
}

/// What comes.
pub(super) struct In<R> {
    from: R,
    bytes: BytesMut,
}

impl<R: AsyncRead + Unpin> In<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, bytes: BytesMut::new() }
    }

    /// Waits for more. Dropped meanwhile, it has taken nothing.
    pub(super) async fn fill(&mut self) -> io::Result<()> {
        self.bytes.reserve(READ);
        match self.from.read_buf(&mut self.bytes).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Whether a whole line is there.
    pub(super) fn has_line(&self) -> bool {
        self.end().is_some()
    }

    fn end(&self) -> Option<usize> {
        self.bytes.iter().take(LINE).position(|byte| *byte == b'\n')
    }

    /// What `read` makes of the next line, without its end.
    pub(super) async fn line<T>(&mut self, read: impl FnOnce(&[u8]) -> io::Result<T>) -> io::Result<T> {
        let end = loop {
            match self.end() {
                Some(end) => break end,
                None if self.bytes.len() >= LINE => return Err(wrong("a line has no end")),
                None => self.fill().await?,
            }
        };
        let line = &self.bytes[..end];
        let done = read(line.strip_suffix(b"\r").unwrap_or(line));
        self.bytes.advance(end + 1);
        done
    }

    /// What `read` makes of the next `count` bytes; a line's end follows them.
    pub(super) async fn value<T>(&mut self, count: usize, read: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        if count > VALUE {
            return Err(wrong("a value is too long"));
        }
        while self.bytes.len() < count + 2 {
            self.fill().await?;
        }
        if !self.bytes[count..].starts_with(b"\r\n") {
            return Err(wrong("a value is not as long as was said"));
        }
        let done = read(&self.bytes[..count]);
        self.bytes.advance(count + 2);
        Ok(done)
    }
}

/// A count in decimal digits.
pub(super) fn count(digits: &[u8]) -> io::Result<usize> {
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| wrong("no count"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_sent_is_read_wherever_it_is_torn(
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            torn in 1usize..64,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (mut to, from) = duplex(torn);
            let sent = async {
                for value in &values {
                    to.write_all(format!("${}\r\n", value.len()).as_bytes()).await.unwrap();
                    to.write_all(value).await.unwrap();
                    to.write_all(b"\r\n").await.unwrap();
                }
                drop(to);
            };
            let mut from = In::new(from);
            let read = async {
                let mut read = Vec::new();
                while let Ok(size) = from.line(|line| count(&line[1..])).await {
                    read.push(from.value(size, <[u8]>::to_vec).await.unwrap());
                }
                read
            };
            let (read, ()) = runtime.block_on(async { tokio::join!(read, sent) });
            prop_assert_eq!(&read, &values);
        }
    }

    #[tokio::test]
    async fn what_is_malformed_is_an_error_and_bounded() {
        let endless = vec![b'x'; LINE * 2];
        let why = In::new(&endless[..]).line(|_| Ok(())).await.unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::InvalidData);
        assert!(In::new(&b"x"[..]).value(VALUE + 1, |_| ()).await.is_err());
        assert!(In::new(&b"abc\r\n"[..]).value(2, |_| ()).await.is_err());
        assert_eq!(In::new(&b"ab"[..]).value(2, |_| ()).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(count(b"-1").is_err() && count(b"").is_err() && count(b"99999999999999999999999").is_err());
    }
}
