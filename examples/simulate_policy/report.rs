//! What came of it, in words and figures.

use std::{fmt::Write as _, time::Duration};

use aegis::{
    model::Timestamp,
    rules::{
        PolicyFigures, RunTime,
        exposure::{Attainment, Book, Share},
        lint, schedule_human,
        simulation::{OutageKind, PolicyHistory, RunEnd, SimulatedPolicy, Simulation},
    },
};

use crate::{figures, scenario::Plan, text};

const DAY: Duration = Duration::from_secs(86_400);

/// A line of the table: what it says, and a figure for each policy.
type Row = (&'static str, Vec<String>);

pub(crate) fn of(plan: &Plan, year: &Simulation) -> String {
    let window = year.window;
    let days = figures::length(window).as_secs() / 86_400;
    let mut report = format!(
        "Aegis, what if: {days} days from {}, seed {}\n\n",
        text::instant(window.from),
        plan.scenario.seed
    );
    for (name, kind) in [("engine away", OutageKind::Engine), ("storage away", OutageKind::Target)] {
        let _ = writeln!(report, "{name:<22}{}", outages(year, kind));
    }
    report.push('\n');
    report.push_str(&table(&plan.names, &rows(plan, year)));
    for line in remarks(plan, year) {
        let _ = write!(report, "\n{line}\n");
    }
    report
}

fn outages(year: &Simulation, kind: OutageKind) -> String {
    let there: Vec<_> = year.outages.iter().filter(|outage| outage.kind == kind).collect();
    let longest = there.iter().max_by_key(|outage| figures::length(outage.window));
    longest.map_or_else(
        || "never".to_owned(),
        |longest| {
            let all = there.iter().map(|outage| figures::length(outage.window)).sum();
            let times = if there.len() == 1 { "once".to_owned() } else { format!("{} times", there.len()) };
            let (length, since) =
                (text::span(figures::length(longest.window)), text::instant(longest.window.from));
            format!("{times}, {} in all; the longest {length} from {since}", text::span(all))
        },
    )
}

fn rows(plan: &Plan, year: &Simulation) -> Vec<Row> {
    let policies: Vec<_> = plan.scenario.policies.iter().zip(&year.policies).collect();
    let of_policy = |say: &dyn Fn(&SimulatedPolicy) -> String| -> Vec<String> {
        policies.iter().map(|(policy, _)| say(policy)).collect()
    };
    let of_history = |say: &dyn Fn(&PolicyHistory) -> String| -> Vec<String> {
        policies.iter().map(|(_, history)| say(history)).collect()
    };
    let mut rows: Vec<Row> = vec![
        ("schedule", of_policy(&|policy| schedule_human(&policy.schedule))),
        ("keeps", of_policy(&|policy| text::rules(&policy.retention))),
        ("RPO", of_policy(&|policy| policy.rpo.map_or_else(|| "none".to_owned(), |rpo| text::span(rpo.0)))),
        ("", Vec::new()),
        ("slots", of_history(&|history| text::count(slots(history, None)))),
        ("  ran", of_history(&|history| text::count(len(&history.runs)))),
    ];
    for (label, outcome) in [
        ("  coalesced", "coalesced"),
        ("  skipped", "skipped"),
        ("  missed", "missed"),
        ("  expired", "expired"),
    ] {
        rows.push((label, of_history(&|history| text::count(slots(history, Some(outcome))))));
    }
    for (label, end) in [
        ("backups completed", Some(RunEnd::Completed)),
        ("  failed", Some(RunEnd::Failed)),
        ("  timed out", Some(RunEnd::TimedOut)),
        ("  storage away", Some(RunEnd::TargetDown)),
        ("  not ended yet", None),
    ] {
        rows.push((label, of_history(&|history| text::count(jobs(history, end)))));
    }
    rows.extend([
        ("", Vec::new()),
        ("recovery points", of_history(&there_at_the_end)),
        ("  at most", of_history(&most_points)),
        ("  removed", of_history(&removed)),
        ("  found bad", of_history(&found_bad)),
        ("storage taken", of_history(&stored_at_the_end)),
        ("  at most", of_history(&most_stored)),
        ("", Vec::new()),
        ("attainment", of_history(&|history| attained(history, Book::AsKnown, percent))),
        ("  restated", of_history(&|history| attained(history, Book::Restated, percent))),
        ("violations", of_history(&|history| attained(history, Book::AsKnown, violations))),
        ("worst exposure", of_history(&|history| worst(history, Book::AsKnown))),
        ("  restated", of_history(&|history| worst(history, Book::Restated))),
    ]);
    // A line that says nothing about any policy is left out.
    rows.retain(|(label, figures)| !label.starts_with("  ") || figures.iter().any(|figure| figure != "0"));
    rows
}

fn table(names: &[String], rows: &[Row]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|(_, cells)| cells.get(column));
        cells.chain(names.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..names.len()).map(width).collect();
    let line = |label: &str, cells: &[String]| {
        let cells: String =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}   ")).collect();
        format!("{label:<22}{cells}").trim_end().to_owned() + "\n"
    };
    let body = rows.iter().map(|(label, cells)| line(label, cells)).collect::<String>();
    line("", names) + &body
}

