//! Which brokers are alive, as far as this controller has heard: not recorded, and begun anew with each controller
//! (`BrokerHeartbeatManager`).

use std::collections::BTreeMap;
use std::time::Duration;

use super::image::Image;
use crate::env::Mono;
use crate::ids::{NodeId, Offset};

#[derive(Clone, Copy, Debug)]
struct Session {
    /// When the broker was last heard of, or this controller began.
    contact: Mono,
    /// Whether it was heard of.
    heard: bool,
    /// The last metadata offset that it has made its own; -1: not known.
    metadata_offset: Offset,
    /// The last metadata offset of the decision that began its shutdown; `None` if this controller did not take it.
    shutdown_offset: Option<Offset>,
}

/// The brokers' sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    timeout: Duration,
    all: BTreeMap<NodeId, Session>,
}

impl Sessions {
    /// A new controller gives every broker a whole session to be heard of.
    pub fn new(timeout: Duration, image: &Image, now: Mono) -> Self {
        let mut this = Self { timeout, all: BTreeMap::new() };
        let unheard = Session { contact: now, heard: false, metadata_offset: -1, shutdown_offset: None };
        this.all.extend(image.brokers().map(|broker| (broker.node, unheard)));
        this
    }

    /// Whether this start of the broker was heard of so recently that it must be taken for alive. One of which only the
    /// former controller knew is not: a cluster that was cut off as a whole need not wait for its own ghosts. Were it
    /// alive after all, its broker epoch would be refused from then on.
    pub fn is_alive(&self, node: NodeId, now: Mono) -> bool {
        self.all.get(&node).is_some_and(|session| session.heard && now.since(session.contact) <= self.timeout)
    }

    /// A broker has registered.
    pub fn begin(&mut self, node: NodeId, now: Mono) {
        let session = Session { contact: now, heard: true, metadata_offset: -1, shutdown_offset: None };
        self.all.insert(node, session);
    }

    /// A broker is forgotten.
    pub fn end(&mut self, node: NodeId) {
        self.all.remove(&node);
    }

    /// A broker was heard of.
    pub fn touch(&mut self, node: NodeId, now: Mono, metadata_offset: Offset) {
        let unknown = Session { contact: now, heard: true, metadata_offset: -1, shutdown_offset: None };
        let session = self.all.entry(node).or_insert(unknown);
        *session = Session { contact: now, heard: true, metadata_offset, ..*session };
    }

    /// Its shutdown has begun, with the decision that ends at `offset`.
    pub fn begin_shutdown(&mut self, node: NodeId, offset: Offset) {
        if let Some(session) = self.all.get_mut(&node) {
            session.shutdown_offset = Some(offset);
        }
    }

    /// This controller has looked at nothing for so long, until now: nobody's silence meanwhile counts.
    pub fn excuse(&mut self, by: Duration, now: Mono) {
        self.all.values_mut().for_each(|session| session.contact = session.contact.after(by).min(now));
    }

    /// Whether every active broker knows that `node` leads nothing any more (`lowestActiveOffset`). A former controller's
    /// decision is long since known.
    pub fn know_of_shutdown(&self, node: NodeId, image: &Image) -> bool {
        let Some(began) = self.all.get(&node).and_then(|session| session.shutdown_offset) else { return true };
        let knows = |other: &NodeId| self.all.get(other).is_some_and(|session| session.metadata_offset >= began);
        image.brokers().filter(|broker| broker.is_active()).all(|broker| knows(&broker.node))
    }

    /// The unfenced broker that was heard of least recently, and when its session ends.
    fn oldest(&self, image: &Image) -> Option<(NodeId, Mono)> {
        let of = |node: NodeId| self.all.get(&node).map_or(Mono(0), |session| session.contact);
        let (contact, node) = image.unfenced_brokers().map(|broker| (of(broker.node), broker.node)).min()?;
        Some((node, contact.after(self.timeout)))
    }

    /// A broker to be fenced: one at a time, the longest silent first.
    pub fn stale(&self, image: &Image, now: Mono) -> Option<NodeId> {
        self.oldest(image).filter(|(_, end)| now > *end).map(|(node, _)| node)
    }

    /// When the next session ends.
    pub fn next_end(&self, image: &Image) -> Option<Mono> {
        self.oldest(image).map(|(_, end)| end.after(Duration::from_nanos(1)))
    }
}
