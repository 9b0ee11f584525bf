//! Pages of what a scripted driver has.

use std::collections::BTreeMap;

use super::world::{Artifact, World, length};
use crate::seams::{
    BrowseEntry, BrowsePage, BrowseRequest, DriverError, EntryKind, InventoryItem, InventoryPage,
    InventoryRequest,
};

/// One page of the entries directly below a path.
pub(super) fn browse(artifact: &Artifact, request: &BrowseRequest) -> Result<BrowsePage, DriverError> {
    let entries = entries_below(artifact, &request.path);
    if entries.is_empty() {
        return Err(DriverError::not_found(format!(
            "there is no folder `{}` in the backup `{}`",
            request.path, artifact.handle
        )));
    }
    let after = request.after.as_deref().unwrap_or_default();
    let mut rest = entries.into_values().filter(|entry| entry.name.as_str() > after);
    let entries: Vec<BrowseEntry> = rest.by_ref().take(request.limit.max(1)).collect();
    let next = rest.next().and(entries.last()).map(|entry| entry.name.clone());
    Ok(BrowsePage { entries, next })
}

fn entries_below(artifact: &Artifact, folder: &str) -> BTreeMap<String, BrowseEntry> {
    let mut entries = BTreeMap::new();
    for (namespace, files) in &artifact.files {
        for (path, bytes) in files {
            let full = format!("{namespace}/{path}");
            let below = if folder.is_empty() {
                Some(full.as_str())
            } else {
                full.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'))
            };
            let Some(below) = below else { continue };
            let (name, kind, size) = match below.split_once('/') {
                Some((name, _)) => (name, EntryKind::Directory, None),
                None => (below, EntryKind::File, Some(length(bytes))),
            };
            let modified_at = Some(artifact.started_at);
            entries.insert(name.to_owned(), BrowseEntry { name: name.to_owned(), kind, size, modified_at });
        }
    }
    entries
}

/// One page of what lies in a location.
pub(super) fn inventory(world: &World, request: &InventoryRequest) -> InventoryPage {
    let after = request.after.as_deref().unwrap_or_default();
    let mut rest = world.artifacts.values().filter(|artifact| {
        artifact.handle.as_str() > after
            && request.location.contains(&artifact.location)
            && artifact.tenant.as_ref().is_none_or(|tenant| *tenant == request.tenant)
    });
    let items: Vec<InventoryItem> = rest.by_ref().take(request.limit.max(1)).map(Artifact::item).collect();
    let next = rest.next().and(items.last()).map(|item| item.handle.clone());
    InventoryPage { items, next }
}
