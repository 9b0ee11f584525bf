//! What a backup is.

use super::{
    DriverHarness,
    session::{CHANGED, CONTENT, ENTRY, Session, backup_result, in_place, must_refuse},
};
use crate::{
    model::{BackupKind, ExistingResourcePolicy, NamespaceName},
    seams::{DriverError, ErrorClass, Feature, Work, report},
};

/// A backup that completed tells its handle, its namespaces, its counts, and no size that is too
/// small.
pub async fn a_backup_tells_what_it_made<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let result = backup_result(&session.run(&session.some_backup()).await);
    let length = result.handle.len();
    assert!((1..=253).contains(&length), "a handle of {length} bytes can't be kept");
    assert_eq!(result.namespaces, [session.namespace()], "it covers what was asked for");
    assert!(result.counts.total() > 0, "it holds something, which is counted: {result:?}");
    let least = u64::try_from(CONTENT.len()).unwrap_or(u64::MAX);
    let told = result.sizes.logical.is_none_or(|size| size.0 >= least);
    assert!(told, "it holds more than {:?}", result.sizes);
    let checksum = result.checksum.as_deref();
    assert!(checksum.is_none_or(|text| text.starts_with("sha256:")), "{checksum:?} names no algorithm");
}

/// Each backup restores what was there when it was made, whatever came after and whatever it builds
/// on.
pub async fn each_backup_holds_what_was_there_then<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let first = session.back_up().await;
    session.write(ENTRY, CHANGED).await;
    for kind in session.capabilities().kinds.clone() {
        let mut operation = session.backup(kind);
        if let Work::Backup(work) = &mut operation.work {
            work.base = (kind != BackupKind::Full).then(|| first.clone());
        }
        let later = session.back_up_as(&operation).await;
        for (record, content) in [(&first, CONTENT), (&later, CHANGED)] {
            session.remove(ENTRY).await;
            session.complete(&session.restore(record, in_place(ExistingResourcePolicy::None))).await;
            assert_eq!(session.read(ENTRY).await.as_deref(), Some(content), "restored around a {kind}");
        }
    }
}

/// No error, its cause and its advice included, tells the secret.
pub async fn no_error_tells_the_secret<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open(harness).await else { return };
    let Some(secret) = session.bench.secret() else { return };
    let mut record = session.back_up().await;
    record.handle = "no-such-handle".to_owned();
    let mut unknown = session.some_backup();
    if let (Work::Backup(work), Ok(name)) = (&mut unknown.work, NamespaceName::new("no-such-namespace")) {
        work.namespaces = vec![name];
    }
    let mut errors: Vec<DriverError> =
        vec![must_refuse(session.driver.start(&unknown).await, &ErrorClass::ALL, "back up nothing")];
    let restore = session.restore(&record, in_place(ExistingResourcePolicy::None));
    errors.extend(session.driver.start(&restore).await.err());
    if session.has(Feature::Browse) {
        errors.extend(session.driver.browse(&session.browse_request(&record, "")).await.err());
    }
    for error in errors {
        let told = format!("{error} {error:?} {} {:?}", report(&error), error.detail().suggestion);
        assert!(!told.contains(&secret), "an error of class {:?} tells the secret", error.class());
    }
}
