//! Whether a policy can keep what it promises, as far as its figures tell before it runs.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::{schedule_human, timetable::Timetable, words::Exact};
use crate::model::{Overlap, PolicyId, Schedule, ScheduleOptions, Timestamp, VerificationLevel};

/// How far ahead slots are looked at.
const HORIZON: Duration = Duration::from_secs(400 * 86_400);

/// How many slots are looked at: 400 days of a slot each half hour, two weeks of one each minute.
const SLOTS: usize = 20_000;

/// What is known of a policy. What is left out is not judged.
#[derive(Clone, Copy, Debug)]
pub struct PolicyFigures<'a> {
    /// The schedule.
    pub schedule: &'a Schedule,
    /// What bends it.
    pub options: &'a ScheduleOptions,
    /// The policy, for its share of the jitter.
    pub policy: PolicyId,
    /// When the policy was created.
    pub anchor: Timestamp,
    /// The recovery point objective.
    pub rpo: Option<Duration>,
    /// How long its backups take.
    pub run_time: Option<RunTime>,
    /// How long a recovery point is kept, at least.
    pub retention: Option<Duration>,
    /// How long a copy is locked against deletion.
    pub lock: Option<Duration>,
    /// How deep each new record is verified.
    pub verify: Option<VerificationLevel>,
    /// How deep a record must be verified before it counts for the RPO.
    pub count_verified: Option<VerificationLevel>,
}

/// How long backups take at most, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunTime {
    /// 99 of 100 take no longer.
    P99(Duration),
    /// The longest of so many that ran.
    LongestOf(usize, Duration),
}

impl RunTime {
    const fn length(self) -> Duration {
        match self {
            Self::P99(length) | Self::LongestOf(_, length) => length,
        }
    }
}

impl fmt::Display for RunTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = Exact(self.length());
        match self {
            Self::P99(_) => write!(f, "{length} (p99)"),
            Self::LongestOf(count, _) => write!(f, "{length} (the longest of the newest {count})"),
        }
    }
}

/// A reason why a policy may not do what it seems to promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LintFinding {
    /// What kind of finding it is.
    pub code: LintCode,
    /// What is the matter, with the figures, and what to do.
    pub message: String,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LintCode {
    /// Day of month and day of week are both restricted, which means either.
    EitherDay,
    /// Some months lack the day.
    DayNotInEveryMonth,
    /// No slot comes within 400 days.
    NoSlotInSight,
    /// Every slot within 400 days lies in a blackout window.
    BlackoutSwallowsAllSlots,
    /// The longest wait between two slots and the time a backup takes exceed the RPO.
    SlotGapExceedsRpo,
    /// Backups take longer than the time to the next slot.
    RunsLongerThanSlotGap,
    /// Recovery points expire sooner than the RPO.
    RetentionShorterThanRpo,
    /// Recovery points expire before the next slot comes.
    RetentionShorterThanSlotGap,
    /// Copies are locked for longer than they are to be kept.
    LockLongerThanRetention,
    /// Records count only once they are verified deeper than new ones ever are.
    CountsOnlyVerifiedDeeper,
}

impl LintCode {
    /// Whether the policy could never make a backup by itself: a reason to refuse it.
    #[must_use]
    pub const fn is_impossible(self) -> bool {
        matches!(self, Self::BlackoutSwallowsAllSlots)
    }
}

/// Everything about `figures` that a person who saves such a policy should know, as seen at `now`.
#[must_use]
pub fn lint(figures: &PolicyFigures<'_>, now: Timestamp) -> Vec<LintFinding> {
    let table = Timetable::new(figures.schedule, figures.options, figures.policy, figures.anchor);
    let gaps = Gaps::after(&table, now);
    let slots = match gaps {
        None => no_slots(figures, &table, now).into_iter().collect(),
        Some(gaps) => {
            [gap_against_rpo(figures, gaps), overlap(figures, gaps), retention_against_gap(figures, gaps)]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
        }
    };
    let rest = [retention_against_rpo(figures), lock_against_retention(figures), depth_to_count(figures)];
    days(figures).into_iter().chain(slots).chain(rest.into_iter().flatten()).collect()
}

