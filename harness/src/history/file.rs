//! Histories as files: `*.jsonl.zst`, a header line and then one event a line, compressed. Written and read as a stream,
//! so that memory does not grow with the history. What others write is read as well if it is not compressed.

use std::io::{BufRead, BufReader, Cursor, Read, Write};

use serde::{Deserialize, Serialize};

use super::Event;
use crate::contract::Contract;
use crate::invariant::Rules;

/// What the first line calls itself.
const FORMAT: &str = "logquake-history";

/// The version written; others are refused.
const VERSION: u32 = 1;

/// The longest line read. An audit of a long log is the longest event there is.
const LINE: u64 = 256 << 20;

/// What a compressed file begins with (RFC 8878, 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// How hard zstd tries: fast, since a run writes as it goes.
const LEVEL: i32 = 3;

/// The first line: what run this is, and what it is to be judged by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Always `logquake-history`.
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The partitions' names, by their number in the events.
    pub partitions: Vec<String>,
    /// What was promised.
    pub contract: Contract,
    /// Whether nodes stated facts.
    pub white_box: bool,
    /// With fewer strikes the run is vacuous.
    pub least_strikes: usize,
    /// Whether clients look up offsets by time; see [`Rules::by_time`].
    #[serde(default)]
    pub by_time: bool,
    /// With fewer snapshots of the metadata fetched the run is vacuous.
    #[serde(default, skip_serializing_if = "is_none")]
    pub least_snapshots: u64,
    /// The producers' names, by their number in the events, if they have any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub producers: Vec<String>,
}

impl Header {
    /// The header of a run.
    pub fn new(scenario: &str, seed: u64, rules: &Rules) -> Self {
        Self {
            format: FORMAT.into(),
            version: VERSION,
            scenario: scenario.into(),
            seed,
            partitions: rules.partitions.clone(),
            contract: rules.contract.clone(),
            white_box: rules.white_box,
            least_strikes: rules.least_strikes,
            by_time: rules.by_time,
            least_snapshots: rules.least_snapshots,
            producers: Vec::new(),
        }
    }

    /// What the history is to be judged by.
    pub fn rules(&self) -> Rules {
        Rules {
            contract: self.contract.clone(),
            partitions: self.partitions.clone(),
            white_box: self.white_box,
            least_strikes: self.least_strikes,
            by_time: self.by_time,
            least_snapshots: self.least_snapshots,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Why a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// It is something else.
    #[error("this is no Logquake history: {0}")]
    Foreign(String),
    /// It was written by another version.
    #[error("this history has format version {0}; this build reads version {VERSION}")]
    Version(u32),
    /// It was not written to its end, or was cut.
    #[error("the history breaks off after line {0}: it was not written to its end, or was cut")]
    Torn(u64),
    /// A line is no event.
    #[error("line {line} is no event: {why}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// What the parser says.
        why: String,
    },
    /// The file cannot be read.
    #[error("reading the history after line {line}: {why}")]
    Io {
        /// Lines read before.
        line: u64,
        /// What the system says.
        why: std::io::Error,
    },
}

/// Writes a history.
pub struct Writer<W: Write> {
    zstd: zstd::Encoder<'static, W>,
}

impl<W: Write> Writer<W> {
    /// Begins a history; `to` is written in large pieces.
    pub fn new(to: W, header: &Header) -> std::io::Result<Self> {
        let mut writer = Self { zstd: zstd::Encoder::new(to, LEVEL)? };
        writer.line(header)?;
        Ok(writer)
    }

    /// Writes one event.
    pub fn note(&mut self, event: &Event) -> std::io::Result<()> {
        self.line(event)
    }

    /// Ends the history. Without this it reads as torn.
    pub fn finish(self) -> std::io::Result<W> {
        self.zstd.finish()
    }

    fn line(&mut self, what: &impl Serialize) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.zstd, what)?;
        self.zstd.write_all(b"\n")
    }
}

/// Where the lines come from: the bytes looked at to tell compressed files from plain ones, then the rest.
type Source<R> = std::io::Chain<Cursor<Vec<u8>>, R>;

enum Lines<R: Read> {
    Compressed(BufReader<zstd::Decoder<'static, BufReader<Source<R>>>>),
    Plain(BufReader<Source<R>>),
}

impl<R: Read> Lines<R> {
    fn new(mut from: R) -> std::io::Result<Self> {
        let mut start = Vec::new();
        from.by_ref().take(ZSTD.len() as u64).read_to_end(&mut start)?;
        let compressed = start == ZSTD;
        let source = Cursor::new(start).chain(from);
        Ok(match compressed {
            true => Self::Compressed(BufReader::new(zstd::Decoder::new(source)?)),
            false => Self::Plain(BufReader::new(source)),
        })
    }

