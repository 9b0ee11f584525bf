//! What is told of what lies in storage.

use super::{
    DriverHarness,
    session::{CONTENT, ENTRY, Session, must_refuse},
};
use crate::{
    model::RecordRef,
    seams::{BrowseEntry, EntryKind, ErrorClass, Feature},
};

/// Every folder below `path` with its entries, `path` first.
async fn walk(session: &Session, record: &RecordRef, limit: usize) -> Vec<(String, Vec<BrowseEntry>)> {
    let mut folders = vec![String::new()];
    let mut all = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = session.browse(record, &folder, limit).await;
        for entry in entries.iter().filter(|entry| entry.kind == EntryKind::Directory) {
            let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
            folders.push(format!("{below}{}", entry.name));
        }
        all.push((folder, entries));
        assert!(all.len() <= 10_000, "the folders never end");
    }
    all
}

/// Below a record's root, every entry that was backed up is found with its kind and size.
pub async fn browsing_finds_what_was_backed_up<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::Browse]).await else { return };
    let record = session.back_up().await;
    let all = walk(&session, &record, 100).await;
    let (folder, name) = ENTRY.rsplit_once('/').unwrap_or(("", ENTRY));
    let below = all.iter().filter(|(path, _)| path.ends_with(folder)).flat_map(|(_, entries)| entries);
    let found: Vec<_> = below.filter(|entry| entry.name == name).collect();
    let [entry] = &*found else { panic!("`{ENTRY}` should be found once in {all:?}") };
    assert_eq!(entry.kind, EntryKind::File);
    let length = u64::try_from(CONTENT.len()).ok();
    assert!(entry.size.is_none() || entry.size == length, "{entry:?} has another size than {length:?}");
}

/// Pages of one entry hold what one large page holds, in order of the names.
pub async fn browse_pages_agree_with_the_whole<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::Browse]).await else { return };
    for name in ["a/2", "a/10", "a/ä", "a/Z"] {
        session.write(name, b"paged").await;
    }
    let record = session.back_up().await;
    let whole = walk(&session, &record, 100).await;
    let most = whole.iter().map(|(_, entries)| entries.len()).max();
    assert!(most.is_some_and(|most| most >= 5), "some folder has the five entries: {whole:?}");
    for (folder, entries) in &whole {
        let names: Vec<_> = entries.iter().map(|entry| &entry.name).collect();
        assert!(names.is_sorted(), "{names:?} in `{folder}` is not sorted");
    }
    for limit in [1, 2] {
        assert_eq!(walk(&session, &record, limit).await, whole, "by pages of {limit}");
    }
}

/// A path or record that is not there is `NotFound`.
pub async fn browsing_what_is_not_there_is_refused<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::Browse]).await else { return };
    let record = session.back_up().await;
    let unknown = RecordRef { handle: "0".repeat(64), ..record.clone() };
    for request in [session.browse_request(&record, "no/such/folder"), session.browse_request(&unknown, "")] {
        let answer = session.driver.browse(&request).await;
        must_refuse(answer, &[ErrorClass::NotFound], "browse what is not there");
    }
}

/// Each backup is listed once, with its handle and the operation that made it.
pub async fn inventory_lists_every_backup_with_its_operation<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::Inventory]).await else { return };
    assert!(session.inventory(100).await.is_empty(), "nothing was made yet");
    for made in 1..=3 {
        let operation = session.some_backup();
        let record = session.back_up_as(&operation).await;
        let listed = session.inventory(100).await;
        assert_eq!(listed.len(), made, "{listed:?}");
        let item = listed.iter().find(|item| item.handle == record.handle);
        let Some(item) = item else { panic!("{listed:?} lacks `{}`", record.handle) };
        assert_eq!(item.operation, Some(operation.id));
        assert_eq!(item.artifact.as_ref(), Some(&operation.name));
        assert_eq!(item.cluster, Some(operation.cluster));
        assert_eq!(item.namespaces, record.namespaces);
    }
}

/// Pages of one backup hold what one large page holds.
pub async fn inventory_pages_agree_with_the_whole<H: DriverHarness>(harness: &H) {
    let Some(session) = Session::open_with(harness, &[Feature::Inventory]).await else { return };
    for _ in 0..3 {
        session.back_up().await;
    }
    let whole = session.inventory(100).await;
    assert_eq!(whole.len(), 3, "{whole:?}");
    for limit in [1, 2] {
        assert_eq!(session.inventory(limit).await, whole, "by pages of {limit}");
    }
}
