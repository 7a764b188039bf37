//! Real sockets.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use crate::env::{Listener, Net};

/// Connections that may wait to be accepted, as far as the kernel grants it (`net.core.somaxconn`).
const BACKLOG: u32 = 1024;

/// The machine's network.
pub struct RealNet;

/// A listening socket.
pub struct RealListener {
    inner: TcpListener,
    port: u16,
}

async fn resolve(addr: &str) -> io::Result<SocketAddr> {
    if let Ok(addr) = addr.parse() {
        return Ok(addr);
    }
    let mut found = lookup_host(addr).await?;
    found.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{addr} has no address")))
}

/// A response must not wait for the peer's delayed acknowledgement of the one before it. And within one machine nothing is lost
/// and no path needs measuring: BBR, the default of some, does so all the same, and gives a quarter of the throughput.
fn tune(stream: TcpStream, peer: SocketAddr) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    if peer.ip().to_canonical().is_loopback() {
        // Where there is no cubic, what there is does.
        let _ = rustix::net::sockopt::set_tcp_congestion(&stream, "cubic");
    }
    Ok(stream)
}

#[expect(clippy::disallowed_methods, reason = "the live world is made of this")]
async fn connect_to(addr: &str) -> io::Result<TcpStream> {
    let addr = resolve(addr).await?;
    tune(TcpStream::connect(addr).await?, addr)
}

impl Net for RealNet {
    type Stream = TcpStream;
    type Listener = RealListener;

    async fn listen(&self, addr: &str) -> io::Result<RealListener> {
        let addr = resolve(addr).await?;
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restarted broker takes its port back while connections of its last life linger.
        socket.set_reuseaddr(true)?;
        socket.bind(addr)?;
        let inner = socket.listen(BACKLOG)?;
        let port = inner.local_addr()?.port();
        Ok(RealListener { inner, port })
    }

    #[expect(clippy::disallowed_methods, reason = "this is the door that the rest is told to use")]
    async fn connect(&self, addr: &str, timeout: Duration) -> io::Result<TcpStream> {
        match tokio::time::timeout(timeout, connect_to(addr)).await {
            Ok(done) => done,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Listener for RealListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, String)> {
        let (stream, peer) = self.inner.accept().await?;
        Ok((tune(stream, peer)?, peer.to_string()))
    }

    fn port(&self) -> u16 {
        self.port
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_within_a_machine_are_not_paced() {
        let listener = RealNet.listen("127.0.0.1:0").await.unwrap();
        let addr = format!("127.0.0.1:{}", listener.port());
        let timeout = Duration::from_secs(5);
        let (connected, accepted) = tokio::join!(RealNet.connect(&addr, timeout), listener.accept());
        let known = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_allowed_congestion_control").unwrap_or_default();
        for stream in [connected.unwrap(), accepted.unwrap().0] {
            // Some systems have no cubic, or do not allow it.
            if known.split_whitespace().any(|name| name == "cubic") {
                assert_eq!(rustix::net::sockopt::tcp_congestion(&stream).unwrap(), "cubic");
            }
            assert!(stream.nodelay().unwrap());
        }
    }
}
