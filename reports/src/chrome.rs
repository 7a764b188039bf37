//! A history as Chrome trace events: open the file in ui.perfetto.dev or chrome://tracing.
//!
//! Every client is a process whose calls are asynchronous spans, so that any number of them may overlap; every node is a
//! process with a track for each partition, and what was done to them is a process of its own: phases and faults as spans,
//! strikes and cures as marks. High watermark and log end are counters. Written as it goes: memory follows what is open.

use std::collections::BTreeMap;
use std::io::{self, Write};

use harness::history::{Call, Event, GroupEvent, GroupStep, Kind, Phase, Reply, TpId};
use serde_json::{Value, json};

/// The process that holds phases and faults.
const RUN: u32 = 1;
/// Nodes are the processes from here on.
const NODES: u32 = 10;
/// Clients are the processes from here on.
const CLIENTS: u32 = 1000;
/// The run's tracks: phases, marks, and from here on the strikes.
const PHASES: u32 = 0;
const MARKS: u32 = 1;
const STRIKES: u32 = 2;
/// A client's track: its life as a member of a group.
const MEMBER: u32 = 0;

/// A call that has not returned.
struct Open {
    at: u64,
    client: u32,
    name: &'static str,
    args: Value,
    delivered: u32,
}

/// Writes a trace, event by event.
pub struct Chrome<W: Write> {
    to: W,
    names: Vec<String>,
    open: BTreeMap<u64, Open>,
    strikes: BTreeMap<u32, (u64, String)>,
    phase: Option<(Phase, u64)>,
    /// Tracks that have been given their names.
    named: BTreeMap<(u32, u32), ()>,
    begun: bool,
}

