//! What the wire types of several resources share.

use std::{collections::BTreeMap, fmt::Display, str::FromStr, time::Duration};

use aegis_core::{
    engine::{FieldError, Tenant},
    model::{
        ClusterName, IssueGroup, Labels, NamespacePattern, NamespaceSelection, StorageBackend, StorageUri,
        Timestamp,
    },
    seams::{Cursor, Feature, Window},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::{AppError, ErrorCode};

/// An instant: RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-02-06T16:00:00Z")]
pub(crate) struct Time(pub Timestamp);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

/// A number of hours; whole unless an embedder set it otherwise.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(value_type = f64, example = 24)]
pub(crate) struct Hours(pub Duration);

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = self.0.as_secs();
        if seconds.is_multiple_of(3600) && self.0.subsec_nanos() == 0 {
            serializer.serialize_u64(seconds / 3600)
        } else {
            serializer.serialize_f64(self.0.as_secs_f64() / 3600.0)
        }
    }
}

/// A field of a change: absent stays as it is, `null` is cleared.
#[derive(Clone, Debug, Default)]
pub(crate) enum Given<T> {
    /// It was left out.
    #[default]
    Absent,
    /// It was `null`.
    Null,
    /// It was given.
    Value(T),
}

impl<T> Given<T> {
    /// The value, if one was given.
    pub(crate) const fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The value, or that it is cleared; `None` if it was left out.
    pub(crate) const fn cleared(&self) -> Option<Option<&T>> {
        match self {
            Self::Value(value) => Some(Some(value)),
            Self::Null => Some(None),
            Self::Absent => None,
        }
    }

    /// Whether it was `null`.
    pub(crate) const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Value))
    }
}

/// Reads the fields of a request, and gathers everything that is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<FieldError>);

impl Fields {
    /// Notes that `field` is wrong.
    pub(crate) fn refuse(&mut self, field: &'static str, message: impl Display) {
        self.0.push(FieldError { field, message: message.to_string() });
    }

    /// The value, or a note of why there is none.
    pub(crate) fn take<T, E: Display>(&mut self, field: &'static str, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.refuse(field, error)).ok()
    }

    /// The text as what it means; `None` if it was not given.
    pub(crate) fn parse<T: FromStr<Err: Display>>(
        &mut self,
        field: &'static str,
        text: Option<&str>,
    ) -> Option<T> {
        text.and_then(|text| self.take(field, text.parse()))
    }

    /// The same of a field that must be given.
    pub(crate) fn require<T: FromStr<Err: Display>>(
        &mut self,
        field: &'static str,
        text: Option<&str>,
    ) -> Option<T> {
        if text.is_none() {
            self.refuse(field, "it is missing: give it");
        }
        self.parse(field, text)
    }

    /// Words of people's own: every store can keep them.
    pub(crate) fn text(&mut self, field: &'static str, text: Option<String>) -> Option<String> {
        let text = text?;
        if text.len() > LONGEST_TEXT {
            self.refuse(field, format!("it is {} bytes long: use at most {LONGEST_TEXT}", text.len()));
            return None;
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.refuse(field, "it has a control character: leave it out");
            return None;
        }
        Some(text)
    }

    /// A length of time in hours, which is positive.
    pub(crate) fn hours(&mut self, field: &'static str, hours: Option<f64>) -> Option<Duration> {
        let hours = hours?;
        let duration =
            Duration::try_from_secs_f64(hours * 3600.0).ok().filter(|duration| !duration.is_zero());
        if duration.is_none_or(|duration| duration > LONGEST) {
            self.refuse(field, format!("{hours} is no number of hours: use more than 0, and at most 876000"));
            return None;
        }
        duration
    }

    /// A whole number that its meaning has room for.
    pub(crate) fn whole<T: TryFrom<i128>>(
        &mut self,
        field: &'static str,
        number: Option<&Number>,
    ) -> Option<T> {
        let number = number?;
        let whole = number.as_i128().and_then(|whole| T::try_from(whole).ok());
        if whole.is_none() {
            self.refuse(field, format!("{number} can't be meant: use a whole number in range"));
        }
        whole
    }

    /// The same of a field of a change: the number, or that it is cleared; `None` if it was left out.
    pub(crate) fn change<T: TryFrom<i128>>(
        &mut self,
        field: &'static str,
        given: &Given<Number>,
    ) -> Option<Option<T>> {
        given.cleared().map(|number| self.whole(field, number))
    }

