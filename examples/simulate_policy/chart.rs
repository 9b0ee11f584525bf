//! The chart: storage, recovery points, and each policy's exposure against its target.

mod axes;
mod legend;

use std::time::Duration;

use aegis::{
    model::{Bytes, Timestamp},
    rules::{
        exposure::{Book, Window},
        simulation::{OutageKind, PolicyHistory, RunEnd, Simulation},
    },
};

use self::axes::{Dates, Frame, Levels};
use crate::{
    figures,
    scenario::Plan,
    svg::{Anchor, Stroke, Svg, Type},
    text,
};

pub(crate) const WIDTH: f64 = 1200.0;
const INK: &str = "#1f2933";
const FAINT: &str = "#5f6b7a";
const GRID: &str = "#e4e8ed";
const RED: &str = "#d1344b";
const PALE: &str = "#f3a6b0";
const ENGINE: &str = "#8492a6";
const STORAGE: &str = "#e6a23c";
const SLATE: &str = "#3e4c59";
const ASKS: &str = "#8e44ad";
const COLOURS: [&str; 3] = ["#2166ac", "#1a936f", "#7b4fb0"];

const TITLE: Type = Type { size: 22.0, colour: INK, bold: true };
const SUBTITLE: Type = Type { size: 13.0, colour: FAINT, bold: false };
const HEAD: Type = Type { size: 14.0, colour: INK, bold: true };
const LABEL: Type = Type { size: 12.0, colour: FAINT, bold: false };

const FIRST_PANEL: f64 = 160.0;
const GAP: f64 = 50.0;
const STRIP: f64 = 16.0;

pub(crate) fn of(plan: &Plan, year: &Simulation) -> String {
    let mut drawing = Drawing::new(plan, year);
    drawing.header();
    drawing.storage();
    drawing.points();
    for place in 0..year.policies.len() {
        drawing.exposure(place);
    }
    drawing.finish()
}

struct Drawing<'a> {
    plan: &'a Plan,
    year: &'a Simulation,
    days: Vec<Window>,
    dates: Dates,
    svg: Svg,
    /// Where the next panel's head begins.
    y: f64,
}

impl<'a> Drawing<'a> {
    fn new(plan: &'a Plan, year: &'a Simulation) -> Self {
        let days = figures::days(year.window);
        Self { plan, year, days, dates: Dates::new(year.window), svg: Svg::default(), y: FIRST_PANEL }
    }

    fn title(&self) -> String {
        format!("What if: {}", self.plan.names.join(" and "))
    }

    fn header(&mut self) {
        let last = self.days.last().map_or(self.year.window.from, |day| day.from);
        let (from, days) = (text::date(self.year.window.from), self.days.len());
        let (until, seed) = (text::date(last), self.plan.scenario.seed);
        let what =
            format!("Simulated from {from} to {until}: {days} days in UTC, seed {seed}. No backup was made.");
        self.svg.text([axes::LEFT, 42.0], Anchor::Start, TITLE, &self.title());
        self.svg.text([axes::LEFT, 64.0], Anchor::Start, SUBTITLE, &what);
        legend::draw(&mut self.svg, 88.0, self.plan, self.year);
    }

    /// Begins a panel: its head, its outages, its dates.
    fn panel(&mut self, head: &str, height: f64) -> Frame {
        self.svg.text([axes::LEFT, self.y], Anchor::Start, HEAD, head);
        let frame = Frame { top: self.y + 12.0, height };
        for outage in &self.year.outages {
            let (from, until) = (self.dates.x(outage.window.from), self.dates.x(outage.window.until));
            let (colour, opacity) = match outage.kind {
                OutageKind::Engine => (ENGINE, 0.30),
                OutageKind::Target => (STORAGE, 0.30),
            };
            self.svg.rect([from, frame.top, (until - from).max(1.2), height], colour, opacity);
        }
        self.dates.grid(&mut self.svg, &frame);
        self.y = frame.bottom() + GAP;
        frame
    }

    fn storage(&mut self) {
        let value =
            |history: &PolicyHistory, days: &[Window]| figures::most(history, days, |level| level.stored.0);
        self.curves("Storage taken: the most of each day", 170.0, value, |mark| text::bytes(Bytes(mark)));
    }

    fn points(&mut self) {
        let points = |history: &PolicyHistory, days: &[Window]| {
            figures::most(history, days, |level| u64::try_from(level.points).unwrap_or(u64::MAX))
        };
        let frame = self.curves("Recovery points there: the most of each day", 140.0, points, text::count);
        for (place, history) in self.year.policies.iter().enumerate() {
            let asked = history.sweeps.iter().filter(|sweep| sweep.refusal.is_some());
            let y = frame.bottom() - 5.0 * index(place + 1);
            for sweep in asked {
                let from = self.dates.x(sweep.at);
                let until = self.dates.x(sweep.at.saturating_add(self.plan.scenario.sweep_interval));
                self.svg.rect([from, y, until - from, 4.0], ASKS, 1.0);
            }
        }
    }

