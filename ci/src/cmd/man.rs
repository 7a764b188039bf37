//! `man`: pages of the manual, made from the same table as the help.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Command;

use super::Cmd;
use crate::exit::Exit;
use crate::{record, screen};

/// The arguments of `man`.
#[derive(clap::Args)]
pub struct Man {
    /// Where they go: a directory, made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Cmd for Man {
    const NAME: &'static str = "man";
    const ABOUT: &'static str = "Write pages of the manual: one for the program, one for each subcommand";
    const EXAMPLES: &'static str = "\
logquake man --out ~/.local/share/man/man1
logquake man --out man";

    fn go(self) -> anyhow::Result<Exit> {
        let out = self.out.display();
        std::fs::create_dir_all(&self.out).with_context(|| format!("cannot make {out}"))?;
        let mut command = super::command().disable_help_subcommand(true);
        command.build();
        pages(&command, &self.out)?;
        screen::out(&format!("{out}: man -l {out}/logquake.1 shows the first of them\n"))?;
        Ok(Exit::Pass)
    }
}

/// The page of a command, and those of its subcommands.
fn pages(command: &Command, out: &Path) -> anyhow::Result<()> {
    command.get_subcommands().try_for_each(|below| pages(below, out))?;
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    page.extend(command.get_after_help().map(|help| after(&help.to_string())).unwrap_or_default().into_bytes());
    let path = out.join(man.get_filename());
    record::create(&path)?.write_all(&page).with_context(|| format!("cannot write {}", path.display()))
}

/// What a help says in the end: examples stay lines.
fn after(help: &str) -> String {
    let mut roff = String::new();
    for line in help.lines() {
        // What begins with a dot or an apostrophe would be a command of roff's.
        let text = line.replace('\\', "\\e").replace('-', "\\-");
        roff += &match line {
            "Examples:" => ".SH EXAMPLES\n".to_owned(),
            "" => ".PP\n".to_owned(),
            _ if line.starts_with(' ') => format!(".nf\n{text}\n.fi\n"),
            _ => format!("\\&{text}\n"),
        };
    }
    roff
}
