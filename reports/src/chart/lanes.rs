//! Lanes along a clock: what lasted from when to when, a row for each of what it happened to.

use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{COLOURS, INLINE, LETTER, cut, names, picture, seconds, step, write};

/// Height of a lane.
const LANE: i32 = 20;
/// Height of the clock below.
const CLOCK: i32 = 24;

/// A row.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// What it is of.
    pub name: String,
    /// What lasted.
    pub spans: Vec<Span>,
}

/// From when to when.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Seconds.
    pub from: f64,
    /// Seconds.
    pub to: f64,
    /// Written into it where there is room.
    pub says: String,
    /// Those alike have one colour.
    pub kind: usize,
}

/// The lanes, until so many seconds.
pub fn lanes(lanes: &[Lane], until: f64) -> Result<String, Box<dyn Error>> {
    let longest = lanes.iter().map(|lane| lane.name.chars().count()).max().unwrap_or(0);
    let (left, right) = (names(longest, 48), INLINE.cast_signed() - 16);
    let bottom = LANE * i32::try_from(lanes.len())?;
    let x = |at: f64| left + (f64::from(right - left) * at / until.max(f64::MIN_POSITIVE)).round() as i32;
    picture((INLINE, (bottom + CLOCK).cast_unsigned()), |root| {
        for (lane, top) in lanes.iter().zip((0i32..).step_by(usize::try_from(LANE)?)) {
            write(root, cut(&lane.name, left - 8), (left - 8, top + LANE / 2), HPos::Right)?;
            let below = vec![(left, top + LANE - 1), (right, top + LANE - 1)];
            root.draw(&PathElement::new(below, COLOURS[5].mix(0.4)))?;
            for span in &lane.spans {
                let (from, to) = (x(span.from), x(span.to).max(x(span.from) + 1));
                let corners = [(from, top + 2), (to, top + LANE - 3)];
                let colour = COLOURS[span.kind % COLOURS.len()];
                // Pale, so that words in it are legible in either theme.
                root.draw(&Rectangle::new(corners, colour.mix(0.4).filled()))?;
                root.draw(&Rectangle::new(corners, colour))?;
                if to - from > i32::try_from(span.says.chars().count())? * LETTER + 2 {
                    write(root, span.says.as_str(), (i32::midpoint(from, to), top + LANE / 2), HPos::Center)?;
                }
            }
        }
        let every = step(until, 6.0);
        let mut at = 0.0;
        while at <= until {
            root.draw(&PathElement::new(vec![(x(at), bottom), (x(at), bottom + 4)], BLACK))?;
            write(root, seconds(at), (x(at), bottom + 14), HPos::Center)?;
            at += every;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasted_long_says_what_it_is() {
        let span = |from, to, says: &str| Span { from, to, says: says.into(), kind: 1 };
        let lane = Lane { name: "a-0".into(), spans: vec![span(0.0, 5.0, "c<1>"), span(5.0, 5.01, "c2")] };
        let svg = lanes(&[lane], 10.0).expect("a picture");
        assert!(svg.contains("c&lt;1&gt;") && !svg.contains("c2") && svg.contains("10 s"), "{svg}");
        assert_eq!(svg.matches("fill=\"#0072B2\"").count(), 2);
    }
}