/// What a person should look at.
fn remarks(plan: &Plan, year: &Simulation) -> Vec<String> {
    let mut remarks = Vec::new();
    let policies = plan.scenario.policies.iter().zip(&year.policies).zip(&plan.names);
    for ((policy, history), name) in policies {
        let figures = PolicyFigures {
            schedule: &policy.schedule,
            options: &policy.options,
            policy: policy.id,
            anchor: year.window.from,
            rpo: policy.rpo.map(|rpo| rpo.0),
            run_time: Some(RunTime::P99(policy.runs.duration.p99())),
            retention: policy.retention.keep.days.map(|days| DAY * days),
            lock: None,
            verify: None,
            count_verified: None,
        };
        let findings = lint(&figures, year.window.from);
        remarks.extend(findings.into_iter().map(|finding| format!("{name}: {}", finding.message)));
        remarks.extend(retention_asked(history).map(|said| format!("{name}: {said}")));
        remarks.extend(why_one_went(history).map(|said| format!("{name}: {said}")));
    }
    remarks
}

fn retention_asked(history: &PolicyHistory) -> Option<String> {
    let asked: Vec<_> = history.sweeps.iter().filter(|sweep| sweep.refusal.is_some()).collect();
    let (first, last) = (asked.first()?, asked.last()?);
    let refusal = first.refusal.as_ref()?;
    Some(format!("from {} to {} nothing expired: {refusal}", text::instant(first.at), text::instant(last.at)))
}

fn why_one_went(history: &PolicyHistory) -> Option<String> {
    let point = history
        .points
        .iter()
        .filter(|point| point.found_bad_at.is_none())
        .rfind(|point| point.expired_at.is_some())?;
    let expired_at = point.expired_at?;
    Some(format!(
        "why the point of {} went on {}:\n  {}",
        text::instant(point.at),
        text::instant(expired_at),
        history.explain(point).join("\n  ")
    ))
}

fn len<T>(items: &[T]) -> u64 {
    len_of(items.iter())
}

fn len_of(items: impl Iterator) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

/// How many slots ended so; all of them, if nothing is named.
fn slots(history: &PolicyHistory, outcome: Option<&str>) -> u64 {
    let named = |label: &str| outcome.is_none_or(|outcome| outcome == label);
    let others = history.not_run.iter().filter(|range| named(range.outcome.label()));
    let ran = if outcome.is_none() { len(&history.runs) } else { 0 };
    others.map(|range| range.count).sum::<u64>() + ran
}

fn jobs(history: &PolicyHistory, end: Option<RunEnd>) -> u64 {
    len_of(history.runs.iter().filter(|run| figures::ended(history, run) == end))
}

fn there_at_the_end(history: &PolicyHistory) -> String {
    history.curve.last().map_or_else(|| "0".to_owned(), |level| points(level.points))
}

fn most_points(history: &PolicyHistory) -> String {
    let peak = figures::peak(history, |level| u64::try_from(level.points).unwrap_or(u64::MAX));
    peak.map_or_else(|| "0".to_owned(), |level| on(&points(level.points), level.at))
}

fn points(count: usize) -> String {
    text::count(u64::try_from(count).unwrap_or(u64::MAX))
}

fn removed(history: &PolicyHistory) -> String {
    text::count(len_of(history.points.iter().filter(|point| point.removed_at.is_some())))
}

fn found_bad(history: &PolicyHistory) -> String {
    text::count(len_of(history.points.iter().filter(|point| point.found_bad_at.is_some())))
}

fn stored_at_the_end(history: &PolicyHistory) -> String {
    history.curve.last().map_or_else(|| "0".to_owned(), |level| text::bytes(level.stored))
}

fn most_stored(history: &PolicyHistory) -> String {
    let peak = figures::peak(history, |level| level.stored.0);
    peak.map_or_else(|| "0".to_owned(), |level| on(&text::bytes(level.stored), level.at))
}

fn on(figure: &str, at: Timestamp) -> String {
    format!("{figure} on {}", text::date(at))
}

/// Of the time since the first recovery point.
fn attained(history: &PolicyHistory, book: Book, say: impl Fn(&Attainment) -> String) -> String {
    let Some(protected) = history.protected() else { return "never protected".to_owned() };
    history.attainment(protected, book).map_or_else(|| "no target".to_owned(), |attained| say(&attained))
}

fn percent(attained: &Attainment) -> String {
    let Share { counted, compliant } = attained.share;
    let percent =
        attained.share.percent().map_or_else(|| "–".to_owned(), |percent| format!("{percent:.2} %"));
    if counted == compliant {
        percent
    } else {
        format!("{percent}, {} beyond", text::span(counted - compliant))
    }
}

fn violations(attained: &Attainment) -> String {
    match attained.violations.count {
        0 => "none".to_owned(),
        count => format!("{}, the longest {}", text::count(count), text::span(attained.violations.longest)),
    }
}

/// The greatest exposure, and its day.
fn worst(history: &PolicyHistory, book: Book) -> String {
    let days = figures::days(history.window);
    let first = history.protected().map_or(history.window.until, |protected| protected.from);
    let exposures = figures::worst_exposures(history, &days, book);
    let mut counted: Vec<_> = days.iter().zip(exposures).filter(|(day, _)| day.until > first).collect();
    // The first of several comes last, and nothing at all is worse than any length.
    counted.reverse();
    match counted.into_iter().max_by_key(|(_, worst)| worst.map_or(Duration::MAX, |worst| worst)) {
        None => "never protected".to_owned(),
        Some((day, None)) => on("unprotected", day.from),
        Some((day, Some(worst))) => on(&text::span(worst), day.from),
    }
}
