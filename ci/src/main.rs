//! The command line of Logquake: parse, call, print, exit code. What is decided is decided in the crates below.

mod ask;
mod child;
mod cmd;
mod exit;
mod interrupt;
mod job;
mod record;
mod screen;
mod wall;
mod watchdog;

use std::process::ExitCode;

use exit::Exit;

fn main() -> ExitCode {
    let matches = match cmd::command().try_get_matches() {
        Ok(matches) => matches,
        Err(e) => {
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

/// Says what went wrong and what that makes of the exit code.
fn failed(e: &anyhow::Error) -> Exit {
    let gone = e.chain().filter_map(|c| c.downcast_ref::<std::io::Error>());
    if gone.into_iter().any(|io| io.kind() == std::io::ErrorKind::BrokenPipe) {
        return Exit::Incomplete;
    }
    screen::error(&format!("{e:#}"));
    if e.is::<ask::Usage>() { Exit::Usage } else { Exit::Incomplete }
}
