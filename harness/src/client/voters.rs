//! Administrative calls about who votes on metadata (KIP-853).

use broker::env::{Env, Mono};
use broker::ids::NodeId;
use kafka_protocol::messages::add_raft_voter_request::Listener;
use kafka_protocol::messages::{AddRaftVoterRequest, RemoveRaftVoterRequest};
use kafka_protocol::protocol::StrBytes;

use super::admin::written;
use super::{CallError, Client};

impl<E: Env> Client<E> {
    /// Has a broker vote, too, once it has caught up.
    pub async fn add_voter(&self, node: NodeId, deadline: Mono) -> Result<(), CallError> {
        let address = self.shared.metadata.borrow().nodes.get(&node).cloned().unwrap_or_default();
        let (host, port) = address.rsplit_once(':').unwrap_or_default();
        let listener = Listener::default()
            .with_name(StrBytes::from_static_str("PLAINTEXT"))
            .with_host(StrBytes::from_string(host.to_owned()))
            .with_port(port.parse().unwrap_or_default());
        let request = AddRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_voter_id(node.0)
            .with_timeout_ms(self.left(deadline))
            .with_listeners(vec![listener]);
        written(Some(self.call_controller(&request, deadline).await?.error_code))
    }

    /// Takes a voter's vote away.
    pub async fn remove_voter(&self, node: NodeId, deadline: Mono) -> Result<(), CallError> {
        let request = RemoveRaftVoterRequest::default().with_cluster_id(None).with_voter_id(node.0);
        written(Some(self.call_controller(&request, deadline).await?.error_code))
    }
}
