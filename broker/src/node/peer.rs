//! Requests to other nodes. Each takes a connection to itself, kept for the next one when it is answered: nothing waits
//! behind a slower request, and a request that failed takes nothing along but its own connection.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    BeginQuorumEpochRequest, BrokerHeartbeatRequest, BrokerRegistrationRequest, EndQuorumEpochRequest, FetchRequest,
    FetchSnapshotRequest, RequestHeader, ResponseHeader, VoteRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::config::BrokerConfig;
use crate::controller::record::text;
use crate::env::{Env, Net};
use crate::ids::NodeId;
use crate::wire::{answers, guard};

/// Connections to one peer that are kept while nobody uses them.
const MOST_IDLE: usize = 4;
/// Requests to one peer that may be under way.
const MOST_BUSY: usize = 64;
/// As many more of those by which the cluster lives: others wait for what these bring about.
const RESERVED: usize = 16;
/// Those: the quorum's, and the brokers' registrations and heartbeats.
const VITAL: &[i16] = &[
    FetchRequest::KEY,
    VoteRequest::KEY,
    BeginQuorumEpochRequest::KEY,
    EndQuorumEpochRequest::KEY,
    FetchSnapshotRequest::KEY,
    BrokerRegistrationRequest::KEY,
    BrokerHeartbeatRequest::KEY,
];

type Stream<E> = <<E as Env>::Net as Net>::Stream;

/// A request to a peer failed. Whether it was carried out is not known.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Nobody knows where the peer listens.
    #[error("the address of {0} is not known")]
    Unknown(NodeId),
    /// Too many requests are under way to it.
    #[error("too many requests to {0} are under way")]
    Busy(NodeId),
    /// No answer in time.
    #[error("{0} did not answer in time")]
    TimedOut(NodeId),
    /// The connection failed, or what came back cannot be read.
    #[error("{0}: {1}")]
    Io(NodeId, io::Error),
}

struct Peer<E: Env> {
    address: String,
    idle: Vec<Stream<E>>,
    busy: usize,
    /// Counts its addresses: a connection to an old one is not kept.
    moves: u64,
}

/// The other nodes of the cluster.
pub struct Peers<E: Env> {
    env: E,
    name: String,
    longest: usize,
    all: RefCell<BTreeMap<NodeId, Peer<E>>>,
    correlation: Cell<i32>,
}

impl<E: Env> Peers<E> {
    /// Knows the voters' addresses to begin with.
    pub fn new(env: &E, config: &BrokerConfig) -> Self {
        let peers = Self {
            env: env.clone(),
            name: format!("broker-{}", config.node_id.0),
            longest: config.socket_request_max_bytes as usize,
            all: RefCell::default(),
            correlation: Cell::new(0),
        };
        for (node, address) in config.voters.iter().filter(|(node, _)| *node != config.node_id) {
            peers.set_address(*node, address.clone());
        }
        peers
    }

    /// From now on `node` listens at `address`, written `host:port`.
    pub fn set_address(&self, node: NodeId, address: String) {
        let mut all = self.all.borrow_mut();
        let peer =
            all.entry(node).or_insert_with(|| Peer { address: String::new(), idle: Vec::new(), busy: 0, moves: 0 });
        if peer.address != address {
            peer.address = address;
            peer.idle.clear();
            peer.moves += 1;
        }
    }

    /// `node` listens at `address`, unless it is known to listen elsewhere.
    pub fn introduce(&self, node: NodeId, address: &str) {
        if !address.is_empty() && self.address(node).is_none() {
            self.set_address(node, address.to_owned());
        }
    }

    /// Where `node` listens.
    pub fn address(&self, node: NodeId) -> Option<String> {
        self.all.borrow().get(&node).map(|peer| peer.address.clone())
    }

    /// What `node` answers to `request`, in the newest version that both ends of this crate know, within `patience`.
    pub async fn call<R: Request>(
        &self,
        node: NodeId,
        request: R,
        patience: Duration,
    ) -> Result<R::Response, PeerError> {
        let version = R::VERSIONS.max.min(<R::Response as kafka_protocol::protocol::Message>::VERSIONS.max);
        self.call_as(node, request, version, patience).await
    }

    /// As [`Peers::call`], in a stated version.
    pub async fn call_as<R: Request>(
        &self,
        node: NodeId,
        request: R,
        version: i16,
        patience: Duration,
    ) -> Result<R::Response, PeerError> {
        let (address, moves, idle) = self.begin(node, R::KEY)?;
        let busy = Busy { peers: self, node };
        let work = async {
            let mut stream = match idle {
                Some(stream) => stream,
                None => self.env.net().connect(&address, patience).await?,
            };
            let answer = self.exchange(&mut stream, &request, version).await?;
            Ok::<_, io::Error>((stream, answer))
        };
        let done = self.env.timeout(patience, work).await;
        drop(busy);
        match done {
            None => Err(PeerError::TimedOut(node)),
            Some(Err(error)) => Err(PeerError::Io(node, error)),
            Some(Ok((stream, answer))) => {
                self.keep(node, moves, stream);
                Ok(answer)
            }
        }
    }

