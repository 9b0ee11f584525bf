//! Which namespaces of a cluster: names, globs and excludes.

use std::{fmt, sync::Arc};

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::NamespaceName;

/// The most patterns that a selection may have.
const MAX_PATTERNS: usize = 1000;

/// A namespace by name, or several by a glob (`*`, `?`, `[ab]`, `{a,b}`); `*` alone is all.
#[derive(Clone)]
pub struct NamespacePattern {
    text: String,
    /// `None` when the text has no wildcard, which is the common case and needs no matcher. Shared,
    /// since selections are copied from policy to job to record.
    glob: Option<Arc<GlobMatcher>>,
}

/// Why a pattern or selection was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// The glob does not parse.
    #[error("`{pattern}` is not a glob: {reason}")]
    Glob {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Empty, longer than 253 bytes, or with control characters.
    #[error("a namespace pattern must be 1 to 253 bytes without control characters")]
    Pattern,
    /// Nothing is selected.
    #[error("no namespaces are selected: name some, or use [\"*\"] for all")]
    Nothing,
    /// Too many patterns.
    #[error("more than {MAX_PATTERNS} namespace patterns: use globs")]
    TooMany,
}

impl NamespacePattern {
    /// Validates `text`.
    ///
    /// # Errors
    /// [`SelectionError`] (invalid input), saying what is wrong.
    pub fn new(text: impl Into<String>) -> Result<Self, SelectionError> {
        let text = text.into();
        if text.is_empty() || text.len() > NamespaceName::MAX_LENGTH || text.chars().any(char::is_control) {
            return Err(SelectionError::Pattern);
        }
        let is_literal = NamespaceName::new(&text).is_ok();
        let glob = if is_literal { None } else { Some(Arc::new(compile(&text)?)) };
        Ok(Self { text, glob })
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The one namespace that this names, unless it is a glob.
    #[must_use]
    pub fn as_name(&self) -> Option<NamespaceName> {
        if self.glob.is_some() { None } else { NamespaceName::new(&self.text).ok() }
    }

    /// Whether it selects every namespace.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.text == "*"
    }

    /// Whether it selects `name`.
    #[must_use]
    pub fn matches(&self, name: &NamespaceName) -> bool {
        match &self.glob {
            None => self.text == name.as_str(),
            Some(glob) => self.is_all() || glob.is_match(name.as_str()),
        }
    }
}

fn check_count(include: usize, exclude: usize) -> Result<(), SelectionError> {
    match include.saturating_add(exclude) {
        _ if include == 0 => Err(SelectionError::Nothing),
        all if all > MAX_PATTERNS => Err(SelectionError::TooMany),
        _ => Ok(()),
    }
}

fn compile(text: &str) -> Result<GlobMatcher, SelectionError> {
    GlobBuilder::new(text)
        .literal_separator(false)
        .backslash_escape(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| SelectionError::Glob { pattern: text.to_owned(), reason: error.kind().to_string() })
}

impl PartialEq for NamespacePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for NamespacePattern {}

impl fmt::Debug for NamespacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamespacePattern({:?})", self.text)
    }
}

impl fmt::Display for NamespacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for NamespacePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for NamespacePattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Which namespaces of a cluster: those that an include matches and no exclude does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Patterns", into = "Patterns")]
pub struct NamespaceSelection {
    include: Vec<NamespacePattern>,
    exclude: Vec<NamespacePattern>,
}

/// The serialised form, checked on the way in.
#[derive(Serialize, Deserialize)]
struct Patterns {
    include: Vec<NamespacePattern>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<NamespacePattern>,
}

impl TryFrom<Patterns> for NamespaceSelection {
    type Error = SelectionError;

    fn try_from(patterns: Patterns) -> Result<Self, Self::Error> {
        Self::from_patterns(patterns.include, patterns.exclude)
    }
}

impl From<NamespaceSelection> for Patterns {
    fn from(selection: NamespaceSelection) -> Self {
        Self { include: selection.include, exclude: selection.exclude }
    }
}

/// What a selection came to among the namespaces that exist.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ResolvedNamespaces {
    /// The selected ones, in the order of the cluster's list.
    pub selected: Vec<NamespaceName>,
    /// Names (not globs) that were asked for and do not exist.
    pub unknown: Vec<NamespaceName>,
}

impl NamespaceSelection {
    /// Every namespace.
    #[must_use]
    pub fn all() -> Self {
        let star = NamespacePattern { text: "*".to_owned(), glob: compile("*").ok().map(Arc::new) };
        Self { include: vec![star], exclude: Vec::new() }
    }

    /// Exactly these namespaces; at least one.
    ///
    /// # Errors
    /// [`SelectionError::Nothing`] or [`SelectionError::TooMany`].
    pub fn only(names: impl IntoIterator<Item = NamespaceName>) -> Result<Self, SelectionError> {
        let include =
            names.into_iter().map(|name| NamespacePattern { text: name.as_str().to_owned(), glob: None });
        Self::from_patterns(include.collect(), Vec::new())
    }

