//! Pictures, as SVG. The only place that knows the plotting library.

use std::error::Error;

use harness::bench::rebalance::Costs;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::capacity::Burst;
use crate::capacity::unit::{Amount, Kind};

/// Width and height of a picture, in pixels.
const SIZE: (u32, u32) = (960, 400);
/// One colour for each protocol, told apart by people who tell no colours apart, too.
const COLOURS: [RGBColor; 3] = [RGBColor(213, 94, 0), RGBColor(0, 114, 178), RGBColor(0, 158, 115)];

/// What a rebalance costs: for each size of group and each protocol the share of time in which partitions are nobody's, and
/// the share of records that are delivered again.
pub fn rebalance(costs: &Costs) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let root = root.titled("What a rebalance costs a group: storms on virtual time", ("sans-serif", 22))?;
        let (left, right) = root.split_horizontally(SIZE.0 / 2);
        bars(&left, costs, "time in which partitions are nobody's, %", |row| row.idle_per_mille / 10.0)?;
        bars(&right, costs, "records delivered again, %", |row| {
            100.0 * row.again as f64 / row.delivered.max(1) as f64
        })?;
        root.present()?;
    }
    Ok(svg)
}

type Row = harness::bench::rebalance::Row;
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// A bar for each row, those of one size beside each other.
fn bars(area: &Area<'_>, costs: &Costs, title: &str, of: impl Fn(&Row) -> f64) -> Result<(), Box<dyn Error>> {
    let mut sizes: Vec<u32> = costs.0.iter().map(|row| row.members).collect();
    sizes.dedup();
    let mut protocols: Vec<&str> = costs.0.iter().map(|row| row.protocol).collect();
    protocols.sort_unstable_by_key(|protocol| costs.0.iter().position(|row| row.protocol == *protocol));
    protocols.dedup();
    // Above the highest bar there is room for the legend.
    let most = costs.0.iter().map(&of).fold(0.01, f64::max) * 1.4;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(34)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..sizes.len() as f64, 0.0..most)?;
    let size_at = |x: &f64| if x.fract() == 0.5 { sizes.get(*x as usize).map(u32::to_string) } else { None };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(2 * sizes.len() + 1)
        .x_label_formatter(&|x| size_at(x).unwrap_or_default())
        .x_desc("members")
        .draw()?;
    let width = 0.8 / protocols.len().max(1) as f64;
    for (n, protocol) in protocols.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        let rows = costs.0.iter().filter(|row| row.protocol == *protocol);
        let bar = |row: &Row| {
            let size = sizes.iter().position(|size| *size == row.members).unwrap_or(0) as f64;
            let from = size + 0.1 + n as f64 * width;
            Rectangle::new([(from, 0.0), (from + width * 0.9, of(row))], colour.filled())
        };
        let legend = move |(x, y): (i32, i32)| Rectangle::new([(x, y - 5), (x + 10, y + 5)], colour.filled());
        chart.draw_series(rows.map(bar))?.label(*protocol).legend(legend);
    }
    let corner = SeriesLabelPosition::UpperRight;
    chart
        .configure_series_labels()
        .position(corner)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .draw()?;
    Ok(())
}

/// A bar of [`across`].
pub struct Bar {
    /// What it is of.
    pub name: &'static str,
    /// How long it is.
    pub value: f64,
    /// Between what it may be.
    pub range: (f64, f64),
    /// Whether it is the one to look at.
    pub main: bool,
}

/// Width of a picture within a page, which scales it, so that letters stay legible where there is little room.
const INLINE: u32 = 480;
/// Height of a bar and the gap below it.
const BAR: u32 = 26;
/// Where bars begin: names are left of that.
const NAMES: u32 = 112;
/// Room for the numbers at their right.
const NUMBERS: u32 = 92;

