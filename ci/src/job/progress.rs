//! A bar while a person waits: on the standard error, and only if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the bar moves by itself.
const TICK: Duration = Duration::from_millis(200);

/// A bar over `total` units of work; `what` says what is going on.
pub fn bar(what: &'static str, total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let style = ProgressStyle::with_template("{prefix} {wide_bar:.dim} {percent:>3}%  {msg}  {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ "));
    bar.set_prefix(what);
    bar.enable_steady_tick(TICK);
    bar
}

/// Something is going on whose end nobody knows: its name and how long it has been.
pub fn busy<T>(what: &'static str, work: impl FnOnce() -> T) -> T {
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{prefix} {spinner}  {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.set_prefix(what);
    bar.enable_steady_tick(TICK);
    let done = work();
    bar.finish_and_clear();
    done
}
