//! Network cases.

use std::io::ErrorKind;
use std::time::Duration;

use broker::env::{Env, Listener, Net};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::worlds::{Case, Side, on_real, on_sim};

macro_rules! on_both {
    ($($name:ident: $case:ident),* $(,)?) => {
        mod real { $(#[test] fn $name() { super::on_real(super::$case); })* }
        mod sim { $(#[test] fn $name() { super::on_sim(super::$case); })* }
    };
}

on_both!(
    echo: Echo,
    half_close: HalfClose,
    refused: Refused,
    connect_times_out: Silent,
    backpressure_and_order: Big,
    many_connections: Many,
    unread_data_means_a_reset: Unread,
    a_gone_peer_is_noticed: Gone,
    a_port_is_taken_once: Taken,
    an_idle_connection_is_let_go_and_a_busy_one_is_not: Idle,
);

#[derive(Clone, Copy)]
struct Echo;

async fn echo<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut stream: S) {
    let mut buf = [0; 100];
    loop {
        match stream.read(&mut buf).await.unwrap() {
            0 => return,
            n => stream.write_all(&buf[..n]).await.unwrap(),
        }
    }
}

impl Case for Echo {
    async fn server<E: Env>(self, side: Side<E>) {
        let (stream, peer) = side.listen().await.accept().await.unwrap();
        assert!(peer.contains(':'));
        echo(stream).await;
    }
    async fn client<E: Env>(self, side: Side<E>) {
        let mut stream = side.connect().await;
        for n in 0..50u8 {
            let sent = vec![n; usize::from(n) * 7 + 1];
            stream.write_all(&sent).await.unwrap();
            let mut got = vec![0; sent.len()];
            stream.read_exact(&mut got).await.unwrap();
            assert_eq!(got, sent);
        }
    }
}

#[derive(Clone, Copy)]
struct HalfClose;

impl Case for HalfClose {
    async fn server<E: Env>(self, side: Side<E>) {
        let (mut stream, _) = side.listen().await.accept().await.unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        stream.write_all(&[u8::try_from(all.len()).unwrap()]).await.unwrap();
    }
    async fn client<E: Env>(self, side: Side<E>) {
        let mut stream = side.connect().await;
        stream.write_all(b"all there is").await.unwrap();
        stream.shutdown().await.unwrap();
        assert!(stream.write_all(b"more").await.is_err());
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [12]);
    }
}

#[derive(Clone, Copy)]
struct Refused;

impl Case for Refused {
    async fn server<E: Env>(self, _: Side<E>) {}
    async fn client<E: Env>(self, side: Side<E>) {
        let addr = format!("{}:1", side.server);
        let e = side.env.net().connect(&addr, Duration::from_secs(5)).await.err().unwrap();
        assert_eq!(e.kind(), ErrorKind::ConnectionRefused);
        assert!(side.env.net().connect("no port here", Duration::from_secs(5)).await.is_err());
    }
}

#[derive(Clone, Copy)]
struct Silent;

impl Case for Silent {
    async fn server<E: Env>(self, _: Side<E>) {}
    async fn client<E: Env>(self, side: Side<E>) {
        let mut open = Vec::new();
        // A real kernel's queue takes the first few.
        for _ in 0..16 {
            let before = side.env.now();
            match side.env.net().connect(&side.silent, Duration::from_millis(150)).await {
                Ok(stream) => open.push(stream),
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::TimedOut);
                    assert!(side.env.now().since(before) >= Duration::from_millis(150));
                    return;
                }
            }
        }
        panic!("nothing timed out");
    }
}

/// More than all the buffers on the way.
const MUCH: usize = 16 << 20;

fn pattern(at: usize) -> u8 {
    u8::try_from((at ^ (at >> 8) ^ (at >> 16)) & 255).unwrap()
}

#[derive(Clone, Copy)]
struct Big;

impl Case for Big {
    async fn server<E: Env>(self, side: Side<E>) {
        let (mut stream, _) = side.listen().await.accept().await.unwrap();
        side.env.sleep(Duration::from_millis(100)).await;
        assert!(side.note.get() < MUCH as u64, "a reader that does not read must hold the writer");
        let mut at = 0;
        let mut buf = vec![0; 70_000];
        loop {
            let n = stream.read(&mut buf).await.unwrap();
            if n == 0 {
                break;
            }
            assert!(buf[..n].iter().enumerate().all(|(i, b)| *b == pattern(at + i)), "near {at}");
            at += n;
        }
        assert_eq!(at, MUCH);
    }
    async fn client<E: Env>(self, side: Side<E>) {
        let mut stream = side.connect().await;
        let all: Vec<u8> = (0..MUCH).map(pattern).collect();
        for part in all.chunks(50_000) {
            stream.write_all(part).await.unwrap();
            side.note.set(side.note.get() + part.len() as u64);
        }
        stream.shutdown().await.unwrap();
    }
}

