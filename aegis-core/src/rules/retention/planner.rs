//! The planner itself.

use std::time::Duration;

use super::{
    Decided, FUTURE_TOLERANCE, KNOWN_BAD_STAYS, Point, RetentionInput, RetentionPlan, RetentionRefusal,
    Verdict,
    calendar::Calendar,
    chains,
    judged::Judged,
    safety::{self, Toll},
    scratch::{Detail, Link, Marks, Row, newest_first},
    tiers::Walkers,
};
use crate::model::{BackupKind, KeepRules, RecordId, Timestamp};

pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Judges one group. See the [module](super) for the order of judgement.
///
/// # Errors
/// [`RetentionRefusal`]; nothing may expire then.
pub fn plan(input: &RetentionInput<'_>) -> Result<RetentionPlan, RetentionRefusal> {
    Planner::default().plan(input)
}

/// Judges group after group, reusing its memory.
#[derive(Debug, Default)]
pub struct Planner {
    rows: Vec<Row>,
    pub(super) details: Vec<Detail>,
    ids: Vec<(RecordId, usize)>,
    pub(super) links: Vec<Link>,
    walkers: Walkers,
    verdicts: Vec<Verdict>,
    pub(super) newest_usable: Option<Timestamp>,
}

impl Planner {
    /// Judges one group, with the reasons for each verdict.
    ///
    /// # Errors
    /// [`RetentionRefusal`]; nothing may expire then.
    pub fn plan(&mut self, input: &RetentionInput<'_>) -> Result<RetentionPlan, RetentionRefusal> {
        let cautions = self.judge::<true>(input)?;
        let mut decisions = Vec::with_capacity(self.rows.len());
        // An expired record has a reason of each tier, of `days` and of `min_keep`.
        let mut reasons = Vec::with_capacity(self.rows.len() * (self.walkers.active().count() + 2));
        let mut usable = 0;
        for (place, row) in self.rows.iter().enumerate() {
            let Some(point) = input.points.get(row.index) else { continue };
            let start = index(reasons.len());
            let verdict = verdict(row.marks);
            usable += u32::from(row.marks.has(Marks::GOOD));
            let judged = Judged { planner: self, input, place, row, point, usable_rank: usable };
            match verdict {
                Verdict::Keep => judged.why_kept(&mut reasons),
                Verdict::Expire => judged.why_expired(&mut reasons),
            }
            decisions.push(Decided {
                id: point.id,
                at: point.at,
                verdict,
                reasons: start..index(reasons.len()),
            });
        }
        Ok(RetentionPlan { zone: input.zone.clone(), decisions, reasons, cautions })
    }

    /// Judges one group without giving reasons: the verdicts lie as the input's points do.
    ///
    /// # Errors
    /// [`RetentionRefusal`]; nothing may expire then.
    pub fn decide(&mut self, input: &RetentionInput<'_>) -> Result<&[Verdict], RetentionRefusal> {
        self.judge::<false>(input)?;
        self.verdicts.clear();
        self.verdicts.resize(input.points.len(), Verdict::Keep);
        for row in &self.rows {
            if let Some(slot) = self.verdicts.get_mut(row.index) {
                *slot = verdict(row.marks);
            }
        }
        Ok(&self.verdicts)
    }

    fn judge<const REASONS: bool>(
        &mut self,
        input: &RetentionInput<'_>,
    ) -> Result<safety::Cautions, RetentionRefusal> {
        safety::check_input(input)?;
        self.arrange::<REASONS>(input);
        self.mark_facts(input);
        self.mark_tiers::<REASONS>(input);
        self.mark_floors(input);
        chains::keep_ancestors(&mut self.rows, input.points, &mut self.links);
        safety::check_outcome(input, self.toll(input.points))
    }

    /// Lays the records out newest first.
    fn arrange<const REASONS: bool>(&mut self, input: &RetentionInput<'_>) {
        self.rows.clear();
        self.rows.extend(input.points.iter().enumerate().map(|(index, point)| Row {
            index,
            at: point.at,
            marks: Marks::default(),
        }));
        newest_first(&mut self.rows, input.points);
        chains::link(&self.rows, input.points, &mut self.ids, &mut self.links);
        self.details.clear();
        if REASONS {
            self.details.resize(self.rows.len(), Detail::default());
        }
    }

    /// Guards, the future, badness, usability: what needs no other record.
    fn mark_facts(&mut self, input: &RetentionInput<'_>) {
        self.newest_usable = None;
        let horizon = input.now.saturating_add(FUTURE_TOLERANCE);
        for (place, row) in self.rows.iter_mut().enumerate() {
            let Some(point) = input.points.get(row.index) else { continue };
            if point.guards.hold(input.now) {
                row.marks.set(Marks::GUARDED);
            }
            let found_bad_at = self.links.get(place).map_or(point.found_bad_at, |link| link.found_bad_at);
            if let Some(found) = found_bad_at {
                row.marks.set(Marks::BAD);
                if input.now < found.saturating_add(KNOWN_BAD_STAYS) {
                    row.marks.set(Marks::BAD_KEPT);
                }
            } else if point.at > horizon {
                row.marks.set(Marks::FUTURE);
            } else if point.usable {
                row.marks.set(Marks::GOOD);
                self.newest_usable = self.newest_usable.or(Some(point.at));
            }
        }
    }