    /// Namespaces by patterns, as the wire has them: `["*"]` with excludes, or names and globs.
    ///
    /// # Errors
    /// [`SelectionError`] (invalid input), naming the pattern that is wrong.
    pub fn new<I, E>(include: I, exclude: E) -> Result<Self, SelectionError>
    where
        I: IntoIterator<Item: Into<String>>,
        E: IntoIterator<Item: Into<String>>,
    {
        let include: Vec<String> = include.into_iter().map(Into::into).collect();
        let exclude: Vec<String> = exclude.into_iter().map(Into::into).collect();
        // Counted first: globs are not cheap.
        check_count(include.len(), exclude.len())?;
        let include = include.into_iter().map(NamespacePattern::new).collect::<Result<_, _>>()?;
        let exclude = exclude.into_iter().map(NamespacePattern::new).collect::<Result<_, _>>()?;
        Ok(Self { include, exclude })
    }

    fn from_patterns(
        include: Vec<NamespacePattern>,
        exclude: Vec<NamespacePattern>,
    ) -> Result<Self, SelectionError> {
        check_count(include.len(), exclude.len())?;
        Ok(Self { include, exclude })
    }

    /// The patterns that select.
    #[must_use]
    pub fn include(&self) -> &[NamespacePattern] {
        &self.include
    }

    /// The patterns that take out again.
    #[must_use]
    pub fn exclude(&self) -> &[NamespacePattern] {
        &self.exclude
    }

    /// Whether `name` is selected.
    #[must_use]
    pub fn matches(&self, name: &NamespaceName) -> bool {
        self.include.iter().any(|pattern| pattern.matches(name))
            && !self.exclude.iter().any(|pattern| pattern.matches(name))
    }

    /// What the selection comes to among the namespaces that exist.
    #[must_use]
    pub fn resolve(&self, existing: &[NamespaceName]) -> ResolvedNamespaces {
        let selected = existing.iter().filter(|name| self.matches(name)).cloned().collect();
        let named = self.include.iter().filter_map(NamespacePattern::as_name);
        let unknown = named.filter(|name| !existing.contains(name)).collect();
        ResolvedNamespaces { selected, unknown }
    }

    /// Whether the two could select a common namespace; `true` where globs leave it open.
    #[must_use]
    pub fn may_overlap(&self, other: &Self) -> bool {
        self.include.iter().any(|mine| match mine.as_name() {
            Some(name) => self.matches(&name) && other.matches(&name),
            None => other.include.iter().any(|theirs| match theirs.as_name() {
                Some(name) => other.matches(&name) && self.matches(&name),
                None => true,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NamespaceName {
        NamespaceName::new(text).unwrap()
    }

    fn select(include: &[&str], exclude: &[&str]) -> NamespaceSelection {
        NamespaceSelection::new(include.iter().copied(), exclude.iter().copied()).unwrap()
    }

    #[test]
    fn star_is_all_less_the_excludes() {
        let selection = select(&["*"], &["kube-*", "velero"]);
        assert!(selection.matches(&name("default")));
        assert!(!selection.matches(&name("kube-system")));
        assert!(!selection.matches(&name("velero")));
    }

    #[test]
    fn globs_cross_slashes_and_dots() {
        assert!(select(&["vm1*"], &[]).matches(&name("vm1/disk0")));
        assert!(select(&["public.*"], &[]).matches(&name("public.users")));
    }

    #[test]
    fn resolving_names_what_is_unknown() {
        let resolved = select(&["app", "gone", "x-*"], &[]).resolve(&[name("app"), name("db"), name("x-1")]);
        assert_eq!(resolved.selected, [name("app"), name("x-1")]);
        assert_eq!(resolved.unknown, [name("gone")]);
    }

    #[test]
    fn bad_globs_are_refused_by_name() {
        let error = NamespaceSelection::new(["app-[z-a]"], [] as [&str; 0]).unwrap_err();
        assert!(error.to_string().contains("app-[z-a]"), "{error}");
        assert_eq!(NamespaceSelection::new([] as [&str; 0], [] as [&str; 0]), Err(SelectionError::Nothing));
        assert!(serde_json::from_str::<NamespaceSelection>(r#"{"include":["["]}"#).is_err());
    }

    #[test]
    fn too_many_patterns_are_refused_before_any_is_read() {
        let broken = vec!["["; MAX_PATTERNS + 1];
        assert_eq!(NamespaceSelection::new(broken, [] as [&str; 0]), Err(SelectionError::TooMany));
    }

    #[test]
    fn overlap_is_exact_for_names_and_cautious_for_globs() {
        let cases = [
            (select(&["a", "b"], &[]), select(&["b", "c"], &[]), true),
            (select(&["a"], &[]), select(&["b"], &[]), false),
            (select(&["*"], &["a"]), select(&["a"], &[]), false),
            (select(&["a"], &[]), select(&["*"], &[]), true),
            (select(&["a*"], &[]), select(&["b*"], &[]), true),
        ];
        for (left, right, expect) in cases {
            assert_eq!(left.may_overlap(&right), expect, "{left:?} and {right:?}");
            assert_eq!(right.may_overlap(&left), expect, "{right:?} and {left:?}");
        }
    }

    #[test]
    fn a_selection_reads_back_as_written() {
        let selection = select(&["*"], &["kube-*"]);
        let json = serde_json::to_string(&selection).unwrap();
        assert_eq!(json, r#"{"include":["*"],"exclude":["kube-*"]}"#);
        assert_eq!(serde_json::from_str::<NamespaceSelection>(&json).unwrap(), selection);
    }
}
