//! Who votes on metadata, as records of the log say it (KIP-853): written by the leader one change at a time, and told to
//! the quorum by whoever has them in its log, committed or not.

use std::collections::BTreeSet;

use bytes::Bytes;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;

use super::log::each_record;
use crate::controller::record::{MetadataRecord, Voter, text};
use crate::env::Env;
use crate::ids::{NodeId, Offset};
use crate::log::LogError;
use crate::node::Node;
use crate::quorum::Input;

/// Voters' records, each with its offset.
pub(super) type Records = Vec<(Offset, Vec<Voter>)>;

/// Adds a record's, if it is one of those.
pub(super) fn note(records: &mut Records, offset: Offset, record: MetadataRecord) {
    if let MetadataRecord::Voters { voters } = record {
        records.push((offset, voters));
    }
}

/// Those among the batches in `bytes`.
pub(super) fn within(bytes: Bytes) -> Result<Records, LogError> {
    let mut found = Records::new();
    each_record(bytes, |offset, record| note(&mut found, offset, record))?;
    Ok(found)
}

/// What the quorum is to know of such a record. This node learns where they listen.
pub(super) fn input<E: Env>(node: &Node<E>, offset: Offset, voters: &[Voter]) -> Input {
    for voter in voters.iter().filter(|voter| voter.node != node.config.node_id) {
        node.peers.introduce(voter.node, &voter.address);
    }
    Input::Voters { offset, voters: voters.iter().map(|voter| voter.node).collect() }
}

impl<E: Env> Node<E> {
    /// Where the leader of the quorum listens, for one that may not know it: since that one was up, others have been given
    /// the vote (KIP-853).
    pub fn leads_at(&self, leader: Option<NodeId>) -> Option<(BrokerId, StrBytes, u16)> {
        let leader = leader?;
        if leader == self.config.node_id {
            return Some((BrokerId(leader.0), text(self.host()), self.port));
        }
        let address = self.peers.address(leader)?;
        let (host, port) = address.rsplit_once(':')?;
        Some((BrokerId(leader.0), text(host), port.parse().ok()?))
    }

    /// Another node says where this one listens.
    pub(super) fn hears_of(&self, node: BrokerId, host: &str, port: i32) {
        if node.0 != self.config.node_id.0 && !host.is_empty() {
            self.peers.introduce(NodeId(node.0), &format!("{host}:{port}"));
        }
    }

    /// Who votes, by the last record that is committed or, before there is one, by its settings; and where each listens.
    pub fn voters(&self) -> Vec<(NodeId, String, u16)> {
        let image = self.image();
        let recorded = image.voters().iter().map(|voter| (voter.node, &voter.address));
        let set = self.config.voters.iter().filter(|_| image.voters().is_empty()).map(|(node, at)| (*node, at));
        let place = |(node, address): (NodeId, &String)| {
            let (host, port) = address.rsplit_once(':')?;
            Some((node, host.to_owned(), port.parse().ok()?))
        };
        recorded.chain(set).filter_map(place).collect()
    }
}

/// The record that makes these the voters, one of whom may be new to all.
pub(super) fn record<E: Env>(node: &Node<E>, voters: &BTreeSet<NodeId>, candidate: Option<Voter>) -> MetadataRecord {
    let known = |id: NodeId| match id == node.config.node_id {
        true => format!("{}:{}", node.host(), node.port),
        false => node.peers.address(id).unwrap_or_default(),
    };
    let new = |id: NodeId| candidate.clone().filter(|new| new.node == id);
    let voter = |id: &NodeId| new(*id).unwrap_or_else(|| Voter { node: *id, address: known(*id) });
    MetadataRecord::Voters { voters: voters.iter().map(voter).collect() }
}
