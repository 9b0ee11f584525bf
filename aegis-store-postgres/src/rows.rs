//! From rows to entities: an entity is always read back from its document.

use aegis_core::{
    model::{Entity, EntityKey, EntityKind, Stored, TenantId, Version, Versioned},
    seams::{Column, Page, Scope, StoreError, Value, Window},
};
use sqlx::{Row, postgres::PgRow};

use crate::{
    error::{self, Fate},
    select::Select,
    statement::{Statement, instant, key_value, unsigned},
    store::{PostgresStore, is_empty},
};

/// The entity that a row has.
fn entity(action: &'static str, kind: EntityKind, row: &PgRow) -> Result<(Version, Entity), StoreError> {
    let read = |error| error::read(action, error);
    let version = unsigned(action, row.try_get("version").map_err(read)?)?;
    let document: &str = row.try_get("document").map_err(read)?;
    let entity = Entity::from_document(kind, document).map_err(|error| error::fault(action, error))?;
    Ok((Version(version), entity))
}

/// The entity that a row has, as its type.
pub(crate) fn versioned<T: Stored>(action: &'static str, row: &PgRow) -> Result<Versioned<T>, StoreError> {
    let (version, entity) = entity(action, T::KIND, row)?;
    match T::from_entity(entity) {
        Some(value) => Ok(Versioned { version, value }),
        None => Err(error::fault(action, "an entity is of another kind than its table")),
    }
}

impl PostgresStore {
    /// The rows that a read answers with.
    pub(crate) async fn rows(
        &self,
        action: &'static str,
        statement: &Statement,
    ) -> Result<Vec<PgRow>, StoreError> {
        let first = self.acquire(action).await?.fetch(statement).await;
        let answer = match first {
            // Asking again on another connection does no harm.
            Err(error) if error::fate(&error) == Fate::Lost => {
                self.acquire_living(action).await?.fetch(statement).await
            }
            answer => answer,
        };
        answer.map_err(|error| error::read(action, error))
    }

    pub(crate) async fn page<T: Stored>(
        &self,
        action: &'static str,
        window: &Window,
        statement: impl FnOnce() -> Statement + Send,
    ) -> Result<Page<T>, StoreError> {
        let read = |error| error::read(action, error);
        let mut page = Page { items: Vec::new(), total: None };
        if is_empty(window) {
            return Ok(page);
        }
        for row in self.rows(action, &statement()).await? {
            let total: Option<i64> = row.try_get("total").map_err(read)?;
            page.total = total.map(|total| unsigned(action, total)).transpose()?;
            if row.try_get::<Option<i64>, _>("version").map_err(read)?.is_some() {
                page.items.push(versioned(action, &row)?);
            }
        }
        Ok(page)
    }

    pub(crate) async fn list<T: Stored>(
        &self,
        action: &'static str,
        statement: Statement,
    ) -> Result<Vec<Versioned<T>>, StoreError> {
        self.rows(action, &statement).await?.iter().map(|row| versioned(action, row)).collect()
    }

    pub(crate) async fn entity(
        &self,
        scope: &Scope,
        key: &EntityKey,
    ) -> Result<Option<(Version, Entity)>, StoreError> {
        const ACTION: &str = "read an entity";
        let rows = self.rows(ACTION, &by_key(scope, key)).await?;
        rows.first().map(|row| entity(ACTION, key.kind(), row)).transpose()
    }

    pub(crate) async fn owners(&self) -> Result<Vec<TenantId>, StoreError> {
        const ACTION: &str = "list the tenants";
        let tenant = |row: &PgRow| {
            let tenant: &str = row.try_get("tenant").map_err(|error| error::read(ACTION, error))?;
            TenantId::new(tenant).map_err(|error| error::fault(ACTION, error))
        };
        self.rows(ACTION, &owners()).await?.iter().map(tenant).collect()
    }
}

pub(crate) fn by_key(scope: &Scope, key: &EntityKey) -> Statement {
    let mut select = Select::new(key.kind(), scope);
    let columns = key.kind().key_columns();
    for column in columns {
        if let Some(value) = key_value(key, *column) {
            bind_key(&mut select, *column, value);
        }
    }
    let order = columns.iter().map(|column| column.name()).collect::<Vec<_>>().join(", ");
    select.ordered(&order).all()
}

fn bind_key(select: &mut Select, column: Column, value: Value<'_>) {
    match value {
        Value::Uuid(id) => select.is(column, id),
        Value::Text(text) => select.is(column, text.as_ref()),
        Value::Instant(at) => select.is(column, instant(at)),
        Value::Integer(number) => select.is(column, number),
        Value::Flag(yes) => select.is(column, yes),
    }
}

/// The tenants of each kind's table, from one to the next through the index, so that what they own
/// is not walked.
pub(crate) fn owners() -> Statement {
    let kinds = EntityKind::ALL.iter().filter(|kind| kind.columns().contains(&Column::Tenant));
    let step = |kind: &EntityKind| {
        format!(
            "(with recursive owner (tenant) as ( \
                 (select tenant from {kind} order by tenant limit 1) union all \
                 select (select t.tenant from {kind} as t where t.tenant > owner.tenant order by t.tenant limit 1) \
                 from owner where owner.tenant is not null) \
             select tenant from owner where tenant is not null)"
        )
    };
    let steps: Vec<_> = kinds.map(step).collect();
    Statement::new(format!("select tenant from ({}) as o order by tenant", steps.join(" union ")))
}