    /// A panel with a curve for each policy.
    fn curves(
        &mut self,
        head: &str,
        height: f64,
        values: impl Fn(&PolicyHistory, &[Window]) -> Vec<u64>,
        say: impl Fn(u64) -> String,
    ) -> Frame {
        let frame = self.panel(head, height);
        let all: Vec<_> = self.year.policies.iter().map(|history| values(history, &self.days)).collect();
        let levels = Levels::linear(all.iter().flatten().copied().max().unwrap_or(0), frame);
        levels.grid(&mut self.svg, |mark| say(axes::whole(mark)));
        for (values, colour) in all.iter().zip(COLOURS) {
            let steps = self.days.iter().zip(values).map(|(day, value)| {
                (self.dates.x(day.from), self.dates.x(day.until), levels.y(axes::real(*value)))
            });
            self.svg.steps(steps, Stroke { colour, width: 2.0, dashes: "" });
        }
        frame
    }

    fn exposure(&mut self, place: usize) {
        let year = self.year;
        let (Some(history), Some(name)) = (year.policies.get(place), self.plan.names.get(place)) else {
            return;
        };
        let frame = self.panel(&format!("Exposure, {name}: the worst of each day (log scale)"), 150.0);
        let known = figures::worst_exposures(history, &self.days, Book::AsKnown);
        let restated = figures::worst_exposures(history, &self.days, Book::Restated);
        let target = history.rpo.map(|rpo| rpo.0);
        let shown = known.iter().chain(&restated).flatten().copied().chain(target);
        let levels = Levels::of_durations(shown, frame);
        levels.grid(&mut self.svg, |seconds| text::span(Duration::from_secs(axes::whole(seconds))));
        for window in figures::unprotected(history, &self.days) {
            let (x, until) = (self.dates.x(window.from), self.dates.x(window.until));
            self.svg.rect([x, frame.top, until - x, frame.height], SLATE, 0.55);
        }
        self.beyond(&levels, &known, &restated, target);
        self.curve_of(&levels, &known, COLOURS.get(place).copied().unwrap_or(INK));
        if let Some(target) = target {
            let y = levels.y(target.as_secs_f64());
            self.svg.line([axes::LEFT, y, axes::RIGHT, y], Stroke { colour: INK, width: 1.2, dashes: "6 4" });
            let style = Type { colour: INK, ..LABEL };
            self.svg.text([axes::RIGHT + 6.0, y - 2.0], Anchor::Start, style, "target");
            self.svg.text([axes::RIGHT + 6.0, y + 12.0], Anchor::Start, style, &text::span(target));
        }
        self.strip(history, frame);
    }

    /// The areas beyond the target, and beyond what was known then.
    fn beyond(
        &mut self,
        levels: &Levels,
        known: &[Option<Duration>],
        restated: &[Option<Duration>],
        target: Option<Duration>,
    ) {
        let frame = levels.frame();
        for ((day, known), restated) in self.days.iter().zip(known).zip(restated) {
            let (x, until) = (self.dates.x(day.from), self.dates.x(day.until));
            let Some(known) = known else { continue };
            let y = levels.y(known.as_secs_f64());
            let later = restated.map_or(frame.top, |restated| levels.y(restated.as_secs_f64()));
            if later < y {
                self.svg.rect([x, later, until - x, y - later], PALE, 0.9);
            }
            if let Some(target) = target.filter(|target| known > target) {
                let limit = levels.y(target.as_secs_f64());
                self.svg.rect([x, y, until - x, limit - y], RED, 0.75);
            }
        }
    }

    fn curve_of(&mut self, levels: &Levels, exposures: &[Option<Duration>], colour: &'static str) {
        let steps = self.days.iter().zip(exposures).filter_map(|(day, exposure)| {
            let y = levels.y((*exposure)?.as_secs_f64());
            Some((self.dates.x(day.from), self.dates.x(day.until), y))
        });
        self.svg.steps(steps, Stroke { colour, width: 1.6, dashes: "" });
    }

    /// What went wrong with single runs, below the dates.
    fn strip(&mut self, history: &PolicyHistory, frame: Frame) {
        let top = frame.bottom() + 24.0;
        self.svg.rect([axes::LEFT, top, axes::RIGHT - axes::LEFT, STRIP], "#f5f7fa", 1.0);
        self.svg.text([axes::LEFT - 8.0, top + 12.0], Anchor::End, LABEL, "runs");
        let slots = history.not_run.iter().map(|range| (range.first, range.last, ENGINE));
        let failed = history
            .runs
            .iter()
            .filter(|run| figures::ended(history, run).is_some_and(|end| end != RunEnd::Completed))
            .map(|run| (run.nominal_at, run.nominal_at, RED));
        let bad = history.points.iter().filter(|point| point.found_bad_at.is_some());
        let bad = bad.map(|point| (point.at, point.at, INK));
        let marks: Vec<(Timestamp, Timestamp, &str)> = slots.chain(failed).chain(bad).collect();
        for (from, until, colour) in marks {
            let (x, until) = (self.dates.x(from), self.dates.x(until));
            self.svg.rect([x, top + 2.0, (until - x).max(1.4), STRIP - 4.0], colour, 0.85);
        }
        self.y += 36.0;
    }

    fn finish(self) -> String {
        let title = self.title();
        let description = "Storage taken, recovery points there, and the worst exposure of each day against \
                           its target, with outages, failed runs and backups that were found bad.";
        self.svg.finish([WIDTH, self.y - GAP + 34.0], &title, description)
    }
}

/// A small count as a length.
fn index(count: usize) -> f64 {
    axes::real(u64::try_from(count).unwrap_or(u64::MAX))
}
