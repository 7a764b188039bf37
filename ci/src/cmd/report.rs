//! `report`: one page of any set of results.

use std::path::{Path, PathBuf};

use anyhow::Context;
use reports::document::Document;
use reports::page::{self, Source};

use super::Cmd;
use crate::ask;
use crate::exit::Exit;
use crate::job::files::{self, Format};
use crate::job::progress;

/// The arguments of `report`.
#[derive(clap::Args)]
pub struct Report {
    /// What our own commands have written: histories, and results as JSON. Each is recognised by its content; `-` is the
    /// standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// An earlier result, which those of its kind are compared with.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// How to show it.
    #[arg(long, value_enum, default_value = "html")]
    format: Format,
    /// Where to write it, rather than to the standard output.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Cmd for Report {
    const NAME: &'static str = "report";
    const ABOUT: &'static str = "Make one page of any set of results: verdicts, charts, comparisons";
    const EXAMPLES: &'static str = "\
logquake report sweep.json planted.json -o report.html
logquake report steady.jsonl.zst -o steady.html
logquake report now.json --baseline before.json -o report.html
logquake report gate.json --format markdown";

    fn go(self) -> anyhow::Result<Exit> {
        let document = progress::busy("report", || self.document())?;
        let text = self.format.show(|| document.clone(), || reports::json::pretty(&document))?;
        files::write(self.out.as_deref(), &text)?;
        Ok(Exit::Pass)
    }
}

impl Report {
    fn document(&self) -> anyhow::Result<Document> {
        let sources = self.files.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<_>>>()?;
        let baseline = self.baseline.as_deref().map(read).transpose()?;
        Ok(page::page(&sources, baseline.as_ref()).map_err(|refused| ask::Usage(refused.0))?)
    }
}

fn read(path: &Path) -> anyhow::Result<Source> {
    let mut bytes = Vec::new();
    files::open(path)?.read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    let name = if path == Path::new("-") { "standard input".into() } else { path.display().to_string() };
    Ok(Source { name, bytes })
}