/// Connections at once.
const MANY: u64 = 100;

#[derive(Clone, Copy)]
struct Many;

impl Case for Many {
    async fn server<E: Env>(self, side: Side<E>) {
        let listener = side.listen().await;
        for _ in 0..MANY {
            let (stream, _) = listener.accept().await.unwrap();
            side.env.spawn("echo", echo(stream));
        }
        while side.note.get() < MANY {
            side.env.sleep(Duration::from_millis(1)).await;
        }
    }
    async fn client<E: Env>(self, side: Side<E>) {
        let mut open = Vec::new();
        for _ in 0..MANY {
            open.push(side.connect().await);
        }
        for (n, stream) in open.iter_mut().enumerate() {
            stream.write_all(&[u8::try_from(n).unwrap()]).await.unwrap();
        }
        for (n, stream) in open.iter_mut().enumerate() {
            assert_eq!(usize::from(stream.read_u8().await.unwrap()), n);
            side.note.set(side.note.get() + 1);
        }
    }
}

#[derive(Clone, Copy)]
struct Unread;

impl Case for Unread {
    async fn server<E: Env>(self, side: Side<E>) {
        let (mut stream, _) = side.listen().await.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        side.env.sleep(Duration::from_millis(30)).await;
    }
    async fn client<E: Env>(self, side: Side<E>) {
        let mut stream = side.connect().await;
        stream.write_all(b"more than it reads").await.unwrap();
        let e = stream.read_u8().await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::ConnectionReset);
    }
}

#[derive(Clone, Copy)]
struct Gone;

impl Case for Gone {
    async fn server<E: Env>(self, side: Side<E>) {
        drop(side.listen().await.accept().await.unwrap());
    }
    async fn client<E: Env>(self, side: Side<E>) {
        let mut stream = side.connect().await;
        for _ in 0..100 {
            if let Err(e) = stream.write_all(b"hello?").await {
                assert!([ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&e.kind()), "{e:?}");
                return;
            }
            side.env.sleep(Duration::from_millis(5)).await;
        }
        panic!("it writes to nobody for ever");
    }
}

#[derive(Clone, Copy)]
struct Taken;

impl Case for Taken {
    async fn server<E: Env>(self, side: Side<E>) {
        let first = side.listen().await;
        let addr = format!("{}:{}", side.server, first.port());
        assert_eq!(side.env.net().listen(&addr).await.err().unwrap().kind(), ErrorKind::AddrInUse);
        drop(first);
        side.env.net().listen(&addr).await.unwrap();
    }
    async fn client<E: Env>(self, _: Side<E>) {}
}

/// A connection on which nothing comes for so long is idle.
const IDLE: Duration = Duration::from_millis(150);

/// Reads until the other end is done or has been idle for too long; says whether it was idle.
async fn read_while_busy<E: Env>(env: &E, mut stream: impl tokio::io::AsyncRead + Unpin) -> bool {
    let mut buf = [0; 16];
    loop {
        match env.timeout(IDLE, stream.read(&mut buf)).await.map(|read| read.unwrap()) {
            None => return true,
            Some(0) => return false,
            Some(_) => {}
        }
    }
}

#[derive(Clone, Copy)]
struct Idle;

impl Case for Idle {
    async fn server<E: Env>(self, side: Side<E>) {
        let listener = side.listen().await;
        let (busy, _) = listener.accept().await.unwrap();
        assert!(!read_while_busy(&side.env, busy).await, "it was busy, and ended by itself");
        let (idle, _) = listener.accept().await.unwrap();
        assert!(read_while_busy(&side.env, idle).await);
    }
    async fn client<E: Env>(self, side: Side<E>) {
        let mut busy = side.connect().await;
        for _ in 0..8 {
            busy.write_all(b"still here").await.unwrap();
            side.env.sleep(IDLE / 4).await;
        }
        drop(busy);
        let mut idle = side.connect().await;
        idle.write_all(b"hello").await.unwrap();
        assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0, "let go in order, with nothing lost");
        for _ in 0..100 {
            if let Err(e) = idle.write_all(b"hello?").await {
                assert!([ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&e.kind()), "{e:?}");
                return;
            }
            side.env.sleep(Duration::from_millis(5)).await;
        }
        panic!("what was let go takes bytes for ever");
    }
}
