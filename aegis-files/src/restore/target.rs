//! Where each part of a record goes: in place, to another namespace, or below a restore root.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Component, Path, PathBuf},
};

use aegis_core::{
    model::{NamespaceName, RestoreOptions, RestoreTarget},
    seams::DriverError,
};

use crate::{clean_up::Territory, fileset::FileSet, naming, trial};

/// What a restore may write to, by configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed<'a> {
    pub(crate) namespaces: &'a BTreeMap<NamespaceName, FileSet>,
    pub(crate) restore_roots: &'a [PathBuf],
}

/// One path of a record and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// Where it lies in the snapshot.
    pub(crate) snapshot_path: PathBuf,
    /// The directory that the configuration trusts. For a path of a namespace that may be a file,
    /// its last name is the first of `below`.
    pub(crate) trusted: PathBuf,
    /// The names below it, which lead there; no link among them is followed.
    pub(crate) below: Vec<OsString>,
    /// Only what lies at or below these paths, relative to it; everything if empty.
    pub(crate) only: Vec<PathBuf>,
}

/// Where the paths of `namespaces` go; `record` are the paths of the snapshot.
///
/// - In place: each path goes back to itself, if its namespace still has it.
/// - To a namespace: path by path, in their order; both must have as many.
/// - To a path: a single path becomes it; of several, each goes below it under its last name.
///
/// # Errors
/// `InvalidInput` for what may not be or leads nowhere, `NotFound` for a namespace or path that is
/// not there; each with the mend.
pub(crate) fn map(
    record: &[PathBuf],
    namespaces: &[NamespaceName],
    options: &RestoreOptions,
    allowed: Allowed<'_>,
) -> Result<Vec<Mapped>, DriverError> {
    let mut mapped = Vec::new();
    for namespace in namespaces {
        let paths = paths_of(record, namespace);
        if paths.is_empty() {
            let error = DriverError::not_found(format!("the record has no namespace `{namespace}`"));
            return Err(error.with_suggestion("choose among the namespaces that the record lists"));
        }
        let targets = match options.mapping.get(namespace) {
            None => in_place(namespace, &paths, allowed)?,
            Some(RestoreTarget::Namespace(other)) => to_namespace(namespace, other, &paths, allowed)?,
            Some(RestoreTarget::Path(path)) => to_path(&paths, Path::new(path), allowed)?,
        };
        for (path, (trusted, below)) in paths.into_iter().zip(targets) {
            let Some(only) = chosen(&path, &options.paths)? else { continue };
            let snapshot_path = naming::snapshot_path(namespace, &path);
            mapped.push(Mapped { snapshot_path, trusted, below, only });
        }
    }
    if mapped.is_empty() {
        let error = DriverError::not_found("none of the chosen paths lies in the chosen namespaces");
        return Err(error.with_suggestion("browse the record for the paths that it has"));
    }
    Ok(mapped)
}

/// Where a restore of `namespaces` with this `mapping` writes to, as far as that can be told without the
/// record.
///
/// # Errors
/// As [`map`].
pub(crate) fn territories(
    namespaces: &[NamespaceName],
    mapping: &BTreeMap<NamespaceName, RestoreTarget>,
    allowed: Allowed<'_>,
) -> Result<Vec<Territory>, DriverError> {
    let mut territories = Vec::new();
    for namespace in namespaces {
        let target = mapping.get(namespace).cloned();
        let target = target.unwrap_or_else(|| RestoreTarget::Namespace(namespace.clone()));
        let places = match &target {
            RestoreTarget::Namespace(name) => {
                configured(name, allowed)?.paths().iter().map(|path| as_configured(path)).collect()
            }
            RestoreTarget::Path(path) => vec![below_a_root(Path::new(path), allowed.restore_roots)?],
        };
        territories.extend(places.into_iter().map(|(trusted, below)| Territory {
            target: target.clone(),
            trusted,
            below,
        }));
    }
    Ok(territories)
}

type Target = (PathBuf, Vec<OsString>);

fn paths_of(record: &[PathBuf], namespace: &NamespaceName) -> Vec<PathBuf> {
    let split = record.iter().filter_map(|path| naming::split(path));
    split.filter(|(of, _)| of == namespace).map(|(_, path)| path).collect()
}

fn in_place(
    namespace: &NamespaceName,
    paths: &[PathBuf],
    allowed: Allowed<'_>,
) -> Result<Vec<Target>, DriverError> {
    let set = configured(namespace, allowed)?;
    let target = |path: &PathBuf| {
        if set.paths().contains(path) {
            return Ok(as_configured(path));
        }
        let error =
            format!("the record's {} is not part of the namespace `{namespace}` any more", path.display());
        Err(DriverError::invalid_input(error)
            .with_suggestion("map the namespace to a path below a restore root, or configure the path again"))
    };
    paths.iter().map(target).collect()
}

