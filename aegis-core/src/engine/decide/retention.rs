//! Which records of a group may go: the rules' plan as a changeset.

use std::{collections::HashMap, sync::Arc};

use super::{Decider, record::record_facts};
use crate::{
    model::{
        BackupRecord, CheckStatus, EventFacts, EventKind, ExpiredBy, Policy, Principal, RecordId,
        RecordLifecycle, RecordState, RecordStep, RetentionDecision, RetentionGroup, RetentionRules,
        RetentionRun, TenantId, Timestamp, Versioned, ZoneName,
    },
    rules::retention::{
        Acknowledgement, Decision, Guards, Point, Reason, RetentionInput, RetentionPlan, RetentionRefusal,
        Verdict, plan,
    },
    seams::Changeset,
};

/// The records of one group, and what is known around them.
#[derive(Debug)]
pub(crate) struct Group {
    /// Whose.
    pub(crate) tenant: TenantId,
    /// Which.
    pub(crate) key: RetentionGroup,
    /// Their policy; `None` for records of none, or of one that was deleted.
    pub(crate) policy: Option<Arc<Policy>>,
    /// Its records that are there, expired ones included.
    pub(crate) records: Vec<Versioned<BackupRecord>>,
    /// The newest usable record of the cluster, whatever its policy.
    pub(crate) newest_of_cluster: Option<RecordId>,
    /// When retention last looked at the group.
    pub(crate) last_run: Option<Timestamp>,
    /// When the newest event was committed.
    pub(crate) newest_event: Option<Timestamp>,
    /// Whether a person accepted what gives pause.
    pub(crate) acknowledgement: Acknowledgement,
}

/// A finished run of the planner.
#[derive(Debug)]
pub(crate) struct Sweep {
    /// What to commit.
    pub(crate) changeset: Changeset,
    /// What is recorded of it.
    pub(crate) run: RetentionRun,
}

impl Sweep {
    /// Whether there is more to commit than the note that nothing changed.
    pub(crate) fn changes_anything(&self) -> bool {
        self.changeset.changes.len() > 1 || self.run.status != CheckStatus::Passed
    }
}

impl Group {
    /// The rules' plan for the group; the same for a preview and for a real run.
    ///
    /// # Errors
    /// [`RetentionRefusal`] if the plan may not be made or carried out.
    pub(crate) fn plan(&self, now: Timestamp) -> Result<RetentionPlan, RetentionRefusal> {
        self.plan_with(self.acknowledgement, now)
    }

    fn plan_with(
        &self,
        acknowledgement: Acknowledgement,
        now: Timestamp,
    ) -> Result<RetentionPlan, RetentionRefusal> {
        let there: HashMap<RecordId, &BackupRecord> =
            self.records.iter().map(|record| (record.id, &**record)).collect();
        let points: Vec<Point> = self
            .records
            .iter()
            .map(|record| {
                let point = point_of(record, self.policy.as_deref(), now);
                Point { usable: point.usable && rests_on_what_is_there(record, &there), ..point }
            })
            .collect();
        let zone = self.policy.as_deref().map_or(ZoneName::UTC, Policy::zone).time_zone();
        let mut input = match &self.policy {
            Some(policy) => RetentionInput::new(&policy.retention, &zone, &points, now),
            None => RetentionInput::without_policy(&zone, &points, now),
        };
        input.last_run = self.last_run;
        input.newest_event = self.newest_event;
        input.newest_usable_of_cluster = self.newest_of_cluster;
        input.acknowledgement = acknowledgement;
        plan(&input)
    }
}

