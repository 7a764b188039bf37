//! What all text reports share: colours with a meaning, tables without borders, numbers as people read them.

use std::fmt::Display;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use harness::verdict::{Severity, Verdict};

/// Styles, by what they mean.
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const WARN: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();

/// `text` in `style`.
pub(super) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// The word that an error begins with.
pub fn error_mark() -> String {
    paint(BAD, "error")
}

/// The headline of a section.
pub(super) fn heading(title: &str, note: &str) -> String {
    if note.is_empty() {
        return format!("{}\n", paint(BOLD, title));
    }
    format!("{}  {}\n", paint(BOLD, title), paint(DIM, note))
}

/// A verdict in one word.
pub(super) fn verdict(verdict: Verdict) -> String {
    let style = match verdict {
        Verdict::Pass => GOOD,
        Verdict::Vacuous => WARN,
        Verdict::Fail => BAD,
    };
    paint(style, verdict_word(verdict))
}

/// A verdict in one word.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Vacuous => "VACUOUS",
        Verdict::Fail => "FAIL",
    }
}

/// The last line of a report: a verdict and why.
pub(super) fn closing(verdict: Verdict, why: &str, width: usize) -> String {
    let word = verdict_word(verdict);
    let indent = word.len() + 2;
    let line = wrap(why.split(' ').map(String::from), &" ".repeat(indent), indent, width);
    format!("{}{}", self::verdict(verdict), &line[word.len()..])
}

/// The style of a severity.
pub(super) fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Violation => BAD,
        Severity::Vacuous => WARN,
        Severity::Suspicious | Severity::ExpectedLoss => DIM,
    }
}

/// A severity in words.
pub(crate) fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Violation => "violation",
        Severity::Vacuous => "vacuous",
        Severity::Suspicious => "suspicious",
        Severity::ExpectedLoss => "expected loss",
    }
}

/// A title at the left, a verdict at the right edge.
pub(super) fn banner(title: &str, verdict: Verdict, width: usize) -> String {
    let used = title.chars().count() + verdict_word(verdict).len();
    let gap = width.saturating_sub(used).max(2);
    format!("{}{}{}\n", paint(BOLD, title), " ".repeat(gap), self::verdict(verdict))
}

/// A borderless table with a dim header, at most `width` wide; long cells wrap.
pub(super) fn table(width: usize, header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).enforce_styling();
    table.style_text_only();
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    if !header.is_empty() {
        table.set_header(header.iter().map(|h| Cell::new(h).add_attribute(Attribute::Dim)));
    }
    table
}

/// The table as text: no blanks at line ends.
pub(super) fn finish(table: &Table) -> String {
    let mut text = String::new();
    for line in table.to_string().lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A cell for a number: at the right edge of its column.
pub(super) fn number(n: impl Display) -> Cell {
    Cell::new(n).set_alignment(CellAlignment::Right)
}

/// A cell in the colour of `style`'s meaning.
pub(super) fn coloured(text: impl Display, verdict: Verdict) -> Cell {
    let colour = match verdict {
        Verdict::Pass => Color::DarkGreen,
        Verdict::Vacuous => Color::DarkYellow,
        Verdict::Fail => Color::DarkRed,
    };
    Cell::new(text).fg(colour)
}

/// A number in the colour of a verdict.
pub(super) fn number_coloured(n: impl Display, verdict: Verdict) -> Cell {
    coloured(n, verdict).set_alignment(CellAlignment::Right)
}

/// A dim cell.
pub(super) fn dim(text: impl Display) -> Cell {
    Cell::new(text).add_attribute(Attribute::Dim)
}

/// Nanoseconds as seconds with three decimals.
pub(crate) fn seconds(ns: u64) -> String {
    let ms = ns / 1_000_000;
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// A duration as a person says it: `850 ms`, `12.3 s`, `4 min 10 s`.
pub(crate) fn span(d: Duration) -> String {
    let ms = d.as_millis();
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..120_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

/// A count with thousands set apart: `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// `3 runs`, `1 run`.
pub(crate) fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// Words wrapped at `width`, every line after the first indented by `indent`.
pub(super) fn wrap(words: impl Iterator<Item = String>, first: &str, indent: usize, width: usize) -> String {
    let mut text = String::new();
    let mut line = String::from(first);
    for word in words {
        if line.chars().count() + 1 + word.chars().count() > width && line.chars().count() > indent {
            text.push_str(line.trim_end());
            text.push('\n');
            line = " ".repeat(indent);
        }
        line.push_str(&word);
        line.push(' ');
    }
    text.push_str(line.trim_end());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(seconds(1_234_567_890), "1.234");
        assert_eq!(plural(1, "run", "runs"), "1 run");
        assert_eq!(plural(2000, "run", "runs"), "2,000 runs");
        assert_eq!(span(Duration::from_millis(850)), "850 ms");
        assert_eq!(span(Duration::from_millis(12_345)), "12.3 s");
        assert_eq!(span(Duration::from_secs(250)), "4 min 10 s");
    }

    #[test]
    fn wrapping_keeps_words_whole_and_lines_short() {
        let words = (0..40).map(|n| format!("word{n}"));
        let text = wrap(words, "Drawn  ", 7, 40);
        assert!(text.lines().all(|l| l.chars().count() <= 40), "{text}");
        assert_eq!(text.matches("word").count(), 40);
        assert!(text.lines().skip(1).all(|l| l.starts_with("       word")), "{text}");
    }
}