fn to_namespace(
    namespace: &NamespaceName,
    other: &NamespaceName,
    paths: &[PathBuf],
    allowed: Allowed<'_>,
) -> Result<Vec<Target>, DriverError> {
    let set = configured(other, allowed)?;
    if set.paths().len() != paths.len() {
        let (have, want) = (set.paths().len(), paths.len());
        let error = format!("`{namespace}` has {want} paths in the record and `{other}` has {have}");
        return Err(DriverError::invalid_input(error)
            .with_suggestion("map it to a namespace with as many paths, or to a path below a restore root"));
    }
    Ok(set.paths().iter().map(|path| as_configured(path)).collect())
}

fn to_path(paths: &[PathBuf], target: &Path, allowed: Allowed<'_>) -> Result<Vec<Target>, DriverError> {
    let (root, below) = below_a_root(target, allowed.restore_roots)?;
    if let [_] = paths {
        return Ok(vec![(root, below)]);
    }
    let last_names: Vec<_> = paths.iter().filter_map(|path| path.file_name()).collect();
    let unique = last_names.iter().collect::<std::collections::BTreeSet<_>>().len() == paths.len();
    let targets = paths.iter().map(|path| {
        let mut below = below.clone();
        match path.file_name() {
            Some(name) if unique => below.push(name.to_owned()),
            _ => below.extend(names(path)),
        }
        (root.clone(), below)
    });
    Ok(targets.collect())
}

/// The trusted directory and the names below it for a path of the configuration: all of it but the
/// last name is trusted, which may be a file's.
fn as_configured(path: &Path) -> Target {
    let parent = path.parent().unwrap_or(path).to_owned();
    (parent, path.file_name().map(OsString::from).into_iter().collect())
}

fn configured<'a>(namespace: &NamespaceName, allowed: Allowed<'a>) -> Result<&'a FileSet, DriverError> {
    allowed.namespaces.get(namespace).ok_or_else(|| {
        let known: Vec<_> = allowed.namespaces.keys().map(NamespaceName::as_str).collect();
        DriverError::not_found(format!("there is no namespace `{namespace}`")).with_suggestion(format!(
            "use one of: {}; or map it to a path below a restore root",
            known.join(", ")
        ))
    })
}

/// The restore root that `target` lies below, and the names that lead from it there.
///
/// # Errors
/// `InvalidInput` if there is none.
pub(crate) fn below_a_root(
    target: &Path,
    roots: &[PathBuf],
) -> Result<(PathBuf, Vec<OsString>), DriverError> {
    let refuse = |why: &str| {
        let names: Vec<_> = roots.iter().map(|root| root.display().to_string()).collect();
        let suggestion = match names.as_slice() {
            [] => "configure a restore root first".to_owned(),
            names => format!("name a path below one of the restore roots: {}", names.join(", ")),
        };
        let error = format!("can't restore to {}: it {why}", target.display());
        Err(DriverError::invalid_input(error).with_suggestion(suggestion))
    };
    if !target.is_absolute() {
        return refuse("is not absolute");
    }
    if target.components().skip(1).any(|part| !matches!(part, Component::Normal(_))) {
        return refuse("has `..` in it");
    }
    let root =
        roots.iter().filter(|root| target.starts_with(root)).max_by_key(|root| root.components().count());
    let Some(root) = root else { return refuse("lies below no restore root") };
    let below = names(target.strip_prefix(root).unwrap_or(target));
    if below.first().is_some_and(|first| first == trial::FOLDER) {
        return refuse("is where what trial restores make is noted down");
    }
    Ok((root.clone(), below))
}

fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        _ => None,
    });
    names.collect()
}

/// What of `path` was chosen, relative to it: everything if nothing was chosen at all, `None` if
/// nothing of it. Chosen paths are absolute, as at the source, or relative to `path`.
fn chosen(path: &Path, chosen: &[String]) -> Result<Option<Vec<PathBuf>>, DriverError> {
    if chosen.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let mut only = Vec::new();
    for text in chosen {
        let asked = Path::new(text.trim_end_matches('/'));
        if asked.components().any(|part| part == Component::ParentDir) {
            let error = DriverError::invalid_input(format!("the chosen path `{text}` has `..` in it"));
            return Err(error.with_suggestion("name paths as browsing the record shows them"));
        }
        if !asked.is_absolute() {
            only.push(names(asked).into_iter().collect());
        } else if path.starts_with(asked) {
            return Ok(Some(Vec::new()));
        } else if let Ok(relative) = asked.strip_prefix(path) {
            only.push(relative.to_owned());
        }
    }
    Ok(Some(only).filter(|only| !only.is_empty()))
}

