//! `merge`: the parts of a sweep, taken together.

use std::io::BufReader;
use std::path::PathBuf;

use reports::journal::{Merged, Read};

use super::Cmd;
use crate::exit::Exit;
use crate::job::results::Results;
use crate::job::{files, progress};
use crate::{ask, screen};

/// The arguments of `merge`.
#[derive(clap::Args)]
pub struct Merge {
    /// What `sweep --resume FILE` has written. Their order does not matter, and what is in two of them counts once.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print the result as JSON, as `sweep --json` does.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    results: Results,
}

impl Cmd for Merge {
    const NAME: &'static str = "merge";
    const ABOUT: &'static str = "Take the parts of a sweep together, and name what is missing";
    const EXAMPLES: &'static str = "\
logquake merge part-*.jsonl
logquake merge part-*.jsonl --json > sweep.json
logquake merge part-*.jsonl --junit sweep.xml --markdown sweep.md";

    fn go(self) -> anyhow::Result<Exit> {
        let results = self.results.open()?;
        let (all, remarks) = progress::busy("merge", || self.all())?;
        remarks.iter().for_each(|remark| screen::remark(remark));
        let all = all.ok_or_else(|| ask::Usage("there is nothing in these files".into()))?;
        let overlap = all.overlap();
        if !overlap.is_empty() {
            screen::remark(&overlap);
        }
        super::sweep::told(&all.outcome(), self.json, results)
    }
}

impl Merge {
    /// What the files have, and what is to be said of them.
    fn all(&self) -> anyhow::Result<(Option<Merged>, Vec<String>)> {
        let (mut all, mut remarks) = (None, Vec::new());
        for path in &self.files {
            let name = path.display();
            let from = BufReader::new(files::open(path)?);
            let (merged, read) = Merged::read(all, from).map_err(|why| ask::Usage(format!("{name}: {why}")))?;
            match read {
                Read::Nothing => remarks.push(format!("{name}: nothing is in it")),
                Read::Whole { torn: true, .. } => remarks.push(format!("{name}: its last line is torn and left out")),
                Read::Whole { .. } => {}
            }
            all = merged;
        }
        Ok((all, remarks))
    }
}