impl<W: Write> Chrome<W> {
    /// Begins a trace of a run with these partitions. `to` gets many small pieces: buffer it.
    pub fn new(mut to: W, partitions: &[String]) -> io::Result<Self> {
        to.write_all(b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n")?;
        let mut chrome = Self {
            to,
            names: partitions.to_vec(),
            open: BTreeMap::new(),
            strikes: BTreeMap::new(),
            phase: None,
            named: BTreeMap::new(),
            begun: false,
        };
        chrome.process(RUN, "run")?;
        chrome.track(RUN, PHASES, "phases")?;
        chrome.track(RUN, MARKS, "marks")?;
        Ok(chrome)
    }

    /// Adds one event.
    pub fn see(&mut self, event: &Event) -> io::Result<()> {
        let at = event.at;
        match &event.kind {
            Kind::Call { op, client, call, .. } => self.call(at, *op, *client, call),
            Kind::Return { op, outcome, code, reply } => {
                let outcome = json!({ "outcome": outcome, "code": code, "reply": reply_of(reply) });
                self.returns(at, *op, &outcome)
            }
            Kind::Deliver(d) => {
                self.open.get_mut(&d.op).into_iter().for_each(|open| open.delivered += 1);
                Ok(())
            }
            Kind::Group(member) => self.member(at, member),
            Kind::Fact { node, tp, fact, .. } => {
                let node = NODES.saturating_add(u32::try_from(node.0).unwrap_or(0));
                self.fact(at, node, *tp, fact)
            }
            Kind::Strike { strike, fault, on, .. } => {
                self.strikes.insert(*strike, (at, format!("{fault}: {on}")));
                self.mark(at, RUN, MARKS, &format!("strike {strike} {fault}"), json!({ "on": on }))
            }
            Kind::Heal { strike } => {
                self.mark(at, RUN, MARKS, &format!("heal {strike}"), json!({}))?;
                self.strikes.remove(strike).map_or(Ok(()), |(from, name)| self.fault(*strike, &name, from, at))
            }
            Kind::Phase { phase } => {
                let before = self.phase.replace((*phase, at));
                self.mark(at, RUN, MARKS, &format!("phase {phase:?}"), json!({}))?;
                before
                    .map_or(Ok(()), |(phase, from)| self.span(from, at, RUN, PHASES, &format!("{phase:?}"), json!({})))
            }
            Kind::Down { host, power, why, .. } => {
                let how = if *power { "loses its power" } else { "goes down" };
                self.mark(at, RUN, MARKS, &format!("{host} {how}"), json!({ "why": why }))
            }
            Kind::Wiped { host, .. } => self.mark(at, RUN, MARKS, &format!("{host} loses its disk"), json!({})),
            Kind::Up { host, incarnation, .. } => {
                self.mark(at, RUN, MARKS, &format!("{host} is up"), json!({ "incarnation": incarnation }))
            }
            Kind::Quit { client, .. } => self.quit(at, *client),
            Kind::App { app, what } => self.mark(at, RUN, MARKS, &format!("application {app}"), json!(what)),
        }
    }

    /// Ends the trace at `at`: what is open is drawn up to there.
    pub fn finish(mut self, at: u64) -> io::Result<W> {
        let open: Vec<u64> = self.open.keys().copied().collect();
        for op in open {
            self.returns(at, op, &json!({ "outcome": "never returned" }))?;
        }
        for (strike, (from, name)) in std::mem::take(&mut self.strikes) {
            self.fault(strike, &name, from, at)?;
        }
        if let Some((phase, from)) = self.phase {
            self.span(from, at, RUN, PHASES, &format!("{phase:?}"), json!({}))?;
        }
        self.to.write_all(b"\n]}\n")?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn call(&mut self, at: u64, op: u64, client: u32, call: &Call) -> io::Result<()> {
        self.process(CLIENTS.saturating_add(client), &format!("client {client}"))?;
        let (name, args) = self.asked(call);
        self.open.insert(op, Open { at, client, name, args, delivered: 0 });
        Ok(())
    }

    fn asked(&self, call: &Call) -> (&'static str, Value) {
        let name = |tp: &TpId| self.partition(*tp);
        match call {
            Call::Send { tp, id, acks, .. } => {
                ("send", json!({ "partition": name(tp), "producer": id.producer, "seq": id.seq, "acks": acks }))
            }
            Call::Poll { tp, position } => ("poll", json!({ "partition": name(tp), "position": position })),
            Call::Assign { tp, position, .. } => ("assign", json!({ "partition": name(tp), "position": position })),
            Call::ListOffsets { tp, query } => ("list offsets", json!({ "partition": name(tp), "query": query })),
            Call::DeleteRecords { tp, before } => {
                ("delete records", json!({ "partition": name(tp), "before": before }))
            }
            Call::Commit { tp, offset, generation, .. } => {
                ("commit", json!({ "partition": name(tp), "offset": offset, "generation": generation }))
            }
            Call::FetchOffset { tp, .. } => ("fetch offset", json!({ "partition": name(tp) })),
            Call::Admin { api } => ("admin", json!({ "api": api })),
        }
    }

    fn returns(&mut self, at: u64, op: u64, outcome: &Value) -> io::Result<()> {
        let Some(mut open) = self.open.remove(&op) else { return Ok(()) };
        if let (Some(args), Some(outcome)) = (open.args.as_object_mut(), outcome.as_object()) {
            args.insert("op".into(), op.into());
            args.extend(outcome.clone());
            if open.delivered > 0 {
                args.insert("records".into(), open.delivered.into());
            }
        }
        let pid = CLIENTS.saturating_add(open.client);
        let end =
            |ph, ts| json!({ "ph": ph, "cat": "call", "id": op, "name": open.name, "pid": pid, "ts": micros(ts) });
        let mut begin = end("b", open.at);
        begin["args"] = open.args;
        self.line(&begin)?;
        self.line(&end("e", at))
    }

    fn quit(&mut self, at: u64, client: u32) -> io::Result<()> {
        let dead: Vec<u64> = self.open.iter().filter(|(_, o)| o.client == client).map(|(op, _)| *op).collect();
        for op in dead {
            self.returns(at, op, &json!({ "outcome": "its client ended" }))?;
        }
        self.mark(at, CLIENTS.saturating_add(client), 0, &format!("client {client} ends"), json!({}))
    }

    fn fact(&mut self, at: u64, node: u32, tp: Option<TpId>, fact: &broker::fact::Fact) -> io::Result<()> {
        use broker::fact::Fact;
        self.process(node, &format!("node {}", node - NODES))?;
        let track = tp.map_or(0, |tp| tp.0.saturating_add(1));
        let name = tp.map_or("node".into(), |tp| self.partition(tp));
        self.track(node, track, &name)?;
        if let Fact::Watermarks { high, end, log_start, .. } = fact {
            let args = json!({ "high watermark": high, "log end": end, "log start": log_start });
            let counter =
                json!({ "ph": "C", "name": format!("{name} offsets"), "pid": node, "ts": micros(at), "args": args });
            return self.line(&counter);
        }
        let mut args = match fact {
            // An audit lists every batch: too much for a mark.
            Fact::Audited { log_start, log_end, batches, bad_crc, torn_bytes, .. } => json!({
                "log_start": log_start, "log_end": log_end, "batches": batches.len(),
                "bad_crc": bad_crc, "torn_bytes": torn_bytes,
            }),
            fact => serde_json::to_value(fact)?,
        };
        let kind = match fact {
            Fact::Audited { .. } => "audited".into(),
            _ => args
                .as_object_mut()
                .and_then(|a| a.remove("fact"))
                .and_then(|f| Some(f.as_str()?.to_string()))
                .unwrap_or_default(),
        };
        self.mark(at, node, track, &kind, args)
    }

    fn member(&mut self, at: u64, member: &GroupEvent) -> io::Result<()> {
        let pid = CLIENTS.saturating_add(member.client);
        self.process(pid, &format!("client {}", member.client))?;
        let (name, tp) = match member.what {
            GroupStep::Entered { .. } => ("entered", None),
            GroupStep::Synced => ("synced", None),
            GroupStep::Told => ("told", None),
            GroupStep::Assigned { tp, .. } => ("assigned", Some(tp)),
            GroupStep::Processed { tp, .. } => ("processed", Some(tp)),
            GroupStep::Revoked { tp } => ("revoked", Some(tp)),
            GroupStep::Lost { tp } => ("lost", Some(tp)),
            GroupStep::Out => ("out", None),
            GroupStep::Left => ("left", None),
            GroupStep::Rewound { tp, .. } => ("rewound", Some(tp)),
        };
        let mut args = serde_json::to_value(member)?;
        args["partition"] = json!(tp.map(|tp| self.partition(tp)));
        self.mark(at, pid, MEMBER, name, args)
    }

    fn fault(&mut self, strike: u32, name: &str, from: u64, to: u64) -> io::Result<()> {
        let track = STRIKES.saturating_add(strike);
        self.track(RUN, track, &format!("strike {strike}"))?;
        self.span(from, to, RUN, track, name, json!({}))
    }

    fn partition(&self, tp: TpId) -> String {
        self.names.get(tp.0 as usize).cloned().unwrap_or_else(|| format!("partition {}", tp.0))
    }

    fn process(&mut self, pid: u32, name: &str) -> io::Result<()> {
        if self.named.insert((pid, u32::MAX), ()).is_some() {
            return Ok(());
        }
        self.line(&json!({ "ph": "M", "name": "process_name", "pid": pid, "args": { "name": name } }))
    }

    fn track(&mut self, pid: u32, tid: u32, name: &str) -> io::Result<()> {
        if self.named.insert((pid, tid), ()).is_some() {
            return Ok(());
        }
        self.line(&json!({ "ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": { "name": name } }))
    }

    fn span(&mut self, from: u64, to: u64, pid: u32, tid: u32, name: &str, args: Value) -> io::Result<()> {
        let (ts, dur) = (micros(from), micros(to.saturating_sub(from)));
        self.line(&json!({ "ph": "X", "name": name, "pid": pid, "tid": tid, "ts": ts, "dur": dur, "args": args }))
    }

    fn mark(&mut self, at: u64, pid: u32, tid: u32, name: &str, args: Value) -> io::Result<()> {
        let ts = micros(at);
        self.line(&json!({ "ph": "i", "s": "t", "name": name, "pid": pid, "tid": tid, "ts": ts, "args": args }))
    }

    fn line(&mut self, event: &Value) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            self.to.write_all(b",\n")?;
        }
        serde_json::to_writer(&mut self.to, event)?;
        Ok(())
    }
}

