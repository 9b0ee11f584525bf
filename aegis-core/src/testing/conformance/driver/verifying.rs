//! What verification finds.

use super::{DriverHarness, session::Session};
use crate::{
    model::VerificationLevel,
    seams::{EndStatus, Outcome, VerifyResult, WorkResult},
};

fn found(outcome: &Outcome) -> &VerifyResult {
    match &outcome.result {
        WorkResult::Verify(found) => found,
        other => panic!("a verification tells what it found, not {other:?}"),
    }
}

/// A good backup passes at every level that is declared.
pub async fn a_good_backup_passes_every_declared_level<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let record = session.back_up().await;
    for level in session.capabilities().verification.clone() {
        let outcome = session.complete(&session.verify(&record, level)).await;
        let found = found(&outcome);
        assert_eq!((found.passed, found.failed), (Some(level), None), "{outcome:?}");
    }
}

/// A backup that was damaged so that a level must find it fails at that level or below, and says so.
pub async fn a_damaged_backup_fails<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    for level in session.capabilities().verification.clone() {
        let record = session.back_up().await;
        if level == VerificationLevel::Catalogued || !session.bench.damage(&record, level).await {
            continue;
        }
        let outcome = session.run(&session.verify(&record, level)).await;
        assert_eq!(outcome.status, EndStatus::Failed, "damaged for {level}: {outcome:?}");
        let found = found(&outcome);
        let failed = found.failed.is_some_and(|failed| failed <= level);
        assert!(failed, "damaged for {level}, and not found: {outcome:?}");
        assert!(found.passed < found.failed, "what failed did not pass: {outcome:?}");
    }
}