    /// The tiers of the policy, and of each kind that has rules of its own.
    fn mark_tiers<const REASONS: bool>(&mut self, input: &RetentionInput<'_>) {
        let Some(rules) = input.rules else { return };
        let mut calendar = Calendar::new(input.zone);
        if rules.by_kind.is_empty() {
            self.run_tiers::<REASONS>(input, &rules.keep, &mut calendar, |_| true);
            return;
        }
        self.run_tiers::<REASONS>(input, &rules.keep, &mut calendar, |kind| {
            !rules.by_kind.contains_key(&kind)
        });
        for (own, keep) in &rules.by_kind {
            self.run_tiers::<REASONS>(input, keep, &mut calendar, |kind| kind == *own);
        }
    }

    /// Runs the tiers over the candidates of some kinds; and, where some of those can't be
    /// restored, once more over the usable ones alone, so that none of the others displaces one.
    fn run_tiers<const REASONS: bool>(
        &mut self,
        input: &RetentionInput<'_>,
        keep: &KeepRules,
        calendar: &mut Calendar<'_>,
        select: impl Fn(BackupKind) -> bool,
    ) {
        if !self.walkers.reset(keep) {
            return;
        }
        let kind = |row: &Row| input.points.get(row.index).is_some_and(|point| select(point.kind));
        let candidate = |row: &Row| row.marks.is_candidate() && kind(row);
        self.walk::<REASONS>(calendar, candidate);
        if self.rows.iter().any(|row| candidate(row) && !row.marks.has(Marks::GOOD)) {
            self.walkers.reset(keep);
            self.walk::<REASONS>(calendar, |row| candidate(row) && row.marks.has(Marks::GOOD));
        }
    }

    fn walk<const REASONS: bool>(&mut self, calendar: &mut Calendar<'_>, among: impl Fn(&Row) -> bool) {
        let mut oldest = None;
        for (place, row) in self.rows.iter_mut().enumerate() {
            if !among(row) {
                continue;
            }
            oldest = Some(place);
            if !REASONS && self.walkers.active().all(super::tiers::Walker::is_full) {
                return;
            }
            let local = calendar.local(row.at);
            for (tier, walker) in self.walkers.active_mut() {
                let standing = walker.visit(row.at, &local);
                let picked = standing.newest && standing.rank <= walker.keep;
                if picked {
                    row.marks.set(Marks::TIER);
                }
                if REASONS && let Some(detail) = self.details.get_mut(place) {
                    let noted = &mut detail.standing[tier];
                    if !(noted.newest && noted.rank <= walker.keep && noted.rank > 0) {
                        *noted = standing;
                    }
                }
            }
        }
        let Some(oldest) = oldest else { return };
        for (tier, _) in self.walkers.active_mut().filter(|(_, walker)| !walker.is_full()) {
            if let Some(row) = self.rows.get_mut(oldest) {
                row.marks.set(Marks::TIER);
            }
            if REASONS && let Some(detail) = self.details.get_mut(oldest) {
                detail.oldest_of |= 1 << tier;
            }
        }
    }

    /// Days, time to live, `min_keep` and the floors.
    fn mark_floors(&mut self, input: &RetentionInput<'_>) {
        let min_keep = input.rules.map_or(0, |rules| rules.min_keep);
        let (mut usable, mut verified) = (0, false);
        for row in &mut self.rows {
            let Some(point) = input.points.get(row.index) else { continue };
            let marks = &mut row.marks;
            if !marks.has(Marks::BAD) && !marks.has(Marks::FUTURE) {
                let days = input.rules.and_then(|rules| rules.keep_for(point.kind).days);
                if days.is_some_and(|days| is_within(days, self.newest_usable, point.at)) {
                    marks.set(Marks::DAYS);
                }
                if point.ttl_until.is_some_and(|until| input.now < until) {
                    marks.set(Marks::TTL);
                }
                if input.rules.is_none() && point.ttl_until.is_none() {
                    marks.set(Marks::NO_RULE);
                }
            }
            if marks.has(Marks::GOOD) {
                if usable < min_keep {
                    marks.set(Marks::MIN_KEEP);
                }
                if usable == 0 {
                    marks.set(Marks::NEWEST_USABLE);
                }
                usable = usable.saturating_add(1);
                if point.verified && !verified {
                    verified = true;
                    marks.set(Marks::NEWEST_VERIFIED);
                }
                if input.newest_usable_of_cluster == Some(point.id) {
                    marks.set(Marks::NEWEST_OF_CLUSTER);
                }
            }
        }
    }

    fn toll(&self, points: &[Point]) -> Toll {
        self.rows.iter().filter(|row| !row.marks.stays()).fold(Toll::default(), |toll, row| {
            let marked = points.get(row.index).is_some_and(|point| point.expired);
            Toll { newly: toll.newly + usize::from(!marked), all: toll.all + 1 }
        })
    }
}

const fn verdict(marks: Marks) -> Verdict {
    if marks.stays() { Verdict::Keep } else { Verdict::Expire }
}

/// Whether `days` keeps a record: no usable record means that its age can't be told.
fn is_within(days: u32, newest_usable: Option<Timestamp>, at: Timestamp) -> bool {
    newest_usable.is_none_or(|newest| newest.since(at) < DAY.saturating_mul(days))
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
