//! What happens to single frames: rules that pick them by API key, direction, hosts and n-th match, and hold the
//! connection from there on or deliver the frame once more.
//!
//! A stream cannot lose or overtake a frame. So a held frame holds what comes behind it too, as a retransmission would;
//! and whoever waits for the answer gives up and asks again on another connection, which is how an old request comes to
//! arrive after a newer one.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::conn::Conn;

/// What a rule does with a frame it picks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Holds its connection's direction from this frame on.
    Hold,
    /// Delivers a request once more, on a connection of its own, so many nanoseconds later.
    Repeat { after: u64 },
}

/// Which frames a rule picks.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Sent by this host; by any, if `None`.
    pub from: Option<usize>,
    /// Sent to this host; to any, if `None`.
    pub to: Option<usize>,
    /// Of this API.
    pub api_key: i16,
    /// Answers, not requests.
    pub answers: bool,
    /// Matches to let pass first.
    pub skip: u32,
    /// Matches to act on after that.
    pub most: u32,
    pub what: What,
}

/// A direction of a connection.
type Held = (Rc<Conn>, usize);

/// The rules in force.
#[derive(Default)]
pub(crate) struct Rules {
    rules: RefCell<Vec<(u64, Rule)>>,
    held: RefCell<BTreeMap<u64, Vec<Held>>>,
    next: Cell<u64>,
    /// Requests that have passed, by API.
    asked: RefCell<BTreeMap<i16, u64>>,
}

impl Rules {
    /// Puts a rule in force; hands back its ticket.
    pub(crate) fn add(&self, rule: Rule) -> u64 {
        let ticket = self.next.get();
        self.next.set(ticket + 1);
        self.rules.borrow_mut().push((ticket, rule));
        ticket
    }

    /// A frame of `api_key` passes from one host to another: which rule picks it, and what is to happen.
    pub(crate) fn meet(&self, from: usize, to: usize, answers: bool, api_key: i16) -> Option<(u64, What)> {
        if !answers {
            *self.asked.borrow_mut().entry(api_key).or_default() += 1;
        }
        let mut rules = self.rules.borrow_mut();
        let fits = |rule: &Rule| {
            let ends = rule.from.is_none_or(|host| host == from) && rule.to.is_none_or(|host| host == to);
            ends && rule.answers == answers && rule.api_key == api_key && rule.most > 0
        };
        for (ticket, rule) in rules.iter_mut().filter(|(_, rule)| fits(rule)) {
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.most -= 1;
            return Some((*ticket, rule.what));
        }
        None
    }

    /// How many requests of an API have passed.
    pub(crate) fn asked(&self, api_key: i16) -> u64 {
        self.asked.borrow().get(&api_key).copied().unwrap_or(0)
    }

    /// How many requests of all APIs have passed.
    pub(crate) fn asked_in_all(&self) -> u64 {
        self.asked.borrow().values().sum()
    }

    /// Direction `way` of `conn` delivers nothing from position `at` on, until the ticket's rule ends.
    pub(crate) fn hold(&self, ticket: u64, conn: &Rc<Conn>, way: usize, at: u64) {
        let held = &conn.ways[way].held;
        if held.get().is_none() {
            held.set(Some(at));
            self.held.borrow_mut().entry(ticket).or_default().push((conn.clone(), way));
        }
    }

    /// Ends a rule. What it holds is delivered after all; or, with `reset`, never: its connections break now.
    pub(crate) fn end(&self, ticket: u64, reset: bool, now: u64) {
        self.rules.borrow_mut().retain(|(t, _)| *t != ticket);
        let held = self.held.borrow_mut().remove(&ticket).unwrap_or_default();
        for (conn, way) in held {
            if reset {
                conn.reset(now, now, io::ErrorKind::ConnectionReset);
            } else {
                conn.ways[way].held.set(None);
                conn.ways[way].wake_reader();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(skip: u32, most: u32) -> Rule {
        Rule { from: Some(1), to: None, api_key: 1, answers: false, skip, most, what: What::Hold }
    }

    #[test]
    fn picks_by_host_api_and_number() {
        let rules = Rules::default();
        let ticket = rules.add(rule(1, 1));
        let meets = |from, answers, api| rules.meet(from, 2, answers, api).map(|(t, _)| t);
        assert_eq!([meets(2, false, 1), meets(1, true, 1), meets(1, false, 0)], [None; 3]);
        assert_eq!([meets(1, false, 1), meets(1, false, 1), meets(1, false, 1)], [None, Some(ticket), None]);
    }

    #[test]
    fn what_is_held_is_delivered_or_reset() {
        for reset in [false, true] {
            let (rules, conn) = (Rules::default(), Rc::new(Conn::new(0, [1, 2])));
            let ticket = rules.add(rule(0, u32::MAX));
            conn.ways[0].sent.set(50);
            rules.hold(ticket, &conn, 0, 12);
            assert_eq!(conn.ways[0].readable(5), Ok(12));
            rules.end(ticket, reset, 7);
            assert_eq!(conn.ends[1].broken.get().is_some(), reset);
            assert_eq!(conn.ways[0].held.get().is_some(), reset);
            assert_eq!(rules.meet(1, 2, false, 1), None);
        }
    }
}