    /// Reads up to and with the next end of a line.
    fn read_line(&mut self, into: &mut Vec<u8>) -> std::io::Result<usize> {
        match self {
            Self::Compressed(lines) => lines.take(LINE).read_until(b'\n', into),
            Self::Plain(lines) => lines.take(LINE).read_until(b'\n', into),
        }
    }
}

/// Reads a history: an iterator over its events.
pub struct Reader<R: Read> {
    lines: Lines<R>,
    line: Vec<u8>,
    count: u64,
    over: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    pub fn new(from: R) -> Result<(Header, Self), HistoryError> {
        let foreign = |why: std::io::Error| HistoryError::Foreign(why.to_string());
        let mut reader = Self { lines: Lines::new(from).map_err(foreign)?, line: Vec::new(), count: 0, over: false };
        let header = match reader.next_line() {
            Ok(true) => serde_json::from_slice::<serde_json::Value>(&reader.line),
            Ok(false) => return Err(HistoryError::Torn(0)),
            Err(HistoryError::Io { why, .. }) => return Err(foreign(why)),
            Err(other) => return Err(other),
        };
        let header = header.map_err(|why| HistoryError::Foreign(format!("its first line is no JSON: {why}")))?;
        if header.get("format").and_then(|f| f.as_str()) != Some(FORMAT) {
            return Err(HistoryError::Foreign(format!("its first line does not say \"format\": \"{FORMAT}\"")));
        }
        let version = header.get("version").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if version != u64::from(VERSION) {
            return Err(HistoryError::Version(u32::try_from(version).unwrap_or(u32::MAX)));
        }
        let header = serde_json::from_value(header);
        Ok((header.map_err(|why| HistoryError::Line { line: 1, why: why.to_string() })?, reader))
    }

    /// Reads a line into `self.line`; false at the end.
    fn next_line(&mut self) -> Result<bool, HistoryError> {
        self.line.clear();
        match self.lines.read_line(&mut self.line) {
            Ok(0) => Ok(false),
            Ok(_) if self.line.last() == Some(&b'\n') => {
                self.count += 1;
                Ok(true)
            }
            Ok(_) => Err(HistoryError::Torn(self.count)),
            Err(why) if why.kind() == std::io::ErrorKind::UnexpectedEof => Err(HistoryError::Torn(self.count)),
            Err(why) => Err(HistoryError::Io { line: self.count, why }),
        }
    }

