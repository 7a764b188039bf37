//! A broker on real files and sockets, as a function without type parameters: what has them is compiled by everyone who uses
//! it, and a broker takes minutes.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

use super::{Node, serve_beside};
use crate::config::BrokerConfig;
use crate::env::real::RealEnv;

/// What is done on a reactor.
type Task<T> = Pin<Box<dyn Future<Output = T>>>;

/// As [`serve_beside`], on real files and sockets.
pub fn serve<F: Future<Output = ()> + 'static>(
    env: RealEnv,
    config: BrokerConfig,
    stop: impl Future<Output = ()> + 'static,
    beside: impl FnOnce(Rc<Node<RealEnv>>) -> F + 'static,
) -> Task<io::Result<()>> {
    once(env, config, Box::pin(stop), Box::new(|node| Box::pin(beside(node))))
}

fn once(
    env: RealEnv,
    config: BrokerConfig,
    stop: Task<()>,
    beside: Box<dyn FnOnce(Rc<Node<RealEnv>>) -> Task<()>>,
) -> Task<io::Result<()>> {
    Box::pin(serve_beside(env, config, stop, beside))
}
