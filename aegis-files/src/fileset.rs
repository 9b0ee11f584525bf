//! A namespace of files: a named set of paths, less what its excludes match.

use std::path::{Component, Path, PathBuf};

use aegis_core::seams::DriverError;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Paths that are protected together, less what is excluded.
#[derive(Clone, Debug)]
pub struct FileSet {
    paths: Vec<PathBuf>,
    excludes: GlobSet,
}

impl FileSet {
    /// The set of these files and directories with all that is below them.
    ///
    /// # Errors
    /// `InvalidInput` if there is none, or one is not absolute, has `.` or `..` in it, is not
    /// UTF-8, is `/`, or lies below another.
    pub fn new(paths: impl IntoIterator<Item = impl Into<PathBuf>>) -> Result<Self, DriverError> {
        let mut paths: Vec<PathBuf> = paths.into_iter().map(Into::into).collect();
        for path in &paths {
            check_path(path)?;
        }
        paths.sort();
        if let Some([outer, inner]) = paths.array_windows().find(|[outer, inner]| inner.starts_with(outer)) {
            let error =
                format!("{} lies below {}, which is protected already", inner.display(), outer.display());
            return Err(DriverError::invalid_input(error).with_suggestion("name only one of the two"));
        }
        if paths.is_empty() {
            return Err(DriverError::invalid_input("a namespace of files needs at least one path"));
        }
        Ok(Self { paths, excludes: GlobSet::empty() })
    }

    /// Without what these globs match.
    ///
    /// A glob without `/` matches names at any depth (`*.tmp`); one with `/` matches paths below
    /// the set's paths (`cache/**`, `/build`). What is below an excluded directory is excluded.
    ///
    /// # Errors
    /// `InvalidInput`, naming the glob that is none and what is wrong with it.
    pub fn excluding(
        mut self,
        globs: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, DriverError> {
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            let text = glob.as_ref();
            let refuse = |cause: globset::Error| {
                DriverError::invalid_input(format!("`{text}` is not a glob: {}", cause.kind()))
                    .with_suggestion(
                        "use `*`, `?`, `[ab]`, `{a,b}` and `**`; write `\\[` for a bracket itself",
                    )
            };
            let pattern = match text.trim_end_matches('/') {
                "" => return Err(DriverError::invalid_input("an exclude is empty")),
                name if !name.contains('/') => format!("**/{name}"),
                path => path.trim_start_matches('/').to_owned(),
            };
            let glob = GlobBuilder::new(&pattern).literal_separator(true).backslash_escape(true).build();
            set.add(glob.map_err(refuse)?);
        }
        self.excludes = set.build().map_err(|cause| {
            DriverError::invalid_input("the excludes are too large together").with_source(cause)
        })?;
        Ok(self)
    }

    /// The paths, sorted.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Whether the entry at `relative` below one of the paths is left out.
    pub(crate) fn excludes(&self, relative: &Path) -> bool {
        !self.excludes.is_empty() && self.excludes.is_match(relative)
    }
}

fn check_path(path: &Path) -> Result<(), DriverError> {
    let plain = path.components().skip(1).all(|part| matches!(part, Component::Normal(_)));
    let reason = if !path.is_absolute() {
        "is not absolute"
    } else if !plain {
        "has `..` in it"
    } else if path.to_str().is_none() {
        "is not UTF-8"
    } else if path.parent().is_none() {
        "is the whole file system"
    } else {
        return Ok(());
    };
    let error = DriverError::invalid_input(format!("{} can't be protected: it {reason}", path.display()));
    Err(error.with_suggestion("name files or directories by their absolute paths"))
}

#[cfg(test)]
mod tests {
    use aegis_core::seams::ErrorClass;

    use super::*;

    #[test]
    fn paths_that_cannot_be_protected_are_refused_with_the_reason() {
        for (paths, reason) in [
            (vec!["relative"], "not absolute"),
            (vec!["/srv/../etc"], "`..`"),
            (vec!["/"], "whole file system"),
            (vec!["/srv/a", "/srv"], "lies below"),
            (vec!["/srv", "/srv"], "lies below"),
            (vec![], "at least one"),
        ] {
            let error = FileSet::new(&paths).unwrap_err();
            assert_eq!(error.class(), ErrorClass::InvalidInput);
            assert!(error.to_string().contains(reason), "{paths:?}: {error}");
        }
        assert!(FileSet::new(["/srv/a", "/srv/ab"]).is_ok());
    }

    #[test]
    fn a_bad_glob_is_refused_by_name() {
        let error = FileSet::new(["/srv"]).unwrap().excluding(["*.tmp", "[z-a]"]).unwrap_err();
        assert!(error.to_string().contains("`[z-a]`"), "{error}");
        assert!(error.detail().suggestion.is_some());
    }

    #[test]
    fn globs_match_names_anywhere_and_paths_from_the_top() {
        let set = FileSet::new(["/srv"]).unwrap().excluding(["*.tmp", "/build", "cache/**", "a/b/"]).unwrap();
        for excluded in ["x.tmp", "deep/er/x.tmp", "build", "cache/x", "a/b"] {
            assert!(set.excludes(Path::new(excluded)), "{excluded}");
        }
        for kept in ["x.tmp.txt", "deep/build", "cache", "x/a/b"] {
            assert!(!set.excludes(Path::new(kept)), "{kept}");
        }
    }
}
