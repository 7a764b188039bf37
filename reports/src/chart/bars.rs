//! Bars, one below the other.

use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{Area, COLOURS, Drawn, INLINE, NAMES, cut, names, picture, pixels, write};
use crate::capacity::unit::Kind;

/// Height of a bar and the gap below it.
pub(super) const BAR: u32 = 26;

/// A bar of [`across`].
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it is of.
    pub name: String,
    /// How long it is.
    pub value: f64,
    /// Between what it may be.
    pub range: (f64, f64),
    /// The number at its end.
    pub says: String,
    /// Whether it is one to look at.
    pub main: bool,
}

impl Bar {
    /// A bar, and what is written at its end.
    pub fn new(name: impl Into<String>, value: f64, says: impl Into<String>) -> Self {
        Self { name: name.into(), value, range: (value, value), says: says.into(), main: false }
    }

    /// A count that may be more or less.
    pub fn between(name: impl Into<String>, value: f64, range: (f64, f64)) -> Self {
        let [number, low, high] = [value, range.0, range.1].map(|n| Kind::Count.show(n));
        let says = if low == high { number } else { format!("{number} ({low}..{high})") };
        Self { range, ..Self::new(name, value, says) }
    }

    /// The same, to be looked at if so.
    pub fn main(self, main: bool) -> Self {
        Self { main, ..self }
    }
}

/// A bar for each, one below the other, with its number at its end and a line over its range.
pub fn across(bars: &[Bar]) -> Result<String, Box<dyn Error>> {
    let height = BAR * u32::try_from(bars.len())?;
    let longest = |of: fn(&Bar) -> &str| bars.iter().map(|bar| of(bar).chars().count()).max().unwrap_or(0);
    let names = names(longest(|bar| &bar.name), NAMES.cast_signed());
    let numbers = pixels(longest(|bar| &bar.says)).saturating_add(10).clamp(60, 170);
    let width = INLINE.cast_signed() - names - numbers;
    picture((INLINE, height), |root| {
        let most = bars.iter().map(|bar| bar.range.1.max(bar.value)).fold(f64::MIN_POSITIVE, f64::max);
        let x = |value: f64| names + (f64::from(width) * value / most).round() as i32;
        for (bar, top) in bars.iter().zip((0i32..).step_by(BAR as usize)) {
            let (colour, middle) = (if bar.main { COLOURS[0] } else { COLOURS[1] }, top + 12);
            let end = x(bar.value).max(names + 1);
            write(root, cut(&bar.name, names - 8), (names - 8, middle), HPos::Right)?;
            root.draw(&Rectangle::new([(names, top + 3), (end, top + 21)], colour.filled()))?;
            range(root, (x(bar.range.0), x(bar.range.1)), middle)?;
            write(root, bar.says.as_str(), (end.max(x(bar.range.1)) + 6, middle), HPos::Left)?;
        }
        Ok(())
    })
}

/// A line over a range, if it is one.
pub(super) fn range(root: &Area<'_>, (low, high): (i32, i32), middle: i32) -> Drawn {
    if low == high {
        return Ok(());
    }
    root.draw(&PathElement::new(vec![(low, middle), (high, middle)], BLACK.stroke_width(2)))?;
    for at in [low, high] {
        root.draw(&PathElement::new(vec![(at, middle - 5), (at, middle + 5)], BLACK.stroke_width(2)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_to_look_at_is_the_only_one_in_its_colour() {
        let bar = |name, value: f64, main| Bar::between(name, value, (value, value * 2.0)).main(main);
        let svg =
            across(&[bar("storage", 15.0, true), bar("disk", 6.0, false), bar("cpu", 0.0, false)]).expect("a picture");
        let filled = |colour| svg.matches(&format!("fill=\"{colour}\"")).count();
        assert_eq!((filled("#D55E00"), filled("#0072B2")), (1, 2), "{svg}");
        assert!(svg.contains("storage") && svg.contains("15 (15..30)"));
    }

    #[test]
    fn names_are_no_markup_and_have_room() {
        let svg = across(&[Bar::new("<script>alert('a name without end')</script>", 1.0, "<b>")]).expect("a picture");
        assert!(!svg.contains("<script") && !svg.contains("<b>") && svg.contains("&lt;script&gt;"), "{svg}");
        assert!(svg.contains('…'));
    }
}
