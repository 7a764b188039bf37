//! `completions`: what a shell needs to complete our command line, names of scenarios and defects included.

use clap_complete::Shell;

use super::Cmd;
use crate::exit::Exit;
use crate::screen;

/// The arguments of `completions`.
#[derive(clap::Args)]
pub struct Completions {
    /// Whose completions.
    shell: Shell,
}

impl Cmd for Completions {
    const NAME: &'static str = "completions";
    const ABOUT: &'static str = "Print completions for a shell";
    const EXAMPLES: &'static str = "\
logquake completions bash > ~/.local/share/bash-completion/completions/logquake
logquake completions zsh > ~/.zfunc/_logquake";

    fn go(self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "logquake", &mut script);
        screen::out(&String::from_utf8(script)?)?;
        Ok(Exit::Pass)
    }
}
