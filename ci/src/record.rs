//! Where the events of a run go while it runs: a history file, or lines of JSON on the standard output.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use harness::history::Event;
use harness::history::file::{Header, Writer};
use harness::run::RunSpec;

/// A history being written.
pub struct Recorder {
    to: Sink,
    broken: Option<io::Error>,
}

enum Sink {
    Out(BufWriter<io::Stdout>),
    File(Writer<BufWriter<File>>),
}

impl Recorder {
    /// Writes the history of `spec` to `path`: compressed, with a header. To the standard output if it is `-`: events
    /// alone, as they are.
    pub fn create(path: &Path, spec: &RunSpec) -> anyhow::Result<Self> {
        let to = if path == Path::new("-") {
            Sink::Out(BufWriter::new(io::stdout()))
        } else {
            let header = Header::new(spec.scenario.name, spec.seed, &spec.rules(&spec.setup()));
            Sink::File(Writer::new(BufWriter::new(create(path)?), &header)?)
        };
        Ok(Self { to, broken: None })
    }

    /// Writes one event. The first error is kept for [`Recorder::finish`], and ends the writing.
    pub fn note(&mut self, event: &Event) {
        if self.broken.is_some() {
            return;
        }
        let written = match &mut self.to {
            Sink::Out(to) => line(to, event),
            Sink::File(to) => to.note(event),
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
