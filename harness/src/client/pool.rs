//! The links to all brokers of a cluster: by node id once metadata has named them, by bootstrap address before.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use broker::env::Env;
use broker::ids::NodeId;

use super::Settings;
use super::link::Link;
use super::signal::Signal;

/// The links of one client.
pub struct Pool<E> {
    env: E,
    settings: Rc<Settings>,
    changed: Rc<Signal>,
    bootstrap: Vec<Rc<Link<E>>>,
    nodes: RefCell<BTreeMap<NodeId, Rc<Link<E>>>>,
    /// Which of the links [`Pool::any`] offers next.
    turn: Cell<usize>,
}

impl<E: Env> Pool<E> {
    /// A pool that knows only the bootstrap addresses of `settings`. `changed` is raised with every link's change.
    pub fn new(env: E, settings: Rc<Settings>, changed: Rc<Signal>) -> Self {
        let link = |addr: &String| Link::new(env.clone(), addr.clone(), settings.clone(), changed.clone());
        let bootstrap: Vec<_> = settings.bootstrap.iter().map(link).collect();
        let turn = Cell::new(usize::try_from(env.draw() % (bootstrap.len().max(1) as u64)).unwrap_or(0));
        Self { env, settings, changed, bootstrap, nodes: RefCell::default(), turn }
    }

    /// The link to a node that metadata has named.
    pub fn node(&self, id: NodeId) -> Option<Rc<Link<E>>> {
        self.nodes.borrow().get(&id).cloned()
    }

    /// A link to ask anyone by: the next in turn of those that are connected, else of the known nodes and the bootstrap
    /// list. In turn, because one that is cut off from the others answers as readily, with old news. `None` only with an
    /// empty bootstrap list.
    pub fn any(&self) -> Option<Rc<Link<E>>> {
        let nodes = self.nodes.borrow();
        let all = nodes.values().chain(&self.bootstrap);
        let connected: Vec<_> = all.clone().filter(|link| link.connection().is_some()).collect();
        let among = if connected.is_empty() { all.collect() } else { connected };
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        turn.checked_rem(among.len()).map(|at| among[at].clone())
    }

    /// Takes the cluster's nodes and addresses from metadata. A node that moved or left has its link closed; one that is
    /// found at a bootstrap address takes over that link.
    pub fn learn(&self, cluster: &BTreeMap<NodeId, String>) {
        let mut nodes = self.nodes.borrow_mut();
        let mut gone = Vec::new();
        nodes.retain(|id, link| {
            let stays = cluster.get(id).is_some_and(|addr| addr == link.addr());
            if !stays {
                gone.push(link.clone());
            }
            stays
        });
        for (id, addr) in cluster {
            nodes.entry(*id).or_insert_with(|| {
                let boot = self.bootstrap.iter().find(|link| link.addr() == addr);
                boot.cloned().unwrap_or_else(|| {
                    Link::new(self.env.clone(), addr.clone(), self.settings.clone(), self.changed.clone())
                })
            });
        }
        drop(nodes);
        // A bootstrap link stays open for business: it is how a lost cluster is found again.
        for link in gone.iter().filter(|link| !self.bootstrap.iter().any(|boot| Rc::ptr_eq(boot, link))) {
            link.close();
        }
    }

    /// Closes every link for good.
    pub fn close(&self) {
        for link in self.bootstrap.iter().chain(self.nodes.borrow().values()) {
            link.close();
        }
    }
}
