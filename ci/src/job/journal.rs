//! A journal on disk: a sweep's results, a line each, appended as runs end. Whoever is killed goes on where the file ends.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use crc_fast::{CrcAlgorithm, Digest};
use harness::report::RunReport;
use reports::journal::{Header, Line, Merged, Read, Run};
use reports::outcome::Confirmed;

use crate::ask::Usage;
use crate::screen;

/// All runs so far, and the file that has them, if there is one.
pub struct Journal {
    /// What is known.
    pub known: Merged,
    file: Option<(File, PathBuf)>,
    broken: Option<anyhow::Error>,
}

impl Journal {
    /// Of this sweep: kept in `path`, and continued if something of it is there.
    pub fn new(header: Header, path: Option<&Path>) -> anyhow::Result<Self> {
        let mut this = Self { known: Merged::new(header), file: None, broken: None };
        if let Some(path) = path {
            this.open(path)?;
        }
        Ok(this)
    }

    fn open(&mut self, path: &Path) -> anyhow::Result<()> {
        let name = path.display();
        let mut file = both(path)?;
        if let Err(e) = file.try_lock() {
            bail!("{name}: another sweep writes to it ({e})");
        }
        let ours = self.known.header().clone();
        let (known, read) = Merged::read(None, BufReader::new(&file)).map_err(|why| Usage(format!("{name}: {why}")))?;
        let bytes = match read {
            Read::Nothing if !begins(&mut file)? => {
                return Err(Usage(format!("{name}: it is no journal of a sweep, and would be lost")).into());
            }
            Read::Nothing => 0,
            Read::Whole { bytes, torn } => {
                if torn {
                    screen::remark(&format!("{name}: its last line is torn and dropped; that run is done again"));
                }
                bytes
            }
        };
        file.set_len(bytes).and_then(|()| file.seek(SeekFrom::Start(bytes))).with_context(|| format!("in {name}"))?;
        self.file = Some((file, path.into()));
        let Some(known) = known else { return self.write(&Line::Sweep(ours)) };
        let theirs = known.header();
        let other_part = (theirs.shard.0 != ours.shard.0)
            .then(|| format!("part {} of {}, not part {}", theirs.shard.0, theirs.shard.1, ours.shard.0));
        if let Some(why) = ours.differs(theirs).or(other_part) {
            return Err(Usage(format!("{name} cannot be continued: it is {why}")).into());
        }
        screen::remark(&format!("{name}: goes on after {} runs", known.len()));
        self.known = known;
        self.known.resumed(ours.shard.0);
        Ok(())
    }

    /// A run has ended. The first error is kept for [`Journal::sound`], and ends the writing.
    pub fn ended(&mut self, report: &RunReport) {
        let Some(run) = Run::of(report, self.known.header()) else { return };
        let report = self.known.has_room(report.verdict).then(|| report.clone());
        if self.file.is_some() && self.broken.is_none() {
            let line = match &report {
                None => Line::Run(run.clone()),
                Some(report) => Line::Told(run.clone(), Box::new(report.clone())),
            };
            self.broken = self.write(&line).err();
        }
        self.known.add(run, report);
    }

    /// Failed runs have been run again.
    pub fn confirmed(&mut self, again: Vec<Confirmed>) -> anyhow::Result<()> {
        for confirmed in again {
            self.write(&Line::Again(confirmed.clone()))?;
            self.known.confirmed(confirmed);
        }
        Ok(())
    }

    /// The time is up: what this part lacks was not asked for.
    pub fn spent(&mut self) -> anyhow::Result<()> {
        let part = self.known.header().shard.0;
        self.known.spent(part);
        self.write(&Line::Spent(part))
    }

    /// An error if something could not be written.
    pub fn sound(&mut self) -> anyhow::Result<()> {
        self.broken.take().map_or(Ok(()), Err)
    }

    /// Whether nothing more can be written.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// In one call: a line is there whole, or it is the last one.
    fn write(&mut self, line: &Line) -> anyhow::Result<()> {
        let Some((file, path)) = &mut self.file else { return Ok(()) };
        file.write_all(line.text()?.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Whether a file without a whole line is the beginning of a journal that was cut off.
fn begins(file: &mut File) -> anyhow::Result<bool> {
    const BEGINNING: &[u8] = b"{\"sweep\":";
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(BEGINNING.len() as u64).read_to_end(&mut bytes)?;
    Ok(BEGINNING.starts_with(&bytes))
}

/// What ran: the version, and a checksum of the executable, which no other build shares.
pub fn program() -> anyhow::Result<String> {
    // The file that runs, even if another lies in its place by now.
    let of = Path::new("/proc/self/exe");
    let mut file = super::files::open(of)?;
    let (mut sum, mut bytes) = (Digest::new(CrcAlgorithm::Crc64Nvme), vec![0; 1 << 20]);
    loop {
        match file.read(&mut bytes).context("cannot read this program")? {
            0 => return Ok(format!("{} {:016x}", env!("CARGO_PKG_VERSION"), sum.finalize())),
            n => sum.update(&bytes[..n]),
        }
    }
}

/// Opens it to be read and continued; makes it if it is not there.
#[expect(clippy::disallowed_methods, reason = "a file of the person at the command line, not of a broker")]
fn both(path: &Path) -> anyhow::Result<File> {
    let mut how = File::options();
    let opened = how.read(true).write(true).create(true).truncate(false).open(path);
    opened.with_context(|| format!("cannot write {}", path.display()))
}