    fn begin(&self, node: NodeId, key: i16) -> Result<(String, u64, Option<Stream<E>>), PeerError> {
        let mut all = self.all.borrow_mut();
        let peer = all.get_mut(&node).ok_or(PeerError::Unknown(node))?;
        let most = if VITAL.contains(&key) { MOST_BUSY + RESERVED } else { MOST_BUSY };
        if peer.busy >= most {
            return Err(PeerError::Busy(node));
        }
        peer.busy += 1;
        Ok((peer.address.clone(), peer.moves, peer.idle.pop()))
    }

    fn keep(&self, node: NodeId, moves: u64, stream: Stream<E>) {
        if let Some(peer) = self.all.borrow_mut().get_mut(&node)
            && peer.moves == moves
            && peer.idle.len() < MOST_IDLE
        {
            peer.idle.push(stream);
        }
    }

    async fn exchange<R: Request>(&self, stream: &mut Stream<E>, request: &R, version: i16) -> io::Result<R::Response> {
        let correlation = self.correlation.get();
        self.correlation.set(correlation.wrapping_add(1) & i32::MAX);
        let frame = self.encode(correlation, version, request).map_err(io::Error::other)?;
        stream.write_all(&frame).await?;
        stream.flush().await?;
        let length = usize::try_from(stream.read_i32().await?).map_err(io::Error::other)?;
        if length > self.longest {
            return Err(io::Error::other(format!("an answer of {length} bytes")));
        }
        let mut answer = BytesMut::with_capacity(length);
        while answer.len() < length {
            let left = length - answer.len();
            let mut room = (&mut answer).limit(left);
            if stream.read_buf(&mut room).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        decode::<R>(answer.freeze(), version, correlation)
    }

    fn encode<R: Request>(&self, correlation: i32, version: i16, request: &R) -> Result<Bytes, String> {
        let mut out = BytesMut::new();
        out.put_i32(0);
        RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation)
            .with_client_id(Some(text(&self.name)))
            .encode(&mut out, R::header_version(version))
            .map_err(|error| error.to_string())?;
        request.encode(&mut out, version).map_err(|error| error.to_string())?;
        let length = i32::try_from(out.len() - 4).map_err(|error| error.to_string())?;
        out[..4].copy_from_slice(&length.to_be_bytes());
        Ok(out.freeze())
    }
}

fn decode<R: Request>(mut answer: Bytes, version: i16, correlation: i32) -> io::Result<R::Response> {
    let garbled = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
    let header = ResponseHeader::decode(&mut answer, <R::Response as HeaderVersion>::header_version(version));
    if header.map_err(|error| garbled(&error))?.correlation_id != correlation {
        return Err(io::Error::other("an answer to another request"));
    }
    // The protocol crate allocates what a count promises, and any address may be registered as a broker's.
    let layout = answers::layout(R::KEY, version).ok_or_else(|| garbled(&"an answer nobody knows the layout of"))?;
    guard::check(layout, version, &answer).map_err(|error| garbled(&error))?;
    R::Response::decode(&mut answer, version).map_err(|error| garbled(&error))
}

/// Counts a request under way, also one that is given up.
struct Busy<'a, E: Env> {
    peers: &'a Peers<E>,
    node: NodeId,
}

impl<E: Env> Drop for Busy<'_, E> {
    fn drop(&mut self) {
        if let Some(peer) = self.peers.all.borrow_mut().get_mut(&self.node) {
            peer.busy -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::{FetchRequest, FetchResponse, VoteRequest};

    use super::*;

    #[test]
    fn a_count_that_would_take_all_memory_is_refused() {
        // Correlation id, no tagged fields, error code, and then two billion topics.
        let hostile = [&[0, 0, 0, 7, 0, 0, 0][..], &[0xff, 0xff, 0xff, 0xff, 0x07]].concat();
        assert!(decode::<VoteRequest>(hostile.into(), 2, 7).is_err());
    }

    #[test]
    fn an_answer_is_read_and_one_to_another_request_is_not() {
        let mut answer = BytesMut::from(&[0, 0, 0, 7, 0][..]);
        FetchResponse::default().with_session_id(9).encode(&mut answer, 17).unwrap();
        let answer = answer.freeze();
        assert_eq!(decode::<FetchRequest>(answer.clone(), 17, 7).unwrap().session_id, 9);
        assert!(decode::<FetchRequest>(answer, 17, 8).is_err());
    }
}
