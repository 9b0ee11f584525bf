//! How namespaces and paths are named in a snapshot: `/<namespace>/<absolute path>`.

use std::{
    ffi::OsStr,
    path::{Component, Path, PathBuf},
};

use aegis_core::model::NamespaceName;

/// The folder of a namespace at the top of a snapshot.
///
/// A namespace's name may be what no folder can be called, so `/` and `%` are written as in URLs,
/// and so are `.` and `..`.
pub(crate) fn folder(namespace: &NamespaceName) -> String {
    match namespace.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        name => name.replace('%', "%25").replace('/', "%2F"),
    }
}

/// The namespace of a folder at the top of a snapshot; `None` if it is not one of ours.
pub(crate) fn namespace(folder: &OsStr) -> Option<NamespaceName> {
    let name = folder.to_str()?.replace("%2E", ".").replace("%2F", "/").replace("%25", "%");
    NamespaceName::new(name).ok()
}

/// Where `path` of `namespace` lies in a snapshot.
pub(crate) fn snapshot_path(namespace: &NamespaceName, path: &Path) -> PathBuf {
    let mut whole = PathBuf::from("/");
    whole.push(folder(namespace));
    whole.extend(path.components().filter(|part| matches!(part, Component::Normal(_))));
    whole
}

/// The namespace and the path that lie at `path` in a snapshot; `None` if it is not one of ours.
pub(crate) fn split(path: &Path) -> Option<(NamespaceName, PathBuf)> {
    let mut parts = path.components().filter(|part| matches!(part, Component::Normal(_)));
    let namespace = namespace(parts.next()?.as_os_str())?;
    let mut rest = PathBuf::from("/");
    rest.extend(parts);
    Some((namespace, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_namespace_has_a_folder_of_its_own() {
        for name in ["documents", "vm1/disk0", "100%", "%2F", "%252F", ".", "..", "größe/ü"] {
            let name = NamespaceName::new(name).unwrap();
            let folder = folder(&name);
            assert!(!folder.contains('/') && folder != "." && folder != "..", "{folder}");
            assert_eq!(namespace(folder.as_ref()), Some(name));
        }
    }

    #[test]
    fn paths_come_back_as_they_went_in() {
        let name = NamespaceName::new("vm1/disk0").unwrap();
        let path = snapshot_path(&name, Path::new("/srv/a b"));
        assert_eq!(path, Path::new("/vm1%2Fdisk0/srv/a b"));
        assert_eq!(split(&path), Some((name, PathBuf::from("/srv/a b"))));
    }
}
