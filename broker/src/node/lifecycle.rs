//! A broker's life in its cluster: it registers with the active controller, says that it is alive, learns whether it may
//! lead, and takes its leave (KIP-500, KIP-631).

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use kafka_protocol::error::ResponseError;
use tokio::sync::Notify;

use super::Node;
use crate::controller::record::Incarnation;
use crate::controller::request::{Answer, Heartbeat, Registration, Request};
use crate::env::Env;
use crate::fact::Fact;
use crate::ids::BrokerEpoch;

/// Between two tries to reach the controller.
const RETRY: Duration = Duration::from_millis(100);
/// How long the controller may take to move leadership away before the node stops all the same.
const LEAVE: Duration = Duration::from_secs(5);

/// Where a broker is in its life.
pub struct Life {
    incarnation: Incarnation,
    epoch: Cell<Option<BrokerEpoch>>,
    /// The broker epoch at the last clean shutdown; -1: there was none.
    previous: Cell<BrokerEpoch>,
    leaving: Cell<bool>,
    left: Cell<bool>,
    changed: Notify,
}

impl Life {
    /// Before the first registration. `previous`: the broker epoch written down at a clean shutdown (KIP-966).
    pub fn new(incarnation: Incarnation, previous: Option<BrokerEpoch>) -> Self {
        Self {
            incarnation,
            epoch: Cell::new(None),
            previous: Cell::new(previous.unwrap_or(-1)),
            leaving: Cell::new(false),
            left: Cell::new(false),
            changed: Notify::new(),
        }
    }

    /// Tells this process from others of the same id.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The broker epoch, once it is registered; -1 before.
    pub fn epoch(&self) -> BrokerEpoch {
        self.epoch.get().unwrap_or(-1)
    }
}

/// Registers and keeps the registration alive until the node has left.
pub(super) async fn run<E: Env>(node: Rc<Node<E>>) {
    while !node.life.left.get() {
        let request = Request::Register(Registration {
            node: node.config.node_id,
            incarnation: node.life.incarnation(),
            host: node.host().to_owned(),
            port: node.port,
            rack: node.config.rack.clone(),
            previous_epoch: Some(node.life.previous.get()).filter(|epoch| *epoch >= 0),
        });
        match node.ask_controller(request).await {
            Ok(Answer::Registered { epoch }) => {
                node.life.epoch.set(Some(epoch));
                // Should it have to register again, its disk is as it was.
                node.life.previous.set(epoch);
                node.tell(|| Fact::Registered { broker_epoch: epoch });
                beat(&node, epoch).await;
            }
            // Another process of the same id may still be believed alive: its session has to end first.
            _ => node.env.sleep(RETRY).await,
        }
    }
}

/// Heartbeats until the registration is not valid any more.
async fn beat<E: Env>(node: &Rc<Node<E>>, epoch: BrokerEpoch) {
    loop {
        let leaving = node.life.leaving.get();
        let request = Request::Heartbeat(Heartbeat {
            node: node.config.node_id,
            epoch,
            // With its logs not yet open it can lead nothing: it is behind.
            metadata_offset: if node.loaded.get() { node.applied() - 1 } else { -1 },
            want_fence: false,
            want_shut_down: leaving,
        });
        let mut wait = RETRY;
        match node.ask_controller(request).await {
            Ok(Answer::Heartbeat { fenced, should_shut_down, .. }) => {
                if should_shut_down {
                    node.life.left.set(true);
                    node.life.changed.notify_one();
                    return;
                }
                if !fenced && !leaving {
                    wait = node.config.broker_heartbeat_interval;
                }
            }
            Err(ResponseError::StaleBrokerEpoch | ResponseError::BrokerIdNotRegistered) => {
                node.env.sleep(RETRY).await;
                return;
            }
            _ => {}
        }
        node.env.timeout(wait, node.life.changed.notified()).await;
    }
}

impl<E: Env> Node<E> {
    /// Takes its leave: leadership moves to others first (controlled shutdown). The node still serves what it leads, and
    /// votes.
    pub async fn leave(&self) {
        if !self.config.process_roles.serves() {
            return;
        }
        self.life.leaving.set(true);
        self.life.changed.notify_one();
        let left = async {
            while !self.life.left.get() {
                self.env.sleep(Duration::from_millis(5)).await;
            }
        };
        self.env.timeout(LEAVE, left).await;
        self.life.left.set(true);
    }
}
