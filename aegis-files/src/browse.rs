//! Listing what a record holds: its namespaces at the top, below each its files by their absolute
//! paths.

use std::{path::Path, sync::Arc};

use aegis_core::{
    model::Timestamp,
    seams::{BrowseEntry, BrowsePage, BrowseRequest, DriverError, EntryKind},
};
use rustic_core::repofile::{Node, NodeType};

use crate::{
    control::{Control, Stop},
    repository::{Location, attempt, session::Session},
    snapshot, tree,
};

/// One page of the entries directly below the request's path. Blocks.
pub(crate) fn browse(location: &Location, request: &BrowseRequest) -> Result<BrowsePage, Stop> {
    let session = Session::new(Arc::new(Control::default()));
    let repository = location.open(&session)?;
    let found = snapshot::require(&repository, &session, &request.record.handle)?;
    let action = "list the record's files";
    let repository = attempt(&session, action, || repository.to_indexed_ids())?;
    let path = snapshot_path(&request.path)?;
    let node = tree::find(&repository, &session, &found, &path)?;
    let node = node.ok_or_else(|| not_there(&request.path, "is not in the record"))?;
    let tree = node.subtree.ok_or_else(|| not_there(&request.path, "is no directory"))?;
    let tree = attempt(&session, action, || repository.get_tree(&tree))?;
    Ok(page(tree.nodes, request))
}

/// The first name of a browsed path is a namespace.
fn snapshot_path(path: &str) -> Result<std::path::PathBuf, DriverError> {
    let path = path.trim_matches('/');
    if path.split('/').any(|part| part == "..") {
        return Err(DriverError::invalid_input(format!("the path `{path}` has `..` in it")));
    }
    Ok(Path::new("/").join(path))
}

fn not_there(path: &str, what: &str) -> DriverError {
    DriverError::not_found(format!("`{path}` {what}")).with_suggestion("list the record from its top")
}

fn page(nodes: Vec<Node>, request: &BrowseRequest) -> BrowsePage {
    let after = |node: &Node| request.after.as_ref().is_none_or(|after| node.name > *after);
    let mut nodes: Vec<_> = nodes.into_iter().filter(after).collect();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    let more = nodes.len() > request.limit.max(1);
    nodes.truncate(request.limit.max(1));
    let next = nodes.last().filter(|_| more).map(|node| node.name.clone());
    BrowsePage { entries: nodes.into_iter().map(entry).collect(), next }
}

fn entry(node: Node) -> BrowseEntry {
    let kind = match node.node_type {
        NodeType::File => EntryKind::File,
        NodeType::Dir => EntryKind::Directory,
        NodeType::Symlink { .. } => EntryKind::Symlink,
        NodeType::Dev { .. } | NodeType::Chardev { .. } | NodeType::Fifo | NodeType::Socket => {
            EntryKind::Other
        }
    };
    BrowseEntry {
        size: node.is_file().then_some(node.meta.size),
        modified_at: node.meta.mtime.map(|time| Timestamp::from_micros(time.as_microsecond())),
        name: node.name,
        kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::naming;

    #[test]
    fn a_browsed_path_begins_with_the_namespaces_folder() {
        let namespace = aegis_core::model::NamespaceName::new("docs").unwrap();
        let path = naming::snapshot_path(&namespace, Path::new("/srv/docs"));
        assert_eq!(snapshot_path("docs/srv/docs/").unwrap(), path);
        assert!(snapshot_path("docs/../x").is_err());
    }
}
