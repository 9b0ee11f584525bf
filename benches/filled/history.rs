//! What else the runs leave beside jobs and records: slots, and what was restored, checked and let go.

use std::time::Duration;

use aegis::{
    model::{
        CheckStatus, DrTest, Entity, ExecutionStatus, PlanStatus, Position, RecordId, RecoveryExecution,
        RecoveryPlan, RetentionDecision, RetentionRun, Slot, SlotOutcome, Timestamp, Verification,
    },
    seams::{DerivedRow, ReaderStep, Store},
    testing::fixtures,
};

use super::{Failure, ROOM, ended, started};

/// How many of each kind there are.
pub const OF_EACH: u64 = 3_000;
/// Who refused events.
pub const RECEIVER: &str = "receiver";
/// How many records one run of retention judges.
const JUDGED: u64 = 8;

/// The slot that a run of a policy came from.
pub(super) fn slot(policy: u64, run: u64, runs: u64) -> Slot {
    Slot {
        nominal_at: started(run, runs),
        outcome: SlotOutcome::Ran { job: fixtures::id(policy * ROOM + run) },
        settled_at: started(run, runs),
        ..fixtures::slot(policy)
    }
}

/// What was done with the runs of the first so many policies.
pub(super) fn all(policies: u64, runs: u64) -> impl Iterator<Item = Entity> {
    let number = if policies == 0 { 0 } else { OF_EACH };
    (0..number).flat_map(move |number| {
        let done = Done::new(number, number % policies, number / policies % runs, runs);
        [
            done.plan().into(),
            done.execution().into(),
            done.verification().into(),
            done.dr_test().into(),
            done.retention_run().into(),
        ]
    })
}

/// Keeps what a receiver refused, as its deliverer would.
pub(super) async fn refuse(store: &dyn Store, head: Position) -> Result<(), Failure> {
    let mut step = ReaderStep::new(format!("notifier/{RECEIVER}"), Position::START, head);
    for position in 1..=OF_EACH {
        let refusal = serde_json::json!({ "reason": "the receiver answered 410", "at": fixtures::START });
        let (tenant, key) = (fixtures::tenant(), format!("{position:020}"));
        step.derived.push(DerivedRow { tenant, key, document: refusal.to_string().into() });
    }
    Ok(store.advance_reader(step).await?)
}

/// One of each kind, of one run of a policy.
struct Done {
    number: u64,
    policy: u64,
    run: u64,
    from: Timestamp,
    to: Timestamp,
}

impl Done {
    fn new(number: u64, policy: u64, run: u64, runs: u64) -> Self {
        let from = ended(run, runs);
        Self { number, policy, run, from, to: from.saturating_add(Duration::from_secs(30)) }
    }

    fn record(&self, run: u64) -> RecordId {
        fixtures::id(self.policy * ROOM + run)
    }

    fn plan(&self) -> RecoveryPlan {
        RecoveryPlan {
            record: self.record(self.run),
            status: PlanStatus::Completed,
            execution: Some(fixtures::id(self.number)),
            created_at: self.from,
            updated_at: self.to,
            ..fixtures::plan(self.number)
        }
    }

    fn execution(&self) -> RecoveryExecution {
        RecoveryExecution {
            record: fixtures::record_ref(self.policy * ROOM + self.run),
            status: ExecutionStatus::Completed,
            started_at: self.from,
            completed_at: Some(self.to),
            percent: 100,
            ..fixtures::execution(self.number)
        }
    }

    /// Each policy's first record is checked again and again.
    fn verification(&self) -> Verification {
        let first = fixtures::verification(self.policy * ROOM).record;
        Verification {
            record: first,
            status: CheckStatus::Passed,
            started_at: self.from,
            completed_at: Some(self.to),
            ..fixtures::verification(self.number)
        }
    }

    fn dr_test(&self) -> DrTest {
        let mut test = fixtures::dr_test(self.number);
        if let Some(run) = &mut test.run {
            run.record = fixtures::record_ref(self.policy * ROOM + self.run);
        }
        DrTest {
            policy: Some(fixtures::id(self.policy)),
            status: CheckStatus::Passed,
            started_at: self.from,
            completed_at: Some(self.to),
            ..test
        }
    }

    fn retention_run(&self) -> RetentionRun {
        let decision = |run| RetentionDecision {
            record: self.record(run),
            kept: run > self.run,
            reasons: vec!["it is one of the last 7".to_owned()],
        };
        RetentionRun {
            policy: Some(fixtures::id(self.policy)),
            started_at: self.from,
            completed_at: Some(self.to),
            decisions: (self.run..self.run + JUDGED).map(decision).collect(),
            ..fixtures::retention_run(self.number)
        }
    }
}
