//! From instants and figures to places on the drawing, with their grids.

use std::time::Duration;

use aegis::{model::Timestamp, rules::exposure::Window};
use jiff::{Span, civil::Date, tz::TimeZone};

use super::{GRID, LABEL};
use crate::svg::{Anchor, Stroke, Svg};

pub(crate) const LEFT: f64 = 96.0;
pub(crate) const RIGHT: f64 = 1120.0;
const LINE: Stroke = Stroke { colour: GRID, width: 1.0, dashes: "" };

/// The height of a panel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) top: f64,
    pub(crate) height: f64,
}

impl Frame {
    pub(crate) fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// The dates from left to right.
#[derive(Debug)]
pub(crate) struct Dates {
    window: Window,
    marks: Vec<(Timestamp, String)>,
}

impl Dates {
    pub(crate) fn new(window: Window) -> Self {
        let (first, step, format) = pace(window);
        let dates = std::iter::successors(Some(first), |date| date.checked_add(step).ok());
        let instants = dates.filter_map(|date| {
            let midnight = date.to_zoned(TimeZone::UTC).ok()?;
            Some((Timestamp::from(midnight.timestamp()), date))
        });
        let inside = instants.take_while(|(at, _)| *at < window.until).filter(|(at, _)| *at >= window.from);
        let mut year = None;
        let marks = inside.map(|(at, date)| {
            let named =
                if year.replace(date.year()) == Some(date.year()) { format } else { with_year(format) };
            (at, date.strftime(named).to_string())
        });
        Self { window, marks: marks.collect() }
    }

    pub(crate) fn x(&self, at: Timestamp) -> f64 {
        let at = at.clamp(self.window.from, self.window.until);
        let whole = self.window.until.since(self.window.from).as_secs_f64();
        LEFT + (RIGHT - LEFT) * at.since(self.window.from).as_secs_f64() / whole
    }

    pub(crate) fn grid(&self, svg: &mut Svg, frame: &Frame) {
        for (at, name) in &self.marks {
            let x = self.x(*at);
            svg.line([x, frame.top, x, frame.bottom() + 4.0], LINE);
            svg.text([x + 3.0, frame.bottom() + 15.0], Anchor::Start, LABEL, name);
        }
    }
}

/// The first date to look at, the step from mark to mark, and how a mark is named.
fn pace(window: Window) -> (Date, Span, &'static str) {
    let date = jiff::Timestamp::from(window.from).to_zoned(TimeZone::UTC).date();
    match window.until.since(window.from).as_secs() / 86_400 {
        0..=16 => (date, Span::new().days(1), "%-d %b"),
        17..=100 => (date, Span::new().days(7), "%-d %b"),
        101..=1000 => {
            (date.first_of_month(), Span::new().months(if window_is_long(window) { 3 } else { 1 }), "%b")
        }
        _ => (date.first_of_year(), Span::new().years(1), "%Y"),
    }
}

fn window_is_long(window: Window) -> bool {
    window.until.since(window.from) > Duration::from_secs(500 * 86_400)
}

fn with_year(format: &'static str) -> &'static str {
    match format {
        "%b" => "%b %Y",
        "%-d %b" => "%-d %b %Y",
        other => other,
    }
}

/// Figures from bottom to top, on a linear or a logarithmic scale.
#[derive(Debug)]
pub(crate) struct Levels {
    frame: Frame,
    least: f64,
    most: f64,
    scale: fn(f64) -> f64,
    marks: Vec<f64>,
}

impl Levels {
    /// From nothing to a round number beyond `most`.
    pub(crate) fn linear(most: u64, frame: Frame) -> Self {
        let step = round_step(most / 4 + 1);
        let top = most / step + 1;
        let marks = (0..=top).map(|n| real(n * step)).collect();
        Self { frame, least: 0.0, most: real(top * step), scale: |value| value, marks }
    }

    /// Lengths of time on a logarithmic scale.
    pub(crate) fn of_durations(lengths: impl Iterator<Item = Duration>, frame: Frame) -> Self {
        const MARKS: [u64; 15] = [
            1,
            10,
            60,
            300,
            900,
            3600,
            4 * 3600,
            12 * 3600,
            86_400,
            2 * 86_400,
            4 * 86_400,
            8 * 86_400,
            16 * 86_400,
            60 * 86_400,
            365 * 86_400,
        ];
        let lengths: Vec<f64> = lengths.map(|length| length.as_secs_f64()).collect();
        let least = lengths.iter().copied().fold(f64::INFINITY, f64::min).clamp(1.0, 1e9) * 0.7;
        let most = lengths.iter().copied().fold(least * 4.0, f64::max) * 1.4;
        let marks = MARKS.into_iter().map(real).filter(|mark| (least..=most).contains(mark)).collect();
        Self { frame, least: least.ln(), most: most.ln(), scale: f64::ln, marks }
    }

    pub(crate) const fn frame(&self) -> Frame {
        self.frame
    }

    pub(crate) fn y(&self, value: f64) -> f64 {
        let place = ((self.scale)(value) - self.least) / (self.most - self.least);
        self.frame.bottom() - self.frame.height * place.clamp(0.0, 1.0)
    }

    pub(crate) fn grid(&self, svg: &mut Svg, say: impl Fn(f64) -> String) {
        for mark in &self.marks {
            let y = self.y(*mark);
            svg.line([LEFT, y, RIGHT, y], LINE);
            svg.text([LEFT - 8.0, y + 4.0], Anchor::End, LABEL, &say(*mark));
        }
    }
}

/// 1, 2 or 5 times a power of ten, and no less than `least`.
fn round_step(least: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for step in [power, power.saturating_mul(2), power.saturating_mul(5)] {
            if step >= least {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a place on a drawing need not be exact")]
pub(crate) const fn real(value: u64) -> f64 {
    value as f64
}

/// A mark back as the whole number that it was made from.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "marks are made from whole numbers"
)]
pub(crate) const fn whole(mark: f64) -> u64 {
    mark as u64
}
