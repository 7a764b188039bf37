//! The command line of Logquake: parse, call, print, exit code. What is decided is decided in the crates below.

mod ask;
mod child;
mod cmd;
mod exit;
mod heap;
mod interrupt;
mod job;
mod record;
mod screen;
mod shard;
mod wall;
mod watchdog;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use exit::Exit;

/// Valid values that an error lists at most.
const MOST_LISTED: usize = 20;

fn main() -> ExitCode {
    let matches = match cmd::command().try_get_matches() {
        Ok(matches) => matches,
        Err(e) => {
            let e = shortened(e);
            let code = if e.use_stderr() { Exit::Usage } else { Exit::Pass };
            // A reader that has gone away needs no message.
            let _ = e.print();
            return code.into();
        }
    };
    match cmd::go(&matches) {
        Ok(exit) => exit.into(),
        Err(e) => failed(&e).into(),
    }
}

/// An error that lists more valid values than a person reads names the way to them instead.
fn shortened(mut e: clap::Error) -> clap::Error {
    let listed = e.get(ContextKind::ValidValue);
    if listed.is_some_and(|all| matches!(all, ContextValue::Strings(all) if all.len() > MOST_LISTED)) {
        e.remove(ContextKind::ValidValue);
        let way = "`logquake list` shows everything that has a name".into();
        e.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![way]));
    }
    e
}

/// Says what went wrong and what that makes of the exit code.
fn failed(e: &anyhow::Error) -> Exit {
    let gone = e.chain().filter_map(|c| c.downcast_ref::<std::io::Error>());
    if gone.into_iter().any(|io| io.kind() == std::io::ErrorKind::BrokenPipe) {
        return Exit::Incomplete;
    }
    screen::error(&format!("{e:#}"));
    if e.is::<ask::Usage>() { Exit::Usage } else { Exit::Incomplete }
}
