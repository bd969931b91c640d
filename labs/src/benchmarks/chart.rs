//! Charts as SVG: lines over a common axis, drawn with nothing but text.

use std::fmt::Write as _;

use super::page::grouped;
use super::section::{Chart, Series};

/// Draws a chart. Light and dark pages show it on a white ground.
pub(super) fn svg(chart: &Chart) -> String {
    let points = || chart.series.iter().flat_map(|series| &series.points);
    let scale_x = |x: f64| if chart.log_x { x.max(1e-9).log10() } else { x };
    let (low, high) = points()
        .fold((f64::MAX, f64::MIN), |(low, high), (x, _)| (low.min(scale_x(*x)), high.max(scale_x(*x))));
    let top = round_up(points().fold(0.0, |top: f64, (_, y)| top.max(*y)));
    let span = if high > low { high - low } else { 1.0 };
    let place_x = |x: f64| LEFT + (scale_x(x) - low) / span * (WIDTH - LEFT - RIGHT);
    let place_y = |y: f64| HEIGHT - BOTTOM - y / top * (HEIGHT - BOTTOM - TOP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    text(&mut svg, (WIDTH / 2.0, 18.0), ("middle", "black"), &chart.title);
    text(&mut svg, (WIDTH / 2.0, HEIGHT - 8.0), ("middle", "#444"), &chart.x);
    text(&mut svg, (8.0, 34.0), ("start", "#444"), &chart.y);
    for step in 0..=4 {
        let y = top * f64::from(step) / 4.0;
        let at = place_y(y);
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>",
            WIDTH - RIGHT
        );
        text(&mut svg, (LEFT - 6.0, at + 4.0), ("end", "#444"), &grouped(y));
    }
    let mut ticks: Vec<f64> = points().map(|(x, _)| *x).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    // No more than there is room for.
    let every = ticks.len().div_ceil(TICKS).max(1);
    for x in ticks.iter().step_by(every) {
        text(&mut svg, (place_x(*x), HEIGHT - BOTTOM + 16.0), ("middle", "#444"), &grouped(*x));
    }
    for (nth, Series { name, points }) in chart.series.iter().enumerate() {
        let colour = COLOURS[nth % COLOURS.len()];
        let places: Vec<(f64, f64)> = points.iter().map(|(x, y)| (place_x(*x), place_y(*y))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for (x, y) in places {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        let row = TOP + 16.0 * (nth as f64 + 1.0);
        text(&mut svg, (WIDTH - RIGHT + 8.0, row), ("start", colour), name);
    }
    svg + "</svg>\n"
}

fn text(svg: &mut String, (x, y): (f64, f64), (anchor, colour): (&str, &str), text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>"
    );
}

/// The next number with one digit that says something and that quarters well.
fn round_up(top: f64) -> f64 {
    if top <= 0.0 {
        return 1.0;
    }
    let unit = 10_f64.powf(top.log10().floor());
    let steps = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].map(|step| step * unit);
    steps.into_iter().find(|step| *step >= top).unwrap_or(10.0 * unit)
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 170.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 48.0;
const TICKS: usize = 10;
/// Apart for most eyes. Source: Okabe and Ito, Color Universal Design.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_ends_above_the_highest_point() {
        assert_eq!([0.0, 0.3, 1.0, 5.25, 61.0, 99.0].map(round_up), [1.0, 0.4, 1.0, 6.0, 80.0, 100.0]);
    }

    #[test]
    fn one_point_and_none_are_drawn_too() {
        let chart = |points| Chart {
            title: String::new(),
            x: String::new(),
            y: String::new(),
            log_x: false,
            series: vec![Series { name: "a".to_owned(), points }],
        };
        for points in [vec![], vec![(1.0, 0.0)], vec![(0.0, 1.0), (1.0, 2.0)]] {
            let svg = svg(&chart(points));
            assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.ends_with("</svg>\n"), "{svg}");
        }
    }
}