impl Decider<'_> {
    /// Marks what may go, brings back what stays after all, and records the run with its reasons.
    pub(crate) fn sweep(&self, group: &Group, requested_by: Principal) -> Sweep {
        let mut changeset = self.changeset_by(requested_by.clone());
        let mut run = RetentionRun {
            id: self.ids.mint(self.now),
            tenant: group.tenant.clone(),
            policy: group.key.policy,
            cluster: group.key.cluster.clone(),
            location: group.key.location.clone(),
            status: CheckStatus::Passed,
            requested_by,
            started_at: self.now,
            completed_at: Some(self.now),
            decisions: Vec::new(),
            reason: None,
        };
        match group.plan(self.now) {
            Ok(plan) => {
                self.write_plan(&mut changeset, group, &plan);
                run.decisions = decisions_of(&plan);
            }
            Err(refusal) => {
                run.status = CheckStatus::NotRun;
                run.reason = Some(refusal.to_string());
                // What waits for a person's word, for that person.
                if let Ok(plan) = group.plan_with(Acknowledgement::Given, self.now) {
                    run.decisions = decisions_of(&plan);
                }
            }
        }
        let facts = EventFacts {
            cluster: Some(group.key.cluster.clone()),
            policy: run.policy,
            reason: run.reason.clone(),
            ..EventFacts::default()
        };
        changeset.insert(run.clone(), EventKind::RetentionRunRecorded, facts);
        Sweep { changeset, run }
    }

    fn write_plan(&self, changeset: &mut Changeset, group: &Group, plan: &RetentionPlan) {
        let grace =
            group.policy.as_ref().map_or(RetentionRules::DEFAULT_GRACE, |policy| policy.retention.grace);
        let records: HashMap<RecordId, _> = group.records.iter().map(|record| (record.id, record)).collect();
        for decision in plan.decisions() {
            let Some(record) = records.get(&decision.id) else { continue };
            let reason = decision.explanation();
            let (step, kind) = match (record.state(), decision.verdict) {
                (RecordState::Available, Verdict::Expire) => {
                    let delete_after = self.now.saturating_add(grace);
                    (
                        RecordStep::Expire { by: ExpiredBy::Rules, delete_after, reason: reason.clone() },
                        EventKind::RecordExpired,
                    )
                }
                (RecordState::Expired, Verdict::Keep) if is_by_rules(record) => {
                    (RecordStep::Reinstate, EventKind::RecordReinstated)
                }
                (
                    RecordState::Available
                    | RecordState::Expired
                    | RecordState::Deleting
                    | RecordState::Deleted,
                    Verdict::Keep | Verdict::Expire,
                ) => continue,
            };
            let facts = EventFacts { reason: Some(reason), ..record_facts(record) };
            match BackupRecord::clone(record).apply(step, self.now) {
                Ok(next) => changeset.update(record.version, next, kind, facts),
                Err(error) => {
                    tracing::error!(%error, record = %record.id, "a retention decision has no step")
                }
            }
        }
    }
}

/// Whether nothing that a record rests on is missing from its group; what is bad, the rules see.
fn rests_on_what_is_there(record: &BackupRecord, there: &HashMap<RecordId, &BackupRecord>) -> bool {
    let mut at = record;
    for _ in 0..=there.len() {
        let Some(parent) = at.parent else { return true };
        let Some(found) = there.get(&parent) else { return false };
        at = found;
    }
    false
}

/// Whether the rules marked the record, so that they may bring it back.
fn is_by_rules(record: &BackupRecord) -> bool {
    matches!(record.lifecycle, RecordLifecycle::Expired { by: ExpiredBy::Rules, .. })
}

/// Why a decision does not let a record go that was marked by `by`: a person's word outweighs the
/// rules' tiers and times, but neither guards nor floors nor what a descendant needs. `None` if it does.
pub(crate) fn kept_from(decision: &Decision<'_>, by: &ExpiredBy) -> Option<String> {
    let why: Vec<String> = match (decision.verdict, by) {
        (Verdict::Expire, _) => return None,
        (Verdict::Keep, ExpiredBy::Rules) => decision.explain().collect(),
        (Verdict::Keep, ExpiredBy::Person(_)) => {
            let reasons = decision.reasons.iter().zip(decision.explain());
            reasons.filter(|(reason, _)| binds_people(reason)).map(|(_, text)| text).collect()
        }
    };
    (!why.is_empty()).then(|| why.join("; "))
}