fn finding(code: LintCode, message: String) -> LintFinding {
    LintFinding { code, message }
}

fn days(figures: &PolicyFigures<'_>) -> Vec<LintFinding> {
    let Some(expression) = figures.schedule.expression() else { return Vec::new() };
    let fields = expression.fields();
    let mut findings = Vec::new();
    if fields.either_day() {
        findings.push(finding(
            LintCode::EitherDay,
            format!(
                "`{expression}` restricts day of month and day of week, and runs on a day that is either ({}): \
                 write `*` in one of the two fields if only the other is meant",
                schedule_human(figures.schedule)
            ),
        ));
    } else if let day = fields.days.trailing_zeros()
        && fields.some_month_lacks(day)
    {
        findings.push(finding(
            LintCode::DayNotInEveryMonth,
            format!(
                "`{expression}` runs on day {day} of the month, and months without it have no backup: name a day \
                 up to 28 to run every month"
            ),
        ));
    }
    findings
}

fn no_slots(figures: &PolicyFigures<'_>, table: &Timetable, now: Timestamp) -> Option<LintFinding> {
    let first = table.upcoming(now).next();
    let Some(first) = first.filter(|first| first.start_at.since(now) <= HORIZON) else {
        let comes =
            first.map_or_else(|| "none ever".to_owned(), |first| format!("the first at {}", first.start_at));
        let message = format!("no backup runs within 400 days, {comes}: name a day that comes more often");
        return Some(finding(LintCode::NoSlotInSight, message));
    };
    let human = schedule_human(figures.schedule);
    first.blacked_out.then(|| {
        finding(
            LintCode::BlackoutSwallowsAllSlots,
            format!(
                "no backup would ever start by itself: every slot within 400 days ({human}) lies in a blackout \
                 window; move the schedule or shorten the windows"
            ),
        )
    })
}

fn gap_against_rpo(figures: &PolicyFigures<'_>, gaps: Gaps) -> Option<LintFinding> {
    let rpo = figures.rpo?;
    let longest = gaps.longest;
    let takes_up_to = figures.run_time.map_or(Duration::ZERO, RunTime::length);
    let age = longest.length() + takes_up_to;
    let takes = match figures.run_time {
        Some(run_time) if age > rpo => format!("and a backup takes up to {run_time}"),
        None if longest.length() >= rpo => "and a backup takes time as well".to_owned(),
        _ => return None,
    };
    let room = rpo.saturating_sub(takes_up_to);
    let mend = if room.is_zero() {
        "no schedule can meet it: make backups faster or allow a longer RPO".to_owned()
    } else {
        format!("run it more often than every {}, or allow a longer RPO", Exact(room))
    };
    Some(finding(
        LintCode::SlotGapExceedsRpo,
        format!(
            "the RPO of {} cannot be kept: {} pass between the slots at {} and {}, {takes}, so the newest \
             recovery point gets {} old or more; {mend}",
            Exact(rpo),
            Exact(longest.length()),
            longest.from,
            longest.until,
            Exact(age),
        ),
    ))
}

fn overlap(figures: &PolicyFigures<'_>, gaps: Gaps) -> Option<LintFinding> {
    let run_time = figures.run_time.filter(|run_time| run_time.length() > gaps.shortest)?;
    let fate = match figures.options.overlap {
        Overlap::Skip => "are skipped",
        Overlap::QueueOne => "wait, or are coalesced into one that waits",
    };
    Some(finding(
        LintCode::RunsLongerThanSlotGap,
        format!(
            "a backup takes up to {run_time}, longer than the {} from one slot to the next: slots that fall due \
             meanwhile {fate}; run it less often",
            Exact(gaps.shortest),
        ),
    ))
}

fn retention_against_gap(figures: &PolicyFigures<'_>, gaps: Gaps) -> Option<LintFinding> {
    let retention = figures.retention.filter(|retention| *retention < gaps.longest.length())?;
    Some(finding(
        LintCode::RetentionShorterThanSlotGap,
        format!(
            "recovery points are kept for {}, and {} pass between the slots at {} and {}: there is never more \
             than the one that the floors keep; keep them for longer or run it more often",
            Exact(retention),
            Exact(gaps.longest.length()),
            gaps.longest.from,
            gaps.longest.until,
        ),
    ))
}

