//! What a driver declares, and what it answers.

use super::{
    DriverHarness,
    session::{ENTRY, Session, in_place, must, must_refuse},
};
use crate::{
    model::{BackupKind, ExistingResourcePolicy, RestoreOptions, RestoreTarget, VerificationLevel},
    seams::{DriverError, EndStatus, ErrorClass, Feature, InventoryRequest, Observation},
};

const UNSUPPORTED: &[ErrorClass] = &[ErrorClass::Unsupported];

/// A backup of each kind that is declared completes.
pub async fn every_declared_kind_makes_a_backup<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    for kind in session.capabilities().kinds.clone() {
        let outcome = session.run(&session.backup(kind)).await;
        assert_eq!(outcome.status, EndStatus::Completed, "{kind}: {outcome:?}");
    }
}

/// A backup of a kind that is not declared is `Unsupported`, and leaves nothing.
pub async fn undeclared_kinds_are_unsupported<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let declared = session.capabilities().kinds.clone();
    for kind in BackupKind::ALL.iter().copied().filter(|kind| !declared.contains(kind)) {
        let operation = session.backup(kind);
        must_refuse(session.driver.start(&operation).await, UNSUPPORTED, "make an undeclared kind of backup");
        assert_eq!(session.observe(&operation).await, Observation::Absent, "{kind}");
    }
}

/// A verification at a level that is not declared is `Unsupported`.
pub async fn undeclared_levels_are_unsupported<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let record = session.back_up().await;
    let declared = session.capabilities().verification.clone();
    for level in VerificationLevel::ALL.iter().copied().filter(|level| !declared.contains(level)) {
        let operation = session.verify(&record, level);
        must_refuse(session.driver.start(&operation).await, UNSUPPORTED, "verify at an undeclared level");
    }
}

/// What needs a feature that is not declared is `Unsupported`.
pub async fn undeclared_features_are_unsupported<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    for feature in Feature::ALL.iter().copied().filter(|feature| !session.has(*feature)) {
        if let Some(answer) = ask_for(&session, feature).await {
            must_refuse(answer, UNSUPPORTED, &format!("use the undeclared `{feature}`"));
        }
    }
}

/// What needs a feature that is declared is answered.
pub async fn declared_features_are_answered<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    for feature in Feature::ALL.iter().copied().filter(|feature| session.has(*feature)) {
        if let Some(answer) = ask_for(&session, feature).await {
            must(answer, &format!("use the declared `{feature}`"));
        }
    }
}

/// Asks for what needs `feature`; `None` if no call needs it, or none can be made here.
async fn ask_for(session: &Session, feature: Feature) -> Option<Result<(), DriverError>> {
    let record = session.back_up().await;
    let none = ExistingResourcePolicy::None;
    let with = |change: &dyn Fn(&mut RestoreOptions)| {
        let mut options = in_place(none);
        change(&mut options);
        session.restore(&record, options)
    };
    let map_to = |target: RestoreTarget| {
        let namespace = session.namespace();
        with(&|options| drop(options.mapping.insert(namespace.clone(), target.clone())))
    };
    let driver = &session.driver;
    Some(match feature {
        Feature::CancelBackup => driver.cancel(&session.some_backup()).await,
        Feature::CancelRestore => driver.cancel(&session.restore(&record, in_place(none))).await,
        Feature::Preview => {
            let work = session.restore_work(&record, in_place(none));
            driver.preview(&session.bench.tenant(), &work).await.map(drop)
        }
        Feature::Browse => driver.browse(&session.browse_request(&record, "")).await.map(drop),
        Feature::Inventory => {
            let (tenant, location) = (session.bench.tenant(), session.bench.location());
            driver.inventory(&InventoryRequest { tenant, location, after: None, limit: 1 }).await.map(drop)
        }
        Feature::SelectPaths => driver.start(&with(&|options| options.paths.push(ENTRY.to_owned()))).await,
        Feature::MapNamespaces => driver.start(&map_to(RestoreTarget::Namespace(session.second()))).await,
        Feature::MapToPaths => {
            // A driver that can't restore to folders has none to offer.
            let folder = session.bench.restore_folder().unwrap_or_else(|| "/restores/aegis".to_owned());
            driver.start(&map_to(RestoreTarget::Path(folder))).await
        }
        Feature::UpdateExisting => {
            driver.start(&with(&|options| options.existing = ExistingResourcePolicy::Update)).await
        }
        Feature::CleanUp => {
            let trial = session.trial(&record, &session.elsewhere());
            if session.has(feature) {
                session.complete(&trial).await;
            }
            driver.start(&session.clean_up(&trial)).await
        }
        Feature::Volumes | Feature::Chains | Feature::PointInTime => return None,
    })
}
