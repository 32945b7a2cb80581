//! Starts as SVG: time and bytes against the size of the image, both on logarithmic axes.
//!
//! A few lines of our own: two charts of one kind need no library of charts. The drawings have their own background and
//! say in words what they show, as they are looked at by themselves.

use std::fmt::Write as _;

use super::start::Starts;
use crate::bench::check::median;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 55.0;

/// Told apart by those who do not tell colours apart as well: each has its own shape of line.
const STROKES: [(&str, &str); 5] =
    [("#0072b2", ""), ("#d55e00", "8 3"), ("#009e73", "2 3"), ("#555555", "12 4 2 4"), ("#cc79a7", "5 5")];

/// One line of a chart: points of size and value.
struct Series {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

/// Milliseconds to the first response.
pub(super) fn starts(found: &[Starts]) -> String {
    let lazy = |tier: &'static str, prefetch: bool| {
        move |starts: &Starts| median(&starts.lazy("ours", tier, prefetch)?.start_ms)
    };
    let series = [
        series("unpacked first", found, |starts| median(&starts.pull_ms)),
        series("origin, not prefetched", found, lazy("origin", false)),
        series("origin, prefetched", found, lazy("origin", true)),
        series("L2, prefetched", found, lazy("L2", true)),
        series("unpacked already, cold", found, |starts| median(&starts.folder_cold_ms)),
    ];
    chart("Cold start, from mount or download's end to the first response", "ms", &series)
}

/// Megabytes fetched until the first response.
pub(super) fn bytes(found: &[Starts]) -> String {
    let series = [
        series("all of the image", found, |starts| Some(starts.image_bytes as f64 / 1e6)),
        series("not prefetched", found, |starts| fetched_mb(starts, "ours", false)),
        series("prefetched", found, |starts| fetched_mb(starts, "ours", true)),
        series("mkfs.erofs, prefetched", found, |starts| fetched_mb(starts, "stock", true)),
    ];
    chart("Bytes fetched until the first response", "MB", &series)
}

fn fetched_mb(starts: &Starts, layout: &str, prefetch: bool) -> Option<f64> {
    Some(median(&starts.lazy(layout, "origin", prefetch)?.fetched_bytes)? / 1e6)
}

fn series(name: &'static str, found: &[Starts], value: impl Fn(&Starts) -> Option<f64>) -> Series {
    let points = found.iter().filter_map(|starts| Some((starts.image_bytes as f64 / 1e6, value(starts)?)));
    let mut points: Vec<_> = points.filter(|(size, value)| *size > 0.0 && *value > 0.0).collect();
    points.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    Series { name, points }
}

/// A logarithmic axis over whole decades, or their halves.
struct Axis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let least = values.clone().fold(f64::INFINITY, f64::min).log10();
        let most = values.fold(0.0, f64::max).log10();
        // Of nothing there is an axis, too.
        let (least, most) = if least.is_finite() && most.is_finite() { (least, most) } else { (0.0, 1.0) };
        Self { least: (least * 4.0 - 0.2).floor() / 4.0, most: (most * 4.0 + 0.2).ceil() / 4.0, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let part = (value.log10() - self.least) / (self.most - self.least);
        self.from + part * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        let decades = -1..=6;
        let all = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(decade)));
        all.filter(|value| (self.least..=self.most).contains(&value.log10())).collect()
    }
}

fn chart(title: &str, unit: &str, all: &[Series]) -> String {
    let points = all.iter().flat_map(|series| &series.points);
    let x = Axis::over(points.clone().map(|point| point.0), LEFT, WIDTH - RIGHT);
    let y = Axis::over(points.map(|point| point.1), HEIGHT - BOTTOM, TOP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<title>{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"26\" font-size=\"15\">{title}, {unit}</text>\n"
    );
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    // Writing to a string does not fail.
    for tick in x.ticks() {
        let at = x.at(tick);
        let _ = writeln!(
            svg,
            "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#dddddd\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
            bottom + 18.0
        );
    }
    for tick in y.ticks() {
        let at = y.at(tick);
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#dddddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
            LEFT - 8.0,
            at + 4.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">size of the image, MB</text>",
        (LEFT + right) / 2.0,
        HEIGHT - 14.0
    );
    for ((row, series), (colour, dashes)) in (0_u8..).zip(all).zip(STROKES) {
        let line: Vec<_> = series
            .points
            .iter()
            .map(|(size, value)| format!("{:.1},{:.1}", x.at(*size), y.at(*value)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/>",
            line.join(" ")
        );
        for (size, value) in &series.points {
            let _ = writeln!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                x.at(*size),
                y.at(*value)
            );
        }
        let at = TOP + 14.0 + 22.0 * f64::from(row);
        let _ = writeln!(
            svg,
            "<path d=\"M{} {at}h26\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\"/><text x=\"{}\" y=\"{}\">{}</text>",
            right + 14.0,
            right + 46.0,
            at + 4.0,
            series.name
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_of_nothing_is_a_chart() {
        assert!(starts(&[]).ends_with("</svg>\n"));
    }

    #[test]
    fn larger_values_are_higher() {
        let axis = Axis::over([1.0, 1000.0].into_iter(), 100.0, 0.0);
        assert!(axis.at(1000.0) < axis.at(10.0) && axis.at(10.0) < axis.at(1.0));
        assert!(axis.ticks().contains(&100.0));
    }
}
