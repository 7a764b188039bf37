//! A heat map: rows and columns, and how much of something is where they meet.

use std::error::Error;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{COLOURS, INLINE, LETTER, cut, picture, write};

/// Height of a row.
const ROW: i32 = 20;
/// Room for the names of rows.
const NAMES: i32 = 186;
/// Width of a column without words in it.
const NARROW: i32 = 14;

/// A place in a heat map.
#[derive(Clone, Debug, Default)]
pub struct Heat {
    /// How full its colour is, from 0 to 1.
    pub share: f64,
    /// What is written in it; may be empty.
    pub says: String,
    /// Whether that is bad.
    pub bad: bool,
    /// Whether there is no such place: nothing is drawn.
    pub absent: bool,
}

/// A row for each name and its places, one for each column. With `words` in its places a picture is as wide as any other; without
/// them columns are narrow, a place has room for one letter, and the picture is as wide as it takes.
pub fn heat(columns: &[&str], rows: &[(&str, Vec<Heat>)], words: bool) -> Result<String, Box<dyn Error>> {
    let count = i32::try_from(columns.len().max(1))?;
    let each = if words { (INLINE.cast_signed() - NAMES) / count } else { NARROW };
    let longest = columns.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let head = if words { ROW } else { i32::try_from(longest)? * (LETTER + 1) + 4 };
    let size = (NAMES + each * count + 2, head + ROW * i32::try_from(rows.len())?);
    picture((size.0.cast_unsigned(), size.1.cast_unsigned()), |root| {
        let heads = columns.iter().zip((NAMES..).step_by(usize::try_from(each)?));
        for (name, left) in heads.filter(|(name, _)| !name.is_empty()) {
            if words {
                write(root, *name, (left + each / 2, head / 2), HPos::Center)?;
            } else {
                let style = ("sans-serif", 12).into_text_style(root).transform(FontTransform::Rotate270);
                let style = style.pos(Pos::new(HPos::Left, VPos::Center));
                root.draw(&Text::new((*name).to_string(), (left + each / 2, head - 4), style))?;
            }
        }
        for ((name, places), top) in rows.iter().zip((head..).step_by(usize::try_from(ROW)?)) {
            write(root, cut(name, NAMES - 8), (NAMES - 8, top + ROW / 2), HPos::Right)?;
            let places = places.iter().zip((NAMES..).step_by(usize::try_from(each)?));
            for (place, left) in places.filter(|(place, _)| !place.absent) {
                let colour = if place.bad { COLOURS[0] } else { COLOURS[1] };
                let corners = [(left + 1, top + 1), (left + each - 1, top + ROW - 1)];
                // Under words it stays pale, so that they are legible in either theme.
                let most = if place.says.is_empty() { 1.0 } else { 0.45 };
                if place.share > 0.0 {
                    root.draw(&Rectangle::new(corners, colour.mix(most * (0.15 + 0.85 * place.share)).filled()))?;
                }
                root.draw(&Rectangle::new(corners, COLOURS[5].mix(0.4)))?;
                write(root, place.says.as_str(), (left + each / 2, top + ROW / 2), HPos::Center)?;
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_nothing_of_is_an_empty_place() {
        let of = |share, says: &str| Heat { share, says: says.into(), bad: share > 0.5, absent: false };
        let svg = heat(&["a", "b"], &[("x", vec![of(0.0, "0"), of(1.0, "9")])], true).expect("a picture");
        assert_eq!((svg.matches("fill=\"#D55E00\"").count(), svg.matches("fill=\"#0072B2\"").count()), (1, 0), "{svg}");
        let absent = Heat { absent: true, ..of(1.0, "gone") };
        let places = vec![of(0.4, ""), of(0.2, ""), absent];
        let narrow = heat(&["<a>", "b", ""], &[("<x>", places)], false).expect("a picture");
        assert!(narrow.contains("&lt;a&gt;") && narrow.contains("&lt;x&gt;") && !narrow.contains("<x>"));
        assert_eq!((narrow.matches("fill=\"#0072B2\"").count(), narrow.contains("gone")), (2, false), "{narrow}");
    }
}
