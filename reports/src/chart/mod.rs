//! Pictures, as SVG. The only place that knows the plotting library.
//!
//! Those that go into a page have no background: the page has its own, light or dark, and colours by its style sheet whatever is
//! drawn in the colours here. Nothing is told by colour alone: there are words, numbers or dashes beside it.

mod bars;
mod heat;
mod lag;
mod lanes;
mod panels;
mod ratios;
mod rebalance;

use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub use bars::{Bar, across};
pub use heat::{Heat, heat};
pub use lag::lag;
pub use lanes::{Lane, Span, lanes};
pub use panels::{Band, Line, Panel, panels};
pub use ratios::ratios;
pub use rebalance::rebalance;

/// Colours that people who tell no colours apart tell apart, too.
const COLOURS: [RGBColor; 6] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(112, 128, 144),
];

/// Width of a picture within a page, which scales it, so that letters stay legible where there is little room.
const INLINE: u32 = 480;
/// Where bars begin: names are left of that.
const NAMES: u32 = 112;
/// About so wide is a letter.
const LETTER: i32 = 7;

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn Error>>;

/// A picture of this size.
fn picture(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&root)?;
        root.present()?;
    }
    Ok(svg)
}

/// Words at a place, which is at their left, their middle or their right.
fn write(area: &Area<'_>, text: impl Into<String>, at: (i32, i32), pos: HPos) -> Drawn {
    let style = ("sans-serif", 13).into_text_style(area).pos(Pos::new(pos, VPos::Center));
    Ok(area.draw(&Text::new(text.into(), at, style))?)
}

/// About how wide so many letters are.
fn pixels(letters: usize) -> i32 {
    i32::try_from(letters).unwrap_or(i32::MAX).saturating_mul(LETTER + 1)
}

/// Room for names of at most so many letters, at least so much, and not so much that none is left for what they name.
fn names(longest: usize, least: i32) -> i32 {
    pixels(longest).saturating_add(8).clamp(least, 200)
}

/// As much of a text as has room in so many pixels.
fn cut(text: &str, room: i32) -> String {
    let letters = usize::try_from(room / LETTER).unwrap_or(0);
    if text.chars().count() <= letters {
        return text.into();
    }
    text.chars().take(letters.saturating_sub(1)).chain(['…']).collect()
}

/// Every so many: about `most` steps of 1, 2 or 5 times a power of ten reach `until`.
fn step(until: f64, most: f64) -> f64 {
    let rough = (until / most).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|by| by * power).find(|step| *step >= rough).unwrap_or(rough)
}

/// Seconds as an axis shows them.
pub fn seconds(s: f64) -> String {
    if s.fract() == 0.0 { format!("{s} s") } else { format!("{s:.1} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_numbers_and_few_of_them() {
        for until in [0.3, 1.0, 7.0, 63.0, 99.9, 1234.0] {
            let count = until / step(until, 6.0);
            assert!((2.0..=6.0).contains(&count), "{count} steps to {until}");
        }
        assert_eq!((step(63.0, 6.0), step(0.3, 6.0)), (20.0, 0.05));
    }

    #[test]
    fn what_has_no_room_is_cut() {
        assert_eq!((cut("power_loss", 70), cut("power_loss", 63)), ("power_loss".into(), "power_lo…".into()));
    }
}
