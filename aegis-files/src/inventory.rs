//! What a repository holds, whoever made it.

use std::sync::Arc;

use aegis_core::{
    model::Bytes,
    seams::{InventoryItem, InventoryPage, InventoryRequest},
};
use rustic_core::repofile::SnapshotFile;

use crate::{
    control::{Control, Stop},
    repository::{Location, attempt, session::Session},
    snapshot::{self, Marks},
};

/// One page of the snapshots, ours by their artifacts' names and after them the others by their
/// ids. A location without a repository holds nothing. Blocks.
pub(crate) fn inventory(location: &Location, request: &InventoryRequest) -> Result<InventoryPage, Stop> {
    if !location.exists()? {
        return Ok(InventoryPage::default());
    }
    let session = Session::new(Arc::new(Control::default()));
    let repository = location.open(&session)?;
    let found = attempt(&session, "list the repository's snapshots", || repository.get_all_snapshots())?;
    // What another tenant made is not this one's to see.
    let visible =
        found.iter().filter(|found| Marks::of(found).is_none_or(|marks| marks.tenant == request.tenant));
    let mut items: Vec<_> = visible.map(item).collect();
    items.sort_by_key(order);
    if let Some(after) = &request.after {
        items.retain(|item| order(item) > *after);
    }
    let more = items.len() > request.limit.max(1);
    items.truncate(request.limit.max(1));
    let next = items.last().filter(|_| more).map(order);
    Ok(InventoryPage { items, next })
}

fn item(found: &SnapshotFile) -> InventoryItem {
    let marks = Marks::of(found);
    InventoryItem {
        handle: snapshot::handle(found),
        artifact: marks.as_ref().map(|marks| marks.artifact.clone()),
        operation: marks.map(|marks| marks.operation),
        cluster: snapshot::cluster(found),
        namespaces: snapshot::namespaces(found),
        started_at: snapshot::started_at(found),
        logical_size: found.summary.as_ref().map(|summary| Bytes(summary.total_bytes_processed)),
    }
}

/// `~` comes after every letter of an artifact's name.
fn order(item: &InventoryItem) -> String {
    let artifact = item.artifact.as_ref().map_or("~", |artifact| artifact.as_str());
    format!("{artifact}/{}", item.handle)
}