/// A bar for each, one below the other, with its number at its end and a line over its range. Without a background: a page
/// has its own, and colours the rest by the colours here.
pub fn across(bars: &[Bar]) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    let height = BAR * u32::try_from(bars.len())?;
    {
        let root = SVGBackend::with_string(&mut svg, (INLINE, height)).into_drawing_area();
        let most = bars.iter().map(|bar| bar.range.1.max(bar.value)).fold(f64::MIN_POSITIVE, f64::max);
        let x = |value: f64| (f64::from(NAMES) + f64::from(INLINE - NAMES - NUMBERS) * value / most).round() as i32;
        let words = |at: HPos| ("sans-serif", 14).into_text_style(&root).pos(Pos::new(at, VPos::Center));
        let left = NAMES.cast_signed() - 8;
        for (bar, top) in bars.iter().zip((0i32..).step_by(BAR as usize)) {
            let (colour, middle) = (if bar.main { COLOURS[0] } else { COLOURS[1] }, top + 12);
            let end = x(bar.value).max(NAMES.cast_signed() + 1);
            root.draw(&Text::new(bar.name, (left, middle), words(HPos::Right)))?;
            root.draw(&Rectangle::new([(NAMES.cast_signed(), top + 3), (end, top + 21)], colour.filled()))?;
            if bar.range.0 != bar.range.1 {
                let (low, high) = (x(bar.range.0), x(bar.range.1));
                root.draw(&PathElement::new(vec![(low, middle), (high, middle)], BLACK.stroke_width(2)))?;
                for at in [low, high] {
                    root.draw(&PathElement::new(vec![(at, middle - 5), (at, middle + 5)], BLACK.stroke_width(2)))?;
                }
            }
            let at = end.max(x(bar.range.1)) + 6;
            let [number, low, high] = [bar.value, bar.range.0, bar.range.1].map(|n| Kind::Count.show(n));
            let number = if low == high { number } else { format!("{number} ({low}..{high})") };
            root.draw(&Text::new(number, (at, middle), words(HPos::Left)))?;
        }
        root.present()?;
    }
    Ok(svg)
}

/// How far a group is behind from the beginning of a burst until it has caught up; if it never does, for as long again.
pub fn lag(burst: &Burst) -> Result<String, Box<dyn Error>> {
    let (lasts, drain) = (burst.lasts.get(), burst.drain().get());
    let over = lasts + if drain.is_finite() { drain } else { lasts };
    let until = over * 1.05;
    let (unit, of) = *TIMES.iter().find(|(_, of)| until >= 2.0 * of).unwrap_or(&("s", 1.0));
    // Between these it is a straight line.
    let corners = [0.0, lasts, over, until].map(|t| (t / of, burst.lag_at(Amount::new(t)).get()));
    let most = corners.iter().map(|(_, lag)| *lag).fold(1.0, f64::max);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (INLINE, 180)).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(8)
            .margin_right(28)
            .x_label_area_size(24)
            .y_label_area_size(NAMES - 8)
            .build_cartesian_2d(0.0..until / of, 0.0..most * 1.1)?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_labels(5)
            .y_labels(4)
            .label_style(("sans-serif", 14))
            .x_label_formatter(&|t| format!("{} {unit}", Kind::Count.show(*t)))
            .y_label_formatter(&|lag| Kind::Records.show(*lag))
            .draw()?;
        chart.draw_series([PathElement::new(corners.to_vec(), COLOURS[1].stroke_width(2))])?;
        root.present()?;
    }
    Ok(svg)
}

/// Units of time on an axis, and how many seconds each has.
const TIMES: &[(&str, f64)] = &[("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_to_look_at_is_the_only_one_in_its_colour() {
        let bar = |name, value, main| Bar { name, value, range: (value, value * 2.0), main };
        let svg =
            across(&[bar("storage", 15.0, true), bar("disk", 6.0, false), bar("cpu", 0.0, false)]).expect("a picture");
        let filled = |colour| svg.matches(&format!("fill=\"{colour}\"")).count();
        assert_eq!((filled("#D55E00"), filled("#0072B2")), (1, 2), "{svg}");
        assert!(svg.contains("storage") && svg.contains("15"));
    }

    #[test]
    fn a_lag_that_is_never_worked_off_is_drawn_all_the_same() {
        let [base, rate, pace] = [10.0, 100.0, 5.0].map(Amount::new);
        let never = Burst { base, rate, lasts: Amount::new(60.0), pace };
        for burst in [never, Burst { pace: Amount::new(50.0), ..never }, Burst { pace: Amount::new(500.0), ..never }] {
            let svg = lag(&burst).expect("a picture");
            assert!(svg.contains("polyline") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn there_is_a_bar_for_each_row_in_each_picture() {
        let row = |protocol, members, again| Row { protocol, members, again, delivered: 100, ..Row::default() };
        let costs = Costs(vec![row("eager", 3, 7), row("cooperative", 3, 2), row("eager", 10, 9)]);
        let svg = rebalance(&costs).expect("a picture");
        let filled = |colour| svg.matches(&format!("fill=\"{colour}\"")).count();
        // Two pictures, and a legend in each.
        assert_eq!((filled("#D55E00"), filled("#0072B2")), (2 * 2 + 2, 2 + 2), "{svg}");
        assert!(svg.contains("cooperative") && svg.ends_with("</svg>\n"));
        assert_eq!(svg, rebalance(&costs).expect("the same"), "the same rows are the same picture");
    }
}
