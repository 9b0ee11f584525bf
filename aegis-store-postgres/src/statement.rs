//! One statement: its text, which depends on what is asked alone, and its values.

use aegis_core::{
    model::{EntityKey, Timestamp},
    seams::{Column, StoreError, Value},
};
use chrono::{DateTime, Utc};
use sqlx::{
    Arguments, AssertSqlSafe, Encode, PgConnection, Postgres, Type,
    postgres::{PgArguments, PgQueryResult, PgRow},
};

use crate::error;

/// A statement that grows by pieces. Values never become part of its text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statement {
    pub(crate) text: String,
    arguments: PgArguments,
    failure: Option<String>,
}

impl Statement {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// Adds a value; answers the name that the text has for it.
    pub(crate) fn bind<'t, T>(&mut self, value: T) -> String
    where
        T: Encode<'t, Postgres> + Type<Postgres>,
    {
        if let Err(error) = self.arguments.add(value) {
            self.failure.get_or_insert(error.to_string());
        }
        format!("${}", self.arguments.len())
    }

    /// Adds a value, for texts that number their values themselves.
    #[must_use]
    pub(crate) fn with<'t, T>(mut self, value: T) -> Self
    where
        T: Encode<'t, Postgres> + Type<Postgres>,
    {
        self.bind(value);
        self
    }

    fn query(&self) -> Result<sqlx::query::Query<'static, Postgres, PgArguments>, sqlx::Error> {
        match &self.failure {
            Some(failure) => Err(sqlx::Error::Encode(failure.clone().into())),
            None => Ok(sqlx::query_with(AssertSqlSafe(self.text.clone()), self.arguments.clone())),
        }
    }

    pub(crate) async fn execute(&self, connection: &mut PgConnection) -> Result<PgQueryResult, sqlx::Error> {
        self.query()?.execute(connection).await
    }

    pub(crate) async fn fetch(&self, connection: &mut PgConnection) -> Result<Vec<PgRow>, sqlx::Error> {
        self.query()?.fetch_all(connection).await
    }
}

/// An instant as the database has it.
pub(crate) fn instant(at: Timestamp) -> DateTime<Utc> {
    at.into()
}

/// What a key says in one of its kind's key columns.
pub(crate) fn key_value(key: &EntityKey, column: Column) -> Option<Value<'_>> {
    Some(match key {
        EntityKey::Job(id) => Value::Uuid(id.as_uuid()),
        EntityKey::Record(id) => Value::Uuid(id.as_uuid()),
        EntityKey::Plan(id) => Value::Uuid(id.as_uuid()),
        EntityKey::Execution(id) => Value::Uuid(id.as_uuid()),
        EntityKey::Policy(id) | EntityKey::PolicyState(id) => Value::Uuid(id.as_uuid()),
        EntityKey::Verification(id) => Value::Uuid(id.as_uuid()),
        EntityKey::DrTest(id) => Value::Uuid(id.as_uuid()),
        EntityKey::RetentionRun(id) => Value::Uuid(id.as_uuid()),
        EntityKey::Slot(key) if column == Column::At => Value::Instant(key.nominal_at),
        EntityKey::Slot(key) => Value::Uuid(key.policy.as_uuid()),
        EntityKey::ClusterState(cluster) => Value::Text(cluster.as_str().into()),
        EntityKey::Reservation(key) => Value::Text(key.as_str().into()),
    })
}

/// A number as the database has it; what is too large for it is as large as can be.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that the database can't have below zero.
pub(crate) fn unsigned(action: &'static str, number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|error| error::fault(action, error))
}
