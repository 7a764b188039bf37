//! Where the events of a run go while it runs: JSON Lines, compressed by zstd if the file's name says so.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use harness::history::Event;

/// Fast, and already a tenth of the text.
const ZSTD_LEVEL: i32 = 3;

/// A history being written.
pub struct Recorder {
    to: Sink,
    broken: Option<io::Error>,
}

enum Sink {
    Plain(BufWriter<Box<dyn Write>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

impl Recorder {
    /// Writes to `path`; to the standard output if it is `-`.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let to = if path == Path::new("-") {
            Sink::Plain(BufWriter::new(Box::new(io::stdout())))
        } else {
            let file = create(path)?;
            match path.extension().is_some_and(|e| e == "zst") {
                true => Sink::Zstd(zstd::Encoder::new(BufWriter::new(file), ZSTD_LEVEL)?),
                false => Sink::Plain(BufWriter::new(Box::new(file))),
            }
        };
        Ok(Self { to, broken: None })
    }

    /// Writes one event. The first error is kept for [`Recorder::finish`], and ends the writing.
    pub fn note(&mut self, event: &Event) {
        if self.broken.is_some() {
            return;
        }
        let written = match &mut self.to {
            Sink::Plain(to) => line(to, event),
            Sink::Zstd(to) => line(to, event),
        };
        self.broken = written.err();
    }

    /// Writes out what is buffered.
    pub fn finish(self) -> io::Result<()> {
        if let Some(e) = self.broken {
            return Err(e);
        }
        match self.to {
            Sink::Plain(mut to) => to.flush(),
            Sink::Zstd(to) => to.finish()?.flush(),
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