/// Chrome counts in microseconds.
fn micros(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

fn reply_of(reply: &Reply) -> Value {
    serde_json::to_value(reply).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::history::synth::{Shape, Synth};
    use harness::history::{Outcome, RecordId};

    fn trace(events: &[Event]) -> Value {
        let names = ["orders-0".to_string(), "orders-1".to_string()];
        let mut chrome = Chrome::new(Vec::new(), &names).unwrap();
        events.iter().for_each(|e| chrome.see(e).unwrap());
        serde_json::from_slice(&chrome.finish(events.last().map_or(0, |e| e.at + 1)).unwrap()).unwrap()
    }

    #[test]
    fn a_whole_history_becomes_a_well_formed_trace() {
        let shape = Shape { crashes: 60, ..Shape::default() };
        let events: Vec<_> = Synth::new(shape, 4).collect();
        let trace = trace(&events);
        let all = trace["traceEvents"].as_array().unwrap();
        let count = |ph: &str| all.iter().filter(|e| e["ph"] == ph).count();
        let calls = events.iter().filter(|e| matches!(e.kind, Kind::Call { .. })).count();
        assert_eq!((count("b"), count("e")), (calls, calls), "every call is one span");
        assert!(count("C") > 0 && count("i") > 0 && count("M") > 4);
        for event in all {
            assert!(event["pid"].is_u64() && event["name"].is_string(), "{event}");
            assert!(event["ph"] == "M" || event["ts"].is_number(), "{event}");
            assert!(event["ph"] != "X" || event["dur"].as_f64() >= Some(0.0), "{event}");
        }
    }

    #[test]
    fn calls_that_overlap_are_spans_of_their_own() {
        let send = |op, at| {
            let id = RecordId { producer: 0, incarnation: 0, seq: op };
            let call = Call::Send { tp: TpId(0), id, checksum: 0, timestamp: 0, acks: -1 };
            Event { at, kind: Kind::Call { op, client: 3, incarnation: 0, call } }
        };
        let ack = |op, at| {
            let reply = Reply::Sent { offset: 0 };
            Event { at, kind: Kind::Return { op, outcome: Outcome::Ok, code: 0, reply } }
        };
        let trace = trace(&[send(0, 1000), send(1, 2000), ack(0, 3000), send(2, 4000), ack(1, 5000)]);
        let all = trace["traceEvents"].as_array().unwrap();
        let at = |ph: &str, op: u64| all.iter().find(|e| e["ph"] == ph && e["id"] == op).unwrap()["ts"].as_f64();
        assert_eq!([at("b", 0), at("e", 0)], [Some(1.0), Some(3.0)]);
        assert_eq!([at("b", 1), at("e", 1)], [Some(2.0), Some(5.0)]);
        let last = all.iter().find(|e| e["ph"] == "b" && e["id"] == 2).unwrap();
        assert_eq!(last["args"]["outcome"], "never returned");
        assert_eq!(last["pid"], CLIENTS + 3);
    }
}
