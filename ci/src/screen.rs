//! The terminal: its width, its two streams. Colours stay only where a person sees them (`anstream` and `NO_COLOR`).

use std::io::{self, Write};

/// Narrower than this, a table is no longer one.
const NARROWEST: usize = 60;
/// Wider than this, the eye loses the line.
const WIDEST: usize = 160;
/// Where the output is no terminal.
const USUAL: usize = 100;

/// Columns to fill.
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(USUAL, |(w, _)| usize::from(w.0).clamp(NARROWEST, WIDEST))
}

/// Prints a report.
pub fn out(text: &str) -> io::Result<()> {
    let mut stream = anstream::stdout().lock();
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// Prints a remark that is no part of the result. One that cannot be printed is nobody's loss.
pub fn remark(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Prints an error as clap does.
pub fn error(text: &str) {
    remark(&format!("{}: {text}", reports::text::error_mark()));
}
