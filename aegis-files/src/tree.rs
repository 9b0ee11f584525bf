//! Walking a snapshot's trees in the repository.

use std::{
    collections::HashSet,
    ffi::OsStr,
    path::{Component, Path},
};

use rustic_core::{
    BlobId, IndexedFull, IndexedTree, Repository, TreeId,
    repofile::{Metadata, Node, NodeType, SnapshotFile},
};

use crate::{
    control::{Findings, Stop},
    repository::{attempt, session::Session},
};

/// What a walk meets.
#[derive(Debug)]
pub(crate) enum Met<'a> {
    /// A tree that was read.
    Tree(TreeId),
    /// An entry of it.
    Entry(&'a Node),
}

/// Visits every tree of `snapshot` once, with its entries. Trees that can't be read are noted in
/// `broken` and passed over.
pub(crate) fn visit<S: IndexedTree>(
    repository: &Repository<S>,
    session: &Session,
    snapshot: &SnapshotFile,
    broken: &Findings,
    mut each: impl FnMut(Met<'_>),
) -> Result<(), Stop> {
    let mut seen = HashSet::from([snapshot.tree]);
    let mut open = vec![snapshot.tree];
    while let Some(id) = open.pop() {
        session.control.check()?;
        let tree = match attempt(session, "read a directory of the snapshot", || repository.get_tree(&id)) {
            Ok(tree) => tree,
            Err(Stop::Failed(error)) if is_damage(&error) => {
                let line = crate::repository::error::line(&error);
                broken.add("a directory of the snapshot can't be read", line, BROKEN);
                continue;
            }
            Err(stop) => return Err(stop),
        };
        each(Met::Tree(id));
        for node in &tree.nodes {
            if let Some(subtree) = node.subtree
                && seen.insert(subtree)
            {
                open.push(subtree);
            }
            each(Met::Entry(node));
        }
    }
    Ok(())
}

/// The node at `path` in `snapshot`; `None` if there is none. Names may be given as they are or
/// escaped, as browsing shows them.
pub(crate) fn find<S: IndexedTree>(
    repository: &Repository<S>,
    session: &Session,
    snapshot: &SnapshotFile,
    path: &Path,
) -> Result<Option<Node>, Stop> {
    let mut node = Node::new_node(OsStr::new(""), NodeType::Dir, Metadata::default());
    node.subtree = Some(snapshot.tree);
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        let Some(id) = node.subtree else { return Ok(None) };
        let tree = attempt(session, "read a directory of the snapshot", || repository.get_tree(&id))?;
        let found = tree.nodes.into_iter().find(|node| node.name() == name || OsStr::new(&node.name) == name);
        match found {
            Some(found) => node = found,
            None => return Ok(None),
        }
    }
    Ok(Some(node))
}

/// What to do about a snapshot that lacks something.
pub(crate) const BROKEN: &str = "restore from another record or copy, and make a new full backup";

/// Whether `error` says that the repository itself is at fault, and not the way to it.
pub(crate) fn is_damage(error: &aegis_core::seams::DriverError) -> bool {
    use aegis_core::seams::ErrorClass;
    matches!(error.class(), ErrorClass::Internal | ErrorClass::NotFound)
}

/// The bytes that the snapshot takes in storage, shared parts included and each counted once.
/// What the index does not have is noted in `missing`.
pub(crate) fn stored_size<S: IndexedFull>(
    repository: &Repository<S>,
    session: &Session,
    snapshot: &SnapshotFile,
    missing: &Findings,
) -> Result<u64, Stop> {
    let (mut seen, mut total) = (HashSet::<BlobId>::new(), 0_u64);
    visit(repository, session, snapshot, missing, |met| match met {
        Met::Tree(id) => {
            if let Ok(entry) = repository.get_index_entry(&id) {
                total = total.saturating_add(u64::from(entry.location.length));
            }
        }
        Met::Entry(node) => {
            for id in node.content.iter().flatten() {
                if !seen.insert(BlobId::from(*id)) {
                    continue;
                }
                match repository.get_index_entry(id) {
                    Ok(entry) => total = total.saturating_add(u64::from(entry.location.length)),
                    Err(_) => missing.add(MISSING, node.name.clone(), BROKEN),
                }
            }
        }
    })?;
    Ok(total)
}

/// The index knows nothing of part of a file.
pub(crate) const MISSING: &str = "part of a file is not in the repository's index";
