//! A plot with its axes, as SVG. Places are numbers between 0 and 1 from the lower left corner, so
//! that who draws needs to know no pixels. Plots that are compared get the same scale from their
//! caller.

#![expect(clippy::float_arithmetic, reason = "places on a page are no money")]
#![expect(clippy::cast_precision_loss, reason = "what is drawn need not be exact")]

use maud::{Markup, html};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 26.0;

/// A place in the plot, from (0, 0) in the lower left corner to (1, 1).
pub type Place = (f64, f64);

/// What is drawn, back to front.
pub enum Shape {
    /// From the bottom: left edge, width and height.
    Bar(f64, f64, f64),
    /// A line through these places.
    Line(Vec<Place>),
    /// What lies between places below and places above, each from left to right.
    Band(Vec<Place>, Vec<Place>),
    /// From one place to another, as a thin line.
    Span(Place, Place),
    /// A point.
    Dot(Place),
    /// A limit at this height, across.
    LimitAcross(f64),
    /// A limit at this place, upright.
    LimitUp(f64),
}

/// One plot: its shapes and the words at its axes.
pub struct Plot<'a> {
    /// What it shows, for who cannot see it.
    pub label: &'a str,
    /// Words along the bottom, by their place; the first and the last stay inside.
    pub bottom: Vec<(f64, String)>,
    /// Words along the left side, by their height.
    pub left: Vec<(f64, String)>,
    /// What is drawn.
    pub shapes: Vec<Shape>,
    /// What one sees, in a sentence.
    pub caption: Markup,
}

impl Plot<'_> {
    /// As a figure with its caption.
    pub fn figure(&self) -> Markup {
        let last = self.bottom.len().saturating_sub(1);
        let anchor = |index| match index {
            0 if last > 0 => "start",
            index if index == last && last > 0 => "end",
            _ => "middle",
        };
        let (floor, right) = (y(0.0), x(1.0));
        html! {
            figure {
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(self.label) {
                    @for (height, text) in &self.left {
                        line.grid x1=(LEFT) x2=(right) y1=(y(*height)) y2=(y(*height)) {}
                        text x=(LEFT - 6.0) y=(y(*height) + 4.0) text-anchor="end" { (text) }
                    }
                    @for shape in &self.shapes { (drawn(shape)) }
                    line.axis x1=(LEFT) x2=(right) y1=(floor) y2=(floor) {}
                    @for (index, (place, text)) in self.bottom.iter().enumerate() {
                        line.axis x1=(x(*place)) x2=(x(*place)) y1=(floor) y2=(floor + 4.0) {}
                        text x=(x(*place)) y=(HEIGHT - 8.0) text-anchor=(anchor(index)) { (text) }
                    }
                }
                figcaption { (self.caption) }
            }
        }
    }
}

fn drawn(shape: &Shape) -> Markup {
    let points = |places: &mut dyn Iterator<Item = &Place>| {
        let points = places.map(|(across, up)| format!("{},{}", x(*across), y(*up)));
        points.collect::<Vec<_>>().join(" ")
    };
    html! {
        @match shape {
            Shape::Bar(left, width, height) => {
                rect.bar x=(x(*left)) y=(y(*height)) width=(short((width * (x(1.0) - LEFT) - 1.0).max(0.5)))
                    height=(short(y(0.0) - y(*height))) {}
            }
            Shape::Line(places) => { polyline.line points=(points(&mut places.iter())) {} }
            Shape::Band(low, high) => {
                polygon.band points=(points(&mut low.iter().chain(high.iter().rev()))) {}
            }
            Shape::Span(from, to) => {
                line.line x1=(x(from.0)) y1=(y(from.1)) x2=(x(to.0)) y2=(y(to.1)) {}
            }
            Shape::Dot((across, up)) => { circle.dot cx=(x(*across)) cy=(y(*up)) r="4" {} }
            Shape::LimitAcross(up) => { line.limit x1=(LEFT) x2=(x(1.0)) y1=(y(*up)) y2=(y(*up)) {} }
            Shape::LimitUp(across) => { line.limit x1=(x(*across)) x2=(x(*across)) y1=(TOP) y2=(y(0.0)) {} }
        }
    }
}

fn x(across: f64) -> f64 {
    short(LEFT + across.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT))
}

fn y(up: f64) -> f64 {
    short(HEIGHT - BOTTOM - up.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM))
}

fn short(pixels: f64) -> f64 {
    (pixels * 10.0).round() / 10.0
}

/// `part` of `whole`, of a scale that begins at nothing; nothing of nothing.
pub fn share(part: i128, whole: i128) -> f64 {
    if whole <= 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A round number at or above `most`, at least `least`: the top of a scale. Powers of ten, and two
/// and five times them.
pub fn round_up(most: i128, least: i128) -> i128 {
    let mut step: i128 = 1;
    loop {
        if let Some(round) = [1, 2, 5].into_iter().map(|n| n * step).find(|round| *round >= most.max(least)) {
            return round;
        }
        step *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_ends_at_a_round_number_at_or_above_the_most() {
        for (most, round) in [(0, 1), (1, 1), (3, 5), (5, 5), (6, 10), (144_900, 200_000), (200_001, 500_000)]
        {
            assert_eq!(round_up(most, 1), round, "{most}");
        }
    }

    #[test]
    fn what_lies_outside_stays_at_the_edge() {
        assert_eq!((x(-1.0), x(2.0)), (x(0.0), x(1.0)));
        assert_eq!((y(-1.0), y(2.0)), (y(0.0), y(1.0)));
        let plot = Plot {
            label: "<b>",
            bottom: vec![(0.0, "<i>".into()), (1.0, "b".into())],
            left: vec![(0.0, "0".into())],
            shapes: vec![Shape::Dot((f64::NAN, 0.5)), Shape::Bar(0.0, 0.1, 1.0)],
            caption: html! { "c" },
        };
        let drawn = plot.figure().into_string();
        assert!(!drawn.contains("<b>") && !drawn.contains("<i>"), "{drawn}");
    }
}
