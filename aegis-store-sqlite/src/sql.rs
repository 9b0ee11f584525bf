//! Statements as text with what is bound to them.

use std::borrow::Cow;

use aegis_core::seams::Value;
use sqlx::{AssertSqlSafe, Sqlite, query::Query, sqlite::SqliteArguments};
use uuid::Uuid;

/// Something that is bound to a statement.
#[derive(Clone, Debug)]
pub(crate) enum Arg<'a> {
    Null,
    Uuid(Uuid),
    Text(Cow<'a, str>),
    Integer(i64),
    Bytes([u8; 32]),
}

impl<'a> From<Value<'a>> for Arg<'a> {
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Uuid(id) => Self::Uuid(id),
            Value::Text(text) => Self::Text(text),
            Value::Instant(at) => Self::Integer(at.as_micros()),
            Value::Integer(number) => Self::Integer(number),
            Value::Flag(flag) => Self::Integer(flag.into()),
        }
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<i64> for Arg<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl<'a, T: Into<Self>> From<Option<T>> for Arg<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A statement that is being written. Its text never contains what a caller said; that is bound.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sql<'a> {
    text: String,
    args: Vec<Arg<'a>>,
}

impl<'a> Sql<'a> {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), args: Vec::new() }
    }

    /// Goes on with `text`.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Goes on with the place of something that is bound.
    pub(crate) fn bind(&mut self, arg: impl Into<Arg<'a>>) -> &mut Self {
        self.text.push('?');
        self.args.push(arg.into());
        self
    }

    /// Goes on with `(?, ?, …)`.
    pub(crate) fn row(&mut self, args: impl IntoIterator<Item = Arg<'a>>) -> &mut Self {
        self.list("(", args, ")")
    }

    /// Goes on with rows, each in parentheses.
    pub(crate) fn rows(&mut self, rows: &[Vec<Arg<'a>>]) -> &mut Self {
        for (place, row) in rows.iter().enumerate() {
            self.push(if place == 0 { "" } else { ", " }).row(row.iter().cloned());
        }
        self
    }

    fn list(&mut self, open: &str, args: impl IntoIterator<Item = Arg<'a>>, close: &str) -> &mut Self {
        self.push(open);
        for (place, arg) in args.into_iter().enumerate() {
            self.push(if place == 0 { "" } else { ", " }).bind(arg);
        }
        self.push(close)
    }

    /// Goes on with another statement's text and what is bound to it.
    pub(crate) fn append(&mut self, other: &Self) -> &mut Self {
        self.text.push_str(&other.text);
        self.args.extend(other.args.iter().cloned());
        self
    }

    /// The statement, ready to run. It is prepared once per connection and text.
    pub(crate) fn query<'q>(self) -> Query<'q, Sqlite, SqliteArguments> {
        let query = sqlx::query(AssertSqlSafe(self.text));
        self.args.into_iter().fold(query, |query, arg| match arg {
            Arg::Null => query.bind(Option::<i64>::None),
            Arg::Uuid(id) => query.bind(id),
            Arg::Text(text) => query.bind(text.into_owned()),
            Arg::Integer(number) => query.bind(number),
            Arg::Bytes(bytes) => query.bind(bytes.to_vec()),
        })
    }
}

/// Cuts rows into runs whose lengths are powers of two, so that few texts are ever prepared.
pub(crate) fn runs<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    const LONGEST: usize = 64;
    std::iter::from_fn(move || {
        let length = LONGEST.min(1 << rows.len().checked_ilog2()?);
        let (run, rest) = rows.split_at(length);
        rows = rest;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_powers_of_two_and_miss_nothing() {
        let rows: Vec<usize> = (0..141).collect();
        let lengths: Vec<_> = runs(&rows).map(<[usize]>::len).collect();
        assert_eq!(lengths, [64, 64, 8, 4, 1]);
        assert_eq!(runs(&rows).flatten().copied().collect::<Vec<_>>(), rows);
    }
}
