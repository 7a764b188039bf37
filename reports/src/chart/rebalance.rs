//! What a rebalance costs, as a picture of its own: with a background and a legend, for a file.

use std::error::Error;

use harness::bench::rebalance::{Costs, Row};
use plotters::prelude::*;

use super::{Area, COLOURS};

/// Width and height of a picture, in pixels.
const SIZE: (u32, u32) = (960, 400);

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

/// A bar for each row, those of one size beside each other.
fn bars(area: &Area<'_>, costs: &Costs, title: &str, of: impl Fn(&Row) -> f64) -> Result<(), Box<dyn Error>> {
    let mut sizes: Vec<u32> = costs.0.iter().map(|row| row.members).collect();
    sizes.dedup();
    let mut protocols: Vec<&str> = costs.0.iter().map(|row| &*row.protocol).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_bar_for_each_row_in_each_picture() {
        let row = |protocol: &'static str, members, again| Row {
            protocol: protocol.into(),
            members,
            again,
            delivered: 100,
            ..Row::default()
        };
        let costs = Costs(vec![row("eager", 3, 7), row("cooperative", 3, 2), row("eager", 10, 9)]);
        let svg = rebalance(&costs).expect("a picture");
        let filled = |colour| svg.matches(&format!("fill=\"{colour}\"")).count();
        // Two pictures, and a legend in each.
        assert_eq!((filled("#D55E00"), filled("#0072B2")), (2 * 2 + 2, 2 + 2), "{svg}");
        assert!(svg.contains("cooperative") && svg.ends_with("</svg>\n"));
        assert_eq!(svg, rebalance(&costs).expect("the same"), "the same rows are the same picture");
    }
}