fn retention_against_rpo(figures: &PolicyFigures<'_>) -> Option<LintFinding> {
    let (retention, rpo) = figures.retention.zip(figures.rpo).filter(|(retention, rpo)| retention < rpo)?;
    Some(finding(
        LintCode::RetentionShorterThanRpo,
        format!(
            "recovery points are kept for {}, less than the RPO of {}: keep them for at least the RPO",
            Exact(retention),
            Exact(rpo),
        ),
    ))
}

fn lock_against_retention(figures: &PolicyFigures<'_>) -> Option<LintFinding> {
    let (lock, retention) =
        figures.lock.zip(figures.retention).filter(|(lock, retention)| lock > retention)?;
    Some(finding(
        LintCode::LockLongerThanRetention,
        format!(
            "copies are locked for {}, longer than the {} that they are kept: they expire on time, but their \
             deletion is put off until the lock ends, and so long they take space; shorten the lock or keep them \
             for longer",
            Exact(lock),
            Exact(retention),
        ),
    ))
}

fn depth_to_count(figures: &PolicyFigures<'_>) -> Option<LintFinding> {
    let reached = figures.verify.unwrap_or(VerificationLevel::Catalogued);
    let level = figures.count_verified.filter(|level| *level > reached)?;
    let verified = figures.verify.map_or_else(
        || "new ones are not verified".to_owned(),
        |reached| format!("new ones are verified up to {reached} only"),
    );
    Some(finding(
        LintCode::CountsOnlyVerifiedDeeper,
        format!(
            "records count only once they are verified up to {level}, and {verified}: none ever counts unless \
             someone verifies it or a DR test restores it; verify new ones up to {level}, or ask for less"
        ),
    ))
}

/// The waits between the starts that lie ahead.
#[derive(Clone, Copy, Debug)]
struct Gaps {
    longest: Gap,
    shortest: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Gap {
    from: Timestamp,
    until: Timestamp,
}

impl Gap {
    fn length(&self) -> Duration {
        self.until.since(self.from)
    }
}

impl Gaps {
    /// The gaps between the starts after `now` that lie in no blackout; `None` if there is no such
    /// start within the horizon.
    fn after(table: &Timetable, now: Timestamp) -> Option<Self> {
        let horizon = now.saturating_add(HORIZON);
        let mut starts = Starts { table, after: now, clear_until: now };
        let mut from = starts.next().filter(|start| *start <= horizon)?;
        let mut found: Option<Self> = None;
        for until in starts.take(SLOTS) {
            let gap = Gap { from, until };
            let gaps = found.get_or_insert(Self { longest: gap, shortest: gap.length() });
            if gap.length() > gaps.longest.length() {
                gaps.longest = gap;
            }
            gaps.shortest = gaps.shortest.min(gap.length());
            if until > horizon {
                break;
            }
            from = until;
        }
        Some(found.unwrap_or_else(|| {
            let longest = Gap { from, until: Timestamp::MAX };
            Self { longest, shortest: longest.length() }
        }))
    }
}

/// The starts after a nominal time that lie in no blackout.
struct Starts<'a> {
    table: &'a Timetable,
    after: Timestamp,
    /// No blackout begins before this.
    clear_until: Timestamp,
}

impl Iterator for Starts<'_> {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        // A year of slots that are all blacked out, one window after the other.
        for _ in 0..1_000 {
            let nominal = self.table.schedule().next_after(self.after)?;
            let start = self.table.start(nominal);
            if start < self.clear_until {
                self.after = nominal;
                return Some(start);
            }
            match self.table.blackout.end(start) {
                None => {
                    self.clear_until = self.table.blackout.next_start(start).unwrap_or(Timestamp::MAX);
                    self.after = nominal;
                    return Some(start);
                }
                Some(Timestamp::MAX) => return None,
                Some(end) => {
                    let nominal_at_end = end.saturating_sub(self.table.delay());
                    self.after = Timestamp::from_micros(nominal_at_end.as_micros() - 1);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
