//! Files of the person at the command line: those that are read, and the one that a document is written to.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::Context;
use clap::ValueEnum;
use reports::document::{self, Document};

use crate::{record, screen};

/// How a document is shown.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// For a terminal.
    Text,
    /// Tables with pipes.
    #[value(alias = "md")]
    Markdown,
    /// For machines.
    Json,
    /// One file that needs nothing else.
    Html,
}

impl Format {
    /// The document in this format; for machines it is `json`.
    pub fn show(
        self,
        document: impl FnOnce() -> Document,
        json: impl FnOnce() -> serde_json::Result<String>,
    ) -> anyhow::Result<String> {
        Ok(match self {
            Format::Text => reports::text::document(&document(), screen::width()),
            Format::Markdown => document::markdown(&document()),
            Format::Json => json()?,
            Format::Html => document::html(&document())?,
        })
    }
}

/// Writes it there, or to the standard output.
pub fn write(out: Option<&Path>, text: &str) -> anyhow::Result<()> {
    let Some(path) = out else { return Ok(screen::out(text)?) };
    // A file is no terminal: no colours.
    let mut file = anstream::StripStream::new(record::create(path)?);
    file.write_all(text.as_bytes()).with_context(|| format!("in {}", path.display()))
}

/// Opens a file; `-` is the standard input.
#[expect(clippy::disallowed_methods, reason = "a file of the person at the command line, not of a broker")]
pub fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?))
}
