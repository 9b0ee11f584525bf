//! What the colours mean.

use aegis::rules::simulation::{OutageKind, Simulation};

use super::{ASKS, COLOURS, ENGINE, INK, LABEL, PALE, RED, SLATE, STORAGE, axes};
use crate::{
    figures,
    scenario::Plan,
    svg::{Anchor, Stroke, Svg, Type},
};

const SWATCH: f64 = 22.0;
const ROW: f64 = 22.0;

/// What stands beside a name.
enum Swatch {
    Line(&'static str),
    Area(&'static str, f64),
    Mark(&'static str),
}

/// Draws the legend from `top` on, in as many rows as it takes.
pub(super) fn draw(svg: &mut Svg, top: f64, plan: &Plan, year: &Simulation) {
    let (mut x, mut y) = (axes::LEFT, top);
    for (swatch, name) in entries(plan, year) {
        // About as wide as the letters are.
        let width = SWATCH + 8.0 + 6.6 * axes::real(u64::try_from(name.chars().count()).unwrap_or(0)) + 20.0;
        if x + width > axes::RIGHT + 60.0 {
            (x, y) = (axes::LEFT, y + ROW);
        }
        match swatch {
            Swatch::Line(colour) => {
                svg.line([x, y, x + SWATCH, y], Stroke { colour, width: 2.5, dashes: "" });
            }
            Swatch::Area(colour, opacity) => svg.rect([x, y - 6.0, SWATCH, 12.0], colour, opacity),
            Swatch::Mark(colour) => svg.rect([x + SWATCH / 2.0, y - 6.0, 3.0, 12.0], colour, 1.0),
        }
        let style = Type { colour: INK, ..LABEL };
        svg.text([x + SWATCH + 6.0, y + 4.0], Anchor::Start, style, &name);
        x += width;
    }
}

fn entries(plan: &Plan, year: &Simulation) -> Vec<(Swatch, String)> {
    let policies = plan.names.iter().zip(COLOURS).map(|(name, colour)| (Swatch::Line(colour), name.clone()));
    let is_there = |kind| year.outages.iter().any(|outage| outage.kind == kind);
    let histories = &year.policies;
    let slots_lost = histories.iter().any(|history| !history.not_run.is_empty());
    let bad = histories.iter().any(|history| history.points.iter().any(|point| point.found_bad_at.is_some()));
    // What is narrower than this does not show.
    let shows = figures::length(year.window) / 500;
    let days = figures::days(year.window);
    let unprotected = histories
        .iter()
        .flat_map(|history| figures::unprotected(history, &days))
        .any(|window| figures::length(window) > shows);
    let asked = histories.iter().any(|history| history.sweeps.iter().any(|sweep| sweep.refusal.is_some()));
    let others = [
        (true, Swatch::Area(RED, 0.75), "beyond the target"),
        (unprotected, Swatch::Area(SLATE, 0.55), "unprotected"),
        (bad, Swatch::Area(PALE, 0.9), "restated: beyond what was known then"),
        (is_there(OutageKind::Target), Swatch::Area(STORAGE, 0.45), "storage away"),
        (is_there(OutageKind::Engine), Swatch::Area(ENGINE, 0.45), "engine away"),
        (true, Swatch::Mark(RED), "run failed"),
        (slots_lost, Swatch::Mark(ENGINE), "slot did not run"),
        (bad, Swatch::Mark(INK), "backup found bad"),
        (asked, Swatch::Mark(ASKS), "retention waits for a person's word"),
    ];
    let shown = others.into_iter().filter(|(shown, ..)| *shown);
    policies.chain(shown.map(|(_, swatch, name)| (swatch, name.to_owned()))).collect()
}