    /// Takes over what is wrong with a part of the request.
    pub(crate) fn adopt(&mut self, field: &'static str, part: Self) {
        self.0.extend(part.0.iter().map(|error| FieldError { field, message: error.to_string() }));
    }

    /// The request, if nothing is wrong with it.
    pub(crate) fn finish<T>(self, request: Option<T>) -> Result<T, AppError> {
        match request {
            Some(request) if self.0.is_empty() => Ok(request),
            _ if self.0.is_empty() => {
                Err(AppError::internal("a request is incomplete, and nothing says why"))
            }
            _ => Err(AppError::fields(&self.0)),
        }
    }
}

/// The most bytes of people's own words.
const LONGEST_TEXT: usize = 4096;
/// The longest time that a request can ask for: a hundred years.
const LONGEST: Duration = Duration::from_secs(876_000 * 3600);

/// The items of a page unless the request says otherwise.
const DEFAULT_LIMIT: usize = 50;
/// The most items of a page.
const MAX_LIMIT: usize = 1000;
/// The most items that can be left out first: cursors go deeper, and cost nothing.
const MAX_OFFSET: usize = 1_000_000;

/// Which part of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageParams {
    pub(crate) limit: Option<usize>,
    pub(crate) offset: Option<usize>,
    pub(crate) cursor: Option<String>,
    pub(crate) total: Option<bool>,
}

/// Defines the query of a list: its filters, and which part of what matches.
macro_rules! list_params {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, serde::Deserialize, utoipa::IntoParams)]
        #[serde(default, deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub(crate) struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            /// The most items; 50 unless given.
            #[param(minimum = 0, maximum = 1000)]
            pub limit: Option<usize>,
            /// How many to leave out first.
            pub offset: Option<usize>,
            /// `next_cursor` of the page before: stable while things are added.
            pub cursor: Option<String>,
            /// `false` leaves the total out, which is faster.
            pub total: Option<bool>,
        }

        impl $name {
            fn page(&self) -> crate::wire::PageParams {
                crate::wire::PageParams {
                    limit: self.limit,
                    offset: self.offset,
                    cursor: self.cursor.clone(),
                    total: self.total,
                }
            }
        }
    };
}
pub(crate) use list_params;

impl PageParams {
    /// The items that a page has at most.
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(DEFAULT_LIMIT)
    }

    /// The part of what matches that is meant.
    pub(crate) fn window(&self) -> Result<Window, AppError> {
        if self.limit() > MAX_LIMIT {
            let message = format!("limit: {} is more than {MAX_LIMIT}", self.limit());
            return Err(AppError::new(ErrorCode::BadRequest, message));
        }
        let offset = self.offset.unwrap_or(0);
        if offset > MAX_OFFSET {
            let message = format!("offset: {offset} is more than {MAX_OFFSET}: go on by `cursor`");
            return Err(AppError::new(ErrorCode::BadRequest, message));
        }
        let after = self.cursor.as_deref().map(cursor_from).transpose()?;
        Ok(Window { limit: self.limit(), offset, after, count: self.total.unwrap_or(true) })
    }

    /// Where the page after one of `count` items begins, which ends with `last`.
    pub(crate) fn next_cursor(&self, count: usize, last: Option<(Timestamp, Uuid)>) -> Option<String> {
        last.filter(|_| count == self.limit()).map(|(at, id)| format!("{}_{}", at.as_micros(), id.simple()))
    }
}

fn cursor_from(text: &str) -> Result<Cursor, AppError> {
    let read = || {
        let (at, id) = text.split_once('_')?;
        Some(Cursor { at: bound(Timestamp::from_micros(at.parse().ok()?)), id: Uuid::try_parse(id).ok()? })
    };
    read().ok_or_else(|| AppError::new(ErrorCode::BadRequest, "cursor: use `next_cursor` as it was answered"))
}

/// 0001-01-01T00:00:00Z: nothing is older, and not every store can keep what would be.
const EARLIEST: Timestamp = Timestamp::from_seconds(-62_135_596_800);

/// A time to look from or to: what lies before everything is as good as the beginning.
pub(crate) fn bound(at: Timestamp) -> Timestamp {
    at.max(EARLIEST)
}

/// So many days before now.
pub(crate) fn days_ago(tenant: &Tenant, days: u64) -> Timestamp {
    tenant.now().saturating_sub(Duration::from_secs(days * 24 * 3600))
}

