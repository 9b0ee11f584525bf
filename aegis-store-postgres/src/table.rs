//! Rows that a statement brings along, as a table called `n`.
//!
//! Many come as arrays, so that the text does not depend on how many there are. One comes as single
//! values: the server then keeps one plan for all such statements, where arrays of one, expected to
//! be longer, would be planned anew each time.

use aegis_core::{
    model::{EntityKey, EntityKind},
    seams::{Column, ColumnType, Value},
};
use chrono::{DateTime, Utc};
use sqlx::{Encode, Postgres, Type, postgres::PgHasArrayType};
use uuid::Uuid;

use crate::statement::{Statement, instant, key_value};

/// The values of one column over several rows.
#[derive(Clone, Debug)]
pub(crate) enum Array {
    Uuid(Vec<Option<Uuid>>),
    Text(Vec<Option<String>>),
    Instant(Vec<Option<DateTime<Utc>>>),
    Integer(Vec<Option<i64>>),
    Flag(Vec<Option<bool>>),
}

impl Array {
    /// The values that `rows` have in a column of this type.
    pub(crate) fn of<'a>(column: ColumnType, rows: impl Iterator<Item = Option<Value<'a>>>) -> Self {
        match column {
            ColumnType::Uuid => Self::Uuid(
                rows.map(|value| if let Some(Value::Uuid(id)) = value { Some(id) } else { None }).collect(),
            ),
            ColumnType::Text => Self::Text(
                rows.map(
                    |value| if let Some(Value::Text(text)) = value { Some(text.into_owned()) } else { None },
                )
                .collect(),
            ),
            ColumnType::Instant => Self::Instant(
                rows.map(|value| if let Some(Value::Instant(at)) = value { Some(instant(at)) } else { None })
                    .collect(),
            ),
            ColumnType::Integer => Self::Integer(
                rows.map(|value| if let Some(Value::Integer(n)) = value { Some(n) } else { None }).collect(),
            ),
            ColumnType::Flag => Self::Flag(
                rows.map(|value| if let Some(Value::Flag(yes)) = value { Some(yes) } else { None }).collect(),
            ),
        }
    }

    pub(crate) fn texts(values: impl IntoIterator<Item = String>) -> Self {
        Self::Text(values.into_iter().map(Some).collect())
    }

    pub(crate) fn integers(values: impl IntoIterator<Item = i64>) -> Self {
        Self::Integer(values.into_iter().map(Some).collect())
    }

    const fn len(&self) -> usize {
        match self {
            Self::Uuid(values) => values.len(),
            Self::Text(values) => values.len(),
            Self::Instant(values) => values.len(),
            Self::Integer(values) => values.len(),
            Self::Flag(values) => values.len(),
        }
    }

    /// Binds it, or its only value if it has `one`; answers the name with the type.
    fn bind(self, one: bool, statement: &mut Statement) -> String {
        match self {
            Self::Uuid(values) => bind(values, "uuid", one, statement),
            Self::Text(values) => bind(values, "text", one, statement),
            Self::Instant(values) => bind(values, "timestamptz", one, statement),
            Self::Integer(values) => bind(values, "bigint", one, statement),
            Self::Flag(values) => bind(values, "boolean", one, statement),
        }
    }
}

fn bind<T>(mut values: Vec<Option<T>>, name: &str, one: bool, statement: &mut Statement) -> String
where
    T: for<'q> Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType,
{
    if one {
        format!("{}::{name}", statement.bind(values.pop().flatten()))
    } else {
        format!("{}::{name}[]", statement.bind(values))
    }
}

/// Rows, column by column.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<(&'static str, Array)>);

/// Rows whose values are bound.
pub(crate) struct Bound {
    /// What a statement selects from: the columns, and `place`, which counts the rows from 1.
    pub(crate) rows: String,
    pub(crate) count: Count,
}

/// How many rows there are.
pub(crate) enum Count {
    One,
    /// As many as this array has values.
    Of(String),
}

impl Count {
    /// That a part of a statement, which has at most one row for each of them, has all of them.
    pub(crate) fn all_in(&self, part: &str) -> String {
        match self {
            Self::One => format!("exists (select from {part})"),
            Self::Of(array) => format!("(select count(*) from {part}) = cardinality({array})"),
        }
    }
}

impl Table {
    /// With another column; each has a value for every row.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, values: Array) -> Self {
        self.0.push((name, values));
        self
    }

    /// With columns of which `value` says what each of `rows` has in them.
    #[must_use]
    pub(crate) fn with_columns<'a, R>(
        self,
        columns: impl IntoIterator<Item = &'a Column>,
        rows: &'a [R],
        value: impl Fn(&'a R, Column) -> Option<Value<'a>>,
    ) -> Self {
        columns.into_iter().fold(self, |table, column| {
            let values = rows.iter().map(|row| value(row, *column));
            table.with(column.name(), Array::of(column.value_type(), values))
        })
    }

    /// The key columns of entities of one kind.
    pub(crate) fn of_keys(kind: EntityKind, keys: &[&EntityKey]) -> Self {
        Self::default().with_columns(kind.key_columns(), keys, |key, column| key_value(key, column))
    }

    pub(crate) fn bind(self, statement: &mut Statement) -> Bound {
        let one = self.0.first().is_some_and(|(_, values)| values.len() == 1);
        let (names, values): (Vec<_>, Vec<_>) =
            self.0.into_iter().map(|(name, values)| (name, values.bind(one, statement))).unzip();
        if one {
            let columns: String =
                names.iter().zip(&values).map(|(name, value)| format!("{value} as {name}, ")).collect();
            return Bound { rows: format!("(select {columns}1::bigint as place) as n"), count: Count::One };
        }
        let rows =
            format!("unnest({}) with ordinality as n ({}, place)", values.join(", "), names.join(", "));
        Bound { rows, count: Count::Of(values.into_iter().next().unwrap_or_default()) }
    }
}
