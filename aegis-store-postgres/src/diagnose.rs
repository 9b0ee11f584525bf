//! Why a changeset was refused: what is there, in one snapshot, against what it rests on.

use std::collections::HashMap;

use aegis_core::{
    model::{EntityKey, EntityKind, TenantId, Version},
    seams::{Changeset, Committed, Conflict, StoreError},
};
use sqlx::{Row, postgres::PgRow};

use crate::{
    commit::{fences, has_tenant, matching},
    error,
    statement::{Statement, unsigned},
    store::PostgresStore,
    table::{Bound, Table},
};

const ACTION: &str = "find out why a changeset was refused";

/// What was found of all that a changeset speaks of.
#[derive(Default)]
struct Found {
    applied: bool,
    /// The places of the fences that hold.
    held: Vec<usize>,
    entities: HashMap<EntityKey, (Version, Option<TenantId>)>,
}

impl PostgresStore {
    /// That it was applied before, what no longer holds, or `None`: nothing is wrong now.
    pub(crate) async fn diagnose(&self, changeset: &Changeset) -> Result<Option<Committed>, StoreError> {
        let found = self.look(changeset).await?;
        if found.applied {
            return Ok(Some(Committed::Already));
        }
        changeset.check_form()?;
        for (place, fence) in changeset.fences.iter().enumerate() {
            if !found.held.contains(&place) {
                return Err(StoreError::Conflict(Conflict::Fenced { name: fence.name.clone() }));
            }
        }
        for expect in &changeset.expects {
            let version = found.entities.get(expect.key()).map(|(version, _)| *version);
            expect.check(version).map_err(StoreError::Conflict)?;
        }
        for change in &changeset.changes {
            let entity = found.entities.get(&change.write.entity().key());
            change.write.check(entity.map(|(version, tenant)| (*version, tenant.as_ref())))?;
        }
        Ok(None)
    }

    async fn look(&self, changeset: &Changeset) -> Result<Found, StoreError> {
        let keys = keys_by_kind(changeset);
        let statement = look_up(changeset);
        let mut found = Found::default();
        for row in self.rows(ACTION, &statement).await? {
            found.note(&keys, &row)?;
        }
        Ok(found)
    }
}

impl Found {
    fn note(&mut self, keys: &[(EntityKind, Vec<EntityKey>)], row: &PgRow) -> Result<(), StoreError> {
        let read = |error| error::read(ACTION, error);
        let what: i32 = row.try_get("what").map_err(read)?;
        let place = unsigned(ACTION, row.try_get::<i64, _>("place").map_err(read)?)?;
        let place = usize::try_from(place).map_err(|error| error::fault(ACTION, error))?.saturating_sub(1);
        match what {
            APPLIED => self.applied = true,
            HELD => self.held.push(place),
            kind => {
                let kind = usize::try_from(kind).ok().and_then(|kind| keys.get(kind));
                let Some(key) = kind.and_then(|(_, keys)| keys.get(place)) else { return Ok(()) };
                let version = Version(unsigned(ACTION, row.try_get("version").map_err(read)?)?);
                let tenant: Option<String> = row.try_get("tenant").map_err(read)?;
                let tenant = tenant.map(|tenant| TenantId::new(&tenant)).transpose();
                let tenant = tenant.map_err(|error| error::fault(ACTION, error))?;
                self.entities.insert(key.clone(), (version, tenant));
            }
        }
        Ok(())
    }
}

/// How rows that tell of no entity are marked; of the others, which kind's turn it was.
const APPLIED: i32 = -1;
const HELD: i32 = -2;

fn keys_by_kind(changeset: &Changeset) -> Vec<(EntityKind, Vec<EntityKey>)> {
    let mut keys: Vec<_> = changeset.expects.iter().map(|expect| expect.key().clone()).collect();
    keys.extend(changeset.changes.iter().map(|change| change.write.entity().key()));
    let of_kind =
        |kind: EntityKind| keys.iter().filter(|key| key.kind() == kind).cloned().collect::<Vec<_>>();
    EntityKind::ALL.iter().map(|kind| (*kind, of_kind(*kind))).filter(|(_, keys)| !keys.is_empty()).collect()
}

/// Looks up all that a changeset speaks of.
pub(crate) fn look_up(changeset: &Changeset) -> Statement {
    let mut statement = Statement::default();
    let id = statement.bind(changeset.id.as_uuid());
    let mut parts = vec![format!(
        "select {APPLIED} as what, 1::bigint as place, null::bigint as version, null::text as tenant \
         from changeset where id = {id}"
    )];
    if !changeset.fences.is_empty() {
        let Bound { rows, .. } = fences(changeset).bind(&mut statement);
        parts.push(format!(
            "select {HELD}, n.place, null, null \
             from {rows} \
             join lease as l on l.name = n.name and l.generation = n.generation and l.expires_at > store_now()"
        ));
    }
    for (turn, (kind, keys)) in keys_by_kind(changeset).iter().enumerate() {
        let keys: Vec<_> = keys.iter().collect();
        let Bound { rows, .. } = Table::of_keys(*kind, &keys).bind(&mut statement);
        let tenant = if has_tenant(*kind) { "t.tenant" } else { "null" };
        parts.push(format!(
            "select {turn}, n.place, t.version, {tenant} \
             from {rows} join {kind} as t on {}",
            matching(*kind),
        ));
    }
    statement.text = parts.join(" union all ");
    statement
}
