//! Where the events of a run go while it runs: a history file, a trace for a viewer, or lines of JSON on the standard output.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use harness::history::Event;
use harness::history::file::{Header, Writer};
use harness::run::RunSpec;
use reports::chrome::Chrome;

/// Events being written.
pub struct Recorder {
    to: Sink,
    last: u64,
    broken: Option<io::Error>,
}

enum Sink {
    Out(BufWriter<io::Stdout>),
    File(Writer<BufWriter<File>>),
    Trace(Chrome<BufWriter<File>>),
}

impl Recorder {
    /// Writes the history of `spec` to `path`: compressed, with a header. To the standard output if it is `-`: events
    /// alone, as they are.
    pub fn history(path: &Path, spec: &RunSpec) -> anyhow::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::new(Sink::Out(BufWriter::new(io::stdout()))));
        }
        let header = Header::new(spec.scenario.name, spec.seed, &spec.rules(&spec.setup()));
        Ok(Self::new(Sink::File(Writer::new(BufWriter::new(create(path)?), &header)?)))
    }

    /// Writes the events of `spec` to `path` as a Chrome trace.
    pub fn trace(path: &Path, spec: &RunSpec) -> anyhow::Result<Self> {
        let partitions = spec.rules(&spec.setup()).partitions;
        Ok(Self::new(Sink::Trace(Chrome::new(BufWriter::new(create(path)?), &partitions)?)))
    }

    fn new(to: Sink) -> Self {
        Self { to, last: 0, broken: None }
    }

    /// Writes one event. The first error is kept for [`Recorder::finish`], and ends the writing.
    pub fn note(&mut self, event: &Event) {
        if self.broken.is_some() {
            return;
        }
        self.last = event.at;
        let written = match &mut self.to {
            Sink::Out(to) => line(to, event),
            Sink::File(to) => to.note(event),
            Sink::Trace(to) => to.see(event),
        };
        self.broken = written.err();
    }

    /// Writes out what is buffered.
    pub fn finish(self) -> io::Result<()> {
        if let Some(e) = self.broken {
            return Err(e);
        }
        match self.to {
            Sink::Out(mut to) => to.flush(),
            Sink::File(to) => to.finish()?.flush(),
            Sink::Trace(to) => to.finish(self.last)?.flush(),
        }
    }
}

fn line(mut to: impl Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut to, event)?;
    to.write_all(b"\n")
}

/// A new file at `path`, which names itself in the error.
#[expect(clippy::disallowed_methods, reason = "a file of the person at the command line, not of a broker")]
pub fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", path.display()))
}