/// Whether a reason to keep a record holds against a person's word, too.
const fn binds_people(reason: &Reason) -> bool {
    match reason {
        Reason::Held
        | Reason::Protected
        | Reason::LockedUntil(_)
        | Reason::InUse
        | Reason::MinKeep { .. }
        | Reason::NewestUsable
        | Reason::NewestVerified
        | Reason::NewestUsableOfCluster
        | Reason::AncestorOf(_) => true,
        Reason::Future { .. }
        | Reason::KnownBad { .. }
        | Reason::KnownBadOver { .. }
        | Reason::Newest { .. }
        | Reason::OldestFill { .. }
        | Reason::NotNewest { .. }
        | Reason::BeyondTier { .. }
        | Reason::WithinDays { .. }
        | Reason::AgeUnknown { .. }
        | Reason::OlderThanDays { .. }
        | Reason::TtlUntil(_)
        | Reason::TtlEnded { .. }
        | Reason::BeyondMinKeep { .. }
        | Reason::NoRule => false,
    }
}

/// Every decision with its reasons in English.
pub(crate) fn decisions_of(plan: &RetentionPlan) -> Vec<RetentionDecision> {
    plan.decisions()
        .map(|decision| RetentionDecision {
            record: decision.id,
            kept: decision.verdict == Verdict::Keep,
            reasons: decision.explain().collect(),
        })
        .collect()
}

/// A record by itself as the rules see it; whether its chain is whole, its [`Group`] knows.
pub(crate) fn point_of(record: &BackupRecord, policy: Option<&Policy>, now: Timestamp) -> Point {
    let verified = record.verified().is_some();
    let partial_counts = policy.is_none_or(|policy| policy.count_partial);
    let mut point = Point::new(record.id, record.recovery_point.at);
    point.usable = record.is_usable()
        && (!record.partial || partial_counts)
        && (record.made_during.is_none() || verified);
    point.verified = verified && record.found_bad.is_none();
    point.expired = record.state() == RecordState::Expired;
    point.kind = record.kind;
    point.guards = Guards {
        held: record.holds.iter().any(|hold| hold.is_active(now)),
        protected: record.protected,
        in_use: !record.uses.is_empty(),
        locked_until: record.locked_until(),
    };
    point.found_bad_at = record.found_bad.as_ref().map(|found| found.at);
    point.ttl_until = record.ttl.map(|ttl| record.created_at.saturating_add(ttl));
    point.parent = record.parent;
    point
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::{model::Version, testing::fixtures};

    #[test]
    fn a_record_whose_base_is_gone_serves_no_floor() {
        let mut policy = fixtures::policy(1);
        policy.retention = RetentionRules { min_keep: 1, ..RetentionRules::default() };
        let day = std::time::Duration::from_secs(24 * 3600);
        let made = |number: u64, parent: Option<u64>| {
            let mut record = fixtures::record(number);
            record.policy = Some(policy.id);
            record.recovery_point.at =
                record.recovery_point.at.saturating_add(day * u32::try_from(number).unwrap());
            record.parent = parent.map(fixtures::id);
            Versioned { version: Version::FIRST, value: std::sync::Arc::new(record) }
        };
        // The newest rests on a record that is not there, the next one on one that is.
        let records = [made(4, Some(9)), made(3, Some(2)), made(2, None), made(1, None)];
        let group = Group {
            tenant: policy.tenant.clone(),
            key: RetentionGroup {
                cluster: policy.cluster.clone(),
                policy: Some(policy.id),
                location: policy.location.clone(),
            },
            policy: Some(Arc::new(policy)),
            records: records.into(),
            newest_of_cluster: None,
            last_run: None,
            newest_event: None,
            acknowledgement: Acknowledgement::Given,
        };
        let plan = group.plan(fixtures::START.saturating_add(day * 5)).unwrap();
        let stay = |number: u64| plan.decision(fixtures::id(number)).unwrap().verdict == Verdict::Keep;
        assert_eq!([4, 3, 2, 1].map(stay), [false, true, true, false]);
    }
}
