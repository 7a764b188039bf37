//! Where results go beside the screen: files for CI systems, and GitHub's own places if this runs there.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use harness::verdict::Verdict;
use reports::suite::Suite;
use reports::{github, junit, summary};

use crate::wall::Wall;
use crate::{record, screen};

/// The arguments.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Results {
    /// Write the results as JUnit XML, too: a scenario is a suite, an invariant a case.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write them as Markdown, too.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Whether this is a job of GitHub: then what is no pass is annotated.
    #[arg(long, env = "GITHUB_ACTIONS", hide = true, value_parser = |text: &str| Ok::<_, String>(text == "true"))]
    github: Option<bool>,
    /// The page of the step, which GitHub names.
    #[arg(long, env = "GITHUB_STEP_SUMMARY", hide = true, value_parser = |text: &str| Ok::<_, String>(PathBuf::from(text)))]
    summary: Option<PathBuf>,
}

/// Files that can be written.
pub struct Open {
    junit: Option<(File, PathBuf)>,
    markdown: Vec<(File, PathBuf)>,
    github: bool,
    wall: Wall,
}

impl Results {
    /// Opens what is asked for: better an error now than after an hour's work.
    pub fn open(&self) -> anyhow::Result<Open> {
        let new = |path: &PathBuf| Ok::<_, anyhow::Error>((record::create(path)?, path.clone()));
        let junit = self.junit.as_ref().map(new).transpose()?;
        let mut markdown: Vec<_> = self.markdown.as_ref().map(new).transpose()?.into_iter().collect();
        // A variable may be set to nothing.
        if let Some(path) = self.summary.as_ref().filter(|path| !path.as_os_str().is_empty()) {
            markdown.push((append(path)?, path.clone()));
        }
        Ok(Open { junit, markdown, github: self.github == Some(true), wall: Wall::start() })
    }
}

impl Open {
    /// Writes what came of it: the verdict, and why in one line.
    pub fn write(self, verdict: Verdict, line: &str, suites: &[Suite]) -> anyhow::Result<()> {
        if let Some((file, path)) = self.junit {
            put(file, &path, &junit::junit(suites, self.wall.elapsed())?)?;
        }
        if !self.markdown.is_empty() {
            let page = summary::page(verdict, line, suites);
            self.markdown.into_iter().try_for_each(|(file, path)| put(file, &path, &page))?;
        }
        // GitHub reads commands from either stream, and the standard output may be a document.
        if self.github {
            github::annotations(suites).lines().for_each(screen::remark);
        }
        Ok(())
    }
}

fn put(mut file: File, path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

/// Other steps have written to it.
#[expect(clippy::disallowed_methods, reason = "a file of the person at the command line, not of a broker")]
fn append(path: &std::path::Path) -> anyhow::Result<File> {
    let mut how = File::options();
    how.append(true).create(true).open(path).with_context(|| format!("cannot write {}", path.display()))
}
