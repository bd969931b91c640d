//! A picture of figures against size: two charts with logarithmic axes, as SVG.

use std::fmt::Write as _;

use super::figures::Figures;

/// A line of a chart.
struct Line {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const MARGIN: f64 = 60.0;
const COLOURS: [&str; 5] = ["#1f6fb2", "#d1495b", "#2e8b57", "#8a5fb0", "#c77d0a"];

/// The picture of some runs.
#[must_use]
pub(super) fn draw(runs: &[Figures]) -> String {
    let line = |name, value: &dyn Fn(&Figures) -> Option<f64>| {
        let point = |run: &Figures| Some((run.switches as f64, value(run)?));
        Line { name, points: runs.iter().filter_map(point).filter(|(_, y)| *y > 0.0).collect() }
    };
    let wall_ms = |name: &'static str| move |run: &Figures| Some(run.phase(name)?.wall_s * 1000.0);
    let latency = [
        line("create p50", &|run| Some(run.creates.p50_ms)),
        line("create p99", &|run| Some(run.creates.p99_ms)),
        line("new block everywhere", &wall_ms("new block")),
        line("restart", &wall_ms("restart")),
        line("cold start", &wall_ms("cold start")),
    ];
    let cost = [
        line("controller MiB", &|run| Some(run.controller_peak_mib)),
        line("controller CPU s, cold start", &|run| Some(run.phase("cold start")?.controller_cpu_s)),
        line("controller CPU s, churn", &|run| Some(run.phase("churn")?.controller_cpu_s)),
        line("flows a switch", &|run| Some(run.flows[1] as f64)),
    ];
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        2.0 * HEIGHT
    );
    chart(&mut svg, 0.0, "milliseconds against switches", &latency);
    chart(&mut svg, HEIGHT, "cost against switches", &cost);
    svg.push_str("</svg>\n");
    svg
}

/// Where a value lies between the powers of ten around all values.
struct Axis {
    first: i32,
    last: i32,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min);
        let most = values.fold(0.0, f64::max);
        if !least.is_finite() || most <= 0.0 {
            return Self { first: 0, last: 1, from, to };
        }
        let (first, last) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        Self { first, last: last.max(first + 1), from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.from + share * (self.to - self.from)
    }

    /// The powers of ten on it, and where they are.
    fn ticks(&self) -> impl Iterator<Item = (String, f64)> {
        (self.first..=self.last).map(|power| {
            let value = 10_f64.powi(power);
            (format!("{value}"), self.place(value))
        })
    }
}

fn chart(svg: &mut String, top: f64, title: &str, lines: &[Line]) {
    let (left, right) = (MARGIN, WIDTH - 220.0);
    let (upper, lower) = (top + 40.0, top + HEIGHT - 40.0);
    let points = || lines.iter().flat_map(|line| line.points.iter());
    let x = Axis::new(points().map(|(x, _)| *x), left, right);
    let y = Axis::new(points().map(|(_, y)| *y), lower, upper);
    let mut put = |text: String| svg.push_str(&text);
    put(format!("<text x=\"{left}\" y=\"{}\" font-size=\"14\">{title}</text>\n", top + 24.0));
    for (label, at) in x.ticks() {
        put(format!("<path d=\"M{at:.1} {upper}V{lower}\" stroke=\"#ddd\"/>\n"));
        put(format!("<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>\n", lower + 18.0));
    }
    for (label, at) in y.ticks() {
        put(format!("<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/>\n"));
        put(format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>\n", left - 6.0, at + 4.0));
    }
    for ((n, line), colour) in lines.iter().enumerate().zip(COLOURS) {
        let mut path = String::new();
        for (i, (at_x, at_y)) in line.points.iter().enumerate() {
            let (px, py) = (x.place(*at_x), y.place(*at_y));
            write!(path, "{}{px:.1} {py:.1}", if i == 0 { "M" } else { "L" }).expect("a string takes all");
            put(format!("<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3\" fill=\"{colour}\"/>\n"));
        }
        put(format!("<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n"));
        let at = upper + 16.0 * n as f64;
        put(format!("<text x=\"{}\" y=\"{at}\" fill=\"{colour}\">{}</text>\n", right + 14.0, line.name));
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Creates;
    use super::*;

    #[test]
    fn every_line_is_in_the_picture() {
        let run = |switches| Figures {
            switches,
            creates: Creates { n: 9, p50_ms: 3.0, p99_ms: 20.0, max_ms: 30.0 },
            controller_peak_mib: switches as f64,
            ..Figures::default()
        };
        let svg = draw(&[run(10), run(1000)]);
        for name in ["create p50", "create p99", "cold start", "controller MiB"] {
            assert!(svg.contains(name), "{name}");
        }
        assert_eq!(svg.matches("<circle").count(), 6, "two runs, three lines with values");
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"));
    }
}