/// Which namespaces: all, unless some are named.
pub(crate) fn selection(
    fields: &mut Fields,
    field: &'static str,
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
) -> Option<NamespaceSelection> {
    let include = include.unwrap_or_else(|| vec!["*".to_owned()]);
    fields.take(field, NamespaceSelection::new(include, exclude.unwrap_or_default()))
}

/// The location that is named, or `otherwise`, which must be of the kind that it is said to be.
pub(crate) fn location(
    fields: &mut Fields,
    location: Option<&str>,
    backend: Option<&str>,
    otherwise: Option<&StorageUri>,
) -> Option<StorageUri> {
    let named: Option<StorageUri> = fields.parse("storage_location", location);
    let Some(backend) = backend else { return named };
    let Some(said) = StorageBackend::ALL.into_iter().find(|known| known.as_str() == backend) else {
        let known = StorageBackend::ALL.map(StorageBackend::as_str).join(", ");
        fields.refuse("storage_backend", format!("`{backend}` is none of {known}"));
        return named;
    };
    let meant = if location.is_some() { named.as_ref() } else { otherwise };
    if let Some(meant) = meant.filter(|meant| meant.backend() != said) {
        let message = format!("{meant} is of kind {}: say so, or leave it out", meant.backend());
        fields.refuse("storage_backend", message);
    }
    named
}

/// A warning that something was asked for that the driver of the cluster does not have.
pub(crate) fn without(
    tenant: &Tenant,
    cluster: &ClusterName,
    feature: Feature,
    field: &str,
) -> Option<String> {
    let capabilities = tenant.capabilities(cluster).ok().filter(|capabilities| !capabilities.has(feature))?;
    Some(format!("{field} has no effect: the {} driver has none", capabilities.driver))
}

/// Patterns as they were written.
pub(crate) fn texts(patterns: &[NamespacePattern]) -> Vec<String> {
    patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect()
}

/// Labels as a map.
pub(crate) fn labels(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Warnings or errors by cause, a line each.
pub(crate) fn lines(groups: &[IssueGroup]) -> Vec<String> {
    groups.iter().map(line).collect()
}

fn line(group: &IssueGroup) -> String {
    let mut line = group.cause.clone();
    if group.count > 1 {
        line.push_str(&format!(" ({} times)", group.count));
    }
    if !group.examples.is_empty() {
        line.push_str(&format!(": {}", group.examples.join(", ")));
    }
    if let Some(suggestion) = &group.suggestion {
        line.push_str(&format!(". {suggestion}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_hours_are_whole_numbers() {
        let hours = |seconds| serde_json::to_string(&Hours(Duration::from_secs(seconds))).unwrap();
        assert_eq!((hours(86_400).as_str(), hours(5400).as_str()), ("24", "1.5"));
    }

    #[test]
    fn everything_that_is_wrong_is_gathered() {
        let mut fields = Fields::default();
        let cluster: Option<aegis_core::model::ClusterName> = fields.parse("cluster", Some("a b"));
        let name: Option<aegis_core::model::DisplayName> = fields.require("name", None);
        assert!(cluster.is_none() && name.is_none());
        let error = fields.finish::<()>(None).unwrap_err();
        assert!(format!("{error:?}").contains("cluster") && format!("{error:?}").contains("missing"));
    }

    #[test]
    fn a_cursor_reads_back_as_written() {
        let page = PageParams { limit: Some(1), ..PageParams::default() };
        let at = Timestamp::from_micros(-5);
        let cursor = page.next_cursor(1, Some((at, Uuid::from_u128(7)))).unwrap();
        assert_eq!(cursor_from(&cursor).unwrap(), Cursor { at, id: Uuid::from_u128(7) });
        assert_eq!(page.next_cursor(0, None), None);
        assert!(cursor_from("x").is_err());
        let ancient = format!("{}_{}", i64::MIN, Uuid::nil().simple());
        assert_eq!(cursor_from(&ancient).unwrap().at, EARLIEST);
    }

    #[test]
    fn an_issue_is_one_line_with_what_to_do() {
        let group =
            IssueGroup { count: 2, examples: vec!["a".into(), "b".into()], ..IssueGroup::once("gone") };
        assert_eq!(line(&group.with_suggestion("look")), "gone (2 times): a, b. look");
    }
}