    fn event(&mut self) -> Result<Option<Event>, HistoryError> {
        if !self.next_line()? {
            return Ok(None);
        }
        let event = serde_json::from_slice(&self.line);
        event.map(Some).map_err(|why| HistoryError::Line { line: self.count, why: why.to_string() })
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Event, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.event().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use broker::fact::{BatchMark, Fact};
    use broker::ids::{NodeId, TopicPartition};

    use super::*;
    use crate::history::{
        AppStep, Call, Delivery, GroupEvent, GroupStep, Kind, Origin, Outcome, Phase, RecordId, Reply, TpId,
    };

    fn header() -> Header {
        Header::new("steady", 7, &Rules::new(Contract::default(), 2))
    }

    /// One event of each kind.
    fn events() -> Vec<Event> {
        let (tp, id) = (TpId(1), RecordId { producer: 3, incarnation: 1, seq: u64::MAX });
        let part = TopicPartition::new("orders", 1);
        let batches = vec![BatchMark { base: 0, last: 4, crc: u32::MAX }];
        let (bad_crc, bad_lookups) = (vec![0], vec!["\"quoted\"\n".to_string()]);
        let audit = Fact::Audited { tp: part, log_start: 0, log_end: 5, batches, bad_crc, torn_bytes: 9, bad_lookups };
        let send = Call::Send { tp, id, checksum: 9, timestamp: -1, acks: -1 };
        let (client, host, node) = (4, "b0".to_string(), Some(NodeId(0)));
        let member = |what| Kind::Group(GroupEvent { client, incarnation: 2, group: 1, generation: 4, what });
        let kinds = vec![
            Kind::Call { op: 0, client, incarnation: 2, call: send },
            Kind::Return { op: 0, outcome: Outcome::Info, code: -7, reply: Reply::None },
            Kind::Call { op: 1, client, incarnation: 2, call: Call::ListOffsets { tp, query: -3 } },
            Kind::Return { op: 1, outcome: Outcome::Ok, code: 0, reply: Reply::Listed { offset: 1, timestamp: 2 } },
            Kind::Deliver(Delivery {
                op: 2,
                client,
                tp,
                offset: 5,
                id: None,
                checksum: 1,
                timestamp: 2,
                epoch: 0,
                last: true,
            }),
            Kind::Call { op: 3, client, incarnation: 2, call: Call::Commit { group: 1, tp, offset: 9, generation: 4 } },
            Kind::Call { op: 4, client, incarnation: 2, call: Call::FetchOffset { group: 1, tp } },
            Kind::Return { op: 4, outcome: Outcome::Ok, code: 0, reply: Reply::Offset { offset: -1 } },
            member(GroupStep::Entered { leads: true, instance: None }),
            member(GroupStep::Entered { leads: false, instance: Some(7) }),
            member(GroupStep::Synced),
            member(GroupStep::Told),
            member(GroupStep::Assigned { tp, position: 7 }),
            member(GroupStep::Out),
            member(GroupStep::Left),
            Kind::Fact { node: NodeId(0), incarnation: 1, tp: Some(tp), fact: audit },
            Kind::Fact { node: NodeId(0), incarnation: 1, tp: None, fact: Fact::Started { clean: true } },
            Kind::App { app: 1, what: AppStep::Opened { rows: 3 } },
            Kind::App { app: 1, what: AppStep::Effect { row: 3, of: Origin { tp, offset: 4, id, key: Some(5) } } },
            Kind::App { app: 1, what: AppStep::Letter { of: Origin { tp, offset: 4, id, key: None } } },
            Kind::Down { host: host.clone(), node, power: true, why: "strike 1".into() },
            Kind::Up { host, node: None, incarnation: 1 },
            Kind::Quit { client, incarnation: 0 },
            Kind::Strike { strike: 1, fault: "cut".into(), on: "c0 to b0".into(), minority: false },
            Kind::Heal { strike: 1 },
            Kind::Phase { phase: Phase::FinalRead },
        ];
        (0..).zip(kinds).map(|(at, kind)| Event { at: u64::MAX - at, kind }).collect()
    }

    fn written(events: &[Event]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &header()).unwrap();
        events.iter().for_each(|e| writer.note(e).unwrap());
        writer.finish().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let file = written(&events());
        let (read, reader) = Reader::new(&file[..]).unwrap();
        assert_eq!(read, header());
        assert_eq!(read.rules(), Rules::new(Contract::default(), 2));
        assert_eq!(reader.collect::<Result<Vec<_>, _>>().unwrap(), events());
    }

    #[test]
    fn what_is_not_compressed_is_read_as_well() {
        let plain = zstd::decode_all(&written(&events())[..]).unwrap();
        let (read, reader) = Reader::new(&plain[..]).unwrap();
        assert_eq!(read, header());
        assert_eq!(reader.collect::<Result<Vec<_>, _>>().unwrap(), events());
        let (_, mut torn) = Reader::new(&plain[..plain.len() - 3]).unwrap();
        assert!(matches!(torn.find_map(Result::err), Some(HistoryError::Torn(_))));
    }

    #[test]
    fn a_history_that_was_cut_says_so_wherever_it_was_cut() {
        let many: Vec<_> = (0..2000).flat_map(|_| events()).collect();
        let file = written(&many);
        for cut in [file.len() - 1, file.len() - 5, file.len() / 2, file.len() / 3, 40] {
            let torn = match Reader::new(&file[..cut]) {
                Ok((_, mut reader)) => reader.find_map(Result::err),
                Err(error) => Some(error),
            };
            assert!(matches!(torn, Some(HistoryError::Torn(_))), "cut at {cut}: {torn:?}");
        }
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
        let error = |file: &[u8]| Reader::new(file).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error(b"PK\x03\x04\n").starts_with("this is no Logquake history"));
        assert!(error(b"{\"format\":\"logquake-history\",\"version\":1}\n").contains("missing field"));
        assert!(error(&zstd("hello\n")).contains("no JSON"));
        assert!(error(&zstd("{\"a\":1}\n")).contains("does not say"));
        assert!(error(&zstd("{\"format\":\"logquake-history\",\"version\":9}\n")).contains("version 9"));
        assert!(error(&zstd("{\"format\":\"logquake-history\",\"version\":1}\n")).contains("missing field"));
    }

    #[test]
    fn a_line_that_is_no_event_is_named() {
        let mut text = serde_json::to_string(&header()).unwrap();
        text += "\n{\"at\":1,\"kind\":\"heal\",\"strike\":0}\n{\"at\":2,\"kind\":\"earthquake\"}\n";
        let file = zstd::encode_all(text.as_bytes(), 1).unwrap();
        let (_, mut reader) = Reader::new(&file[..]).unwrap();
        assert!(reader.next().unwrap().is_ok());
        assert!(matches!(reader.next().unwrap(), Err(HistoryError::Line { line: 3, .. })));
        assert!(reader.next().is_none());
    }
}
