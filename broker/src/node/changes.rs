//! Clients' changes to the cluster, handed to the active controller, wherever it is.

use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::{CreateTopicsRequest, TopicName};

use super::Node;
use crate::controller::plan::{NewTopic, denied};
use crate::controller::record::text;
use crate::controller::request::{Answer, Change, Changed, Request};
use crate::env::Env;

/// How long the creation of a topic that a client merely named may hold up its answer.
const PATIENCE: Duration = Duration::from_secs(2);

impl<E: Env> Node<E> {
    /// Has the controller in this node carry out `changes` in order, each wholly or not at all; with `dry`, only say what
    /// would become of each. `None`: this node was not the active controller any more, and what becomes of them is not known.
    pub async fn change(self: &Rc<Self>, changes: Vec<Change>, dry: bool) -> Option<Vec<Changed>> {
        let count = changes.len();
        match self.raft.decide(Request::Change { changes, dry }).await {
            Ok(Answer::Changed(ends)) => Some(ends),
            Ok(_) => Some(vec![denied(ResponseError::UnknownServerError, ""); count]),
            Err(ResponseError::NotController) => None,
            Err(error) => Some(vec![denied(error, ""); count]),
        }
    }

    /// Has the active controller make topics of these names with the settings they have unasked, and waits a while until
    /// they show here. Those that cannot be made do not.
    pub async fn create_unasked(self: &Rc<Self>, names: Vec<String>) {
        let topics = names.into_iter().map(|name| self.unasked(name));
        if self.raft.is_active() {
            // If it is another's to decide by now, the client asks again.
            let _ = self.change(topics.map(Change::Create).collect(), false).await;
            return;
        }
        let Some(leader) = self.raft.leader().filter(|leader| *leader != self.config.node_id) else { return };
        let config = |(name, value): (String, Option<String>)| {
            CreatableTopicConfig::default().with_name(text(&name)).with_value(value.as_deref().map(text))
        };
        let wanted = |topic: NewTopic| {
            CreatableTopic::default()
                .with_name(TopicName(text(&topic.name)))
                .with_num_partitions(topic.partitions)
                .with_replication_factor(topic.replication)
                .with_configs(topic.configs.into_iter().map(config).collect())
        };
        let request = CreateTopicsRequest::default()
            .with_topics(topics.map(wanted).collect())
            .with_timeout_ms(i32::try_from(PATIENCE.as_millis()).unwrap_or(i32::MAX));
        let Ok(answer) = self.peers.call(leader, request, PATIENCE).await else { return };
        let made = answer.topics.into_iter().filter(|topic| topic.error_code == 0).map(|topic| topic.name);
        let made: Vec<_> = made.collect();
        let all_shown = || made.iter().all(|name| self.image().topic(name.as_str()).is_some());
        self.env.timeout(PATIENCE, self.until_shown(all_shown)).await;
    }
}
