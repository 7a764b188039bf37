//! `check`: judges a recorded history, of a run or of anyone's clients against any broker.

use std::path::PathBuf;

use anyhow::Context;
use harness::judge::judge;

use super::Cmd;
use crate::exit::Exit;
use crate::job::{files, progress};
use crate::screen;

/// The arguments of `check`.
#[derive(clap::Args)]
pub struct Check {
    /// The history: a header line, then one event a line, as `run --history` writes it; compressed by zstd or not. `-` is
    /// the standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

impl Cmd for Check {
    const NAME: &'static str = "check";
    const ABOUT: &'static str = "Judge a recorded history by the contract in its header";
    const EXAMPLES: &'static str = "\
logquake check steady.jsonl.zst
logquake check recorded.jsonl --json
logquake check - < recorded.jsonl";

    fn go(self) -> anyhow::Result<Exit> {
        let again = format!("logquake check {}", self.file.display());
        let file = files::open(&self.file)?;
        let judged = progress::busy("check", || judge(file, again)).with_context(|| self.file.display().to_string())?;
        let text = match self.json {
            true => reports::json::pretty(&judged)?,
            false => reports::text::check(&judged, screen::width()),
        };
        screen::out(&text)?;
        Ok(Exit::of(&judged.report))
    }
}