#[cfg(test)]
mod tests {
    use aegis_core::{model::ExistingResourcePolicy, seams::ErrorClass};

    use super::*;

    fn name(text: &str) -> NamespaceName {
        NamespaceName::new(text).unwrap()
    }

    fn options(mapping: &[(&str, RestoreTarget)], paths: &[&str]) -> RestoreOptions {
        RestoreOptions {
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            mapping: mapping.iter().map(|(from, to)| (name(from), to.clone())).collect(),
            existing: ExistingResourcePolicy::None,
            restore_volumes: false,
            preserve_node_ports: false,
        }
    }

    fn run(record: &[&str], options: &RestoreOptions) -> Result<Vec<Mapped>, DriverError> {
        let namespaces = BTreeMap::from([
            (name("docs"), FileSet::new(["/srv/docs"]).unwrap()),
            (name("other"), FileSet::new(["/srv/other"]).unwrap()),
            (name("two"), FileSet::new(["/a/x", "/b/y"]).unwrap()),
        ]);
        let roots = [PathBuf::from("/restores"), PathBuf::from("/restores/inner")];
        let record: Vec<_> = record.iter().map(PathBuf::from).collect();
        let chosen = naming::split(&record[0]).unwrap().0;
        map(&record, &[chosen], options, Allowed { namespaces: &namespaces, restore_roots: &roots })
    }

    fn place(mapped: &Mapped) -> PathBuf {
        mapped.below.iter().fold(mapped.trusted.clone(), |path, name| path.join(name))
    }

    #[test]
    fn in_place_goes_back_to_where_it_came_from() {
        let mapped = run(&["/docs/srv/docs"], &options(&[], &[])).unwrap();
        assert_eq!(place(&mapped[0]), Path::new("/srv/docs"));
        let error = run(&["/docs/srv/elsewhere"], &options(&[], &[])).unwrap_err();
        assert!(error.to_string().contains("not part of the namespace"), "{error}");
    }

    #[test]
    fn a_path_target_must_lie_below_a_restore_root() {
        let to = |path: &str| options(&[("docs", RestoreTarget::Path(path.into()))], &[]);
        let mapped = run(&["/docs/srv/docs"], &to("/restores/inner/a/b")).unwrap();
        assert_eq!(mapped[0].trusted, Path::new("/restores/inner"));
        assert_eq!(place(&mapped[0]), Path::new("/restores/inner/a/b"));
        for bad in ["/etc", "/restores/../etc", "restores/a", "/restoresx"] {
            let error = run(&["/docs/srv/docs"], &to(bad)).unwrap_err();
            assert_eq!(error.class(), ErrorClass::InvalidInput, "{bad}");
            assert!(error.detail().suggestion.as_ref().unwrap().contains("/restores"), "{bad}");
        }
    }

    #[test]
    fn several_paths_go_below_the_target_under_their_last_names() {
        let to = options(&[("two", RestoreTarget::Path("/restores/t".into()))], &[]);
        let mapped = run(&["/two/a/x", "/two/b/y"], &to).unwrap();
        assert_eq!(
            mapped.iter().map(place).collect::<Vec<_>>(),
            [PathBuf::from("/restores/t/x"), PathBuf::from("/restores/t/y")]
        );
        let mapped = run(&["/two/a/x", "/two/b/x"], &to).unwrap();
        assert_eq!(place(&mapped[1]), Path::new("/restores/t/b/x"));
    }

    #[test]
    fn a_namespace_target_takes_the_paths_in_order() {
        let to = |other: &str| options(&[("docs", RestoreTarget::Namespace(name(other)))], &[]);
        let mapped = run(&["/docs/srv/docs"], &to("other")).unwrap();
        assert_eq!(place(&mapped[0]), Path::new("/srv/other"));
        assert_eq!(run(&["/docs/srv/docs"], &to("two")).unwrap_err().class(), ErrorClass::InvalidInput);
        assert_eq!(run(&["/docs/srv/docs"], &to("gone")).unwrap_err().class(), ErrorClass::NotFound);
    }

    #[test]
    fn chosen_paths_may_be_absolute_or_relative() {
        let only = |paths: &[&str]| {
            Ok::<_, DriverError>(run(&["/docs/srv/docs"], &options(&[], paths))?[0].only.clone())
        };
        assert_eq!(only(&["a/b"]).unwrap(), [PathBuf::from("a/b")]);
        assert_eq!(only(&["/srv/docs/a/"]).unwrap(), [PathBuf::from("a")]);
        assert_eq!(only(&["/srv"]).unwrap(), [] as [PathBuf; 0]);
        assert_eq!(only(&["/etc"]).unwrap_err().class(), ErrorClass::NotFound);
        assert_eq!(only(&["../x"]).unwrap_err().class(), ErrorClass::InvalidInput);
    }
}
