//! The text of a list: whose, of which kind, narrowed, and which part of it.

use aegis_core::{
    model::{EntityKind, Timestamp},
    seams::{Column, Narrowing, Scope, Window},
};
use uuid::Uuid;

use crate::{
    commit::has_tenant,
    statement::{Statement, instant},
};

/// Rows of one kind of entity. Begins with whose they are: there is no other way to ask for any.
pub(crate) struct Select {
    pub(crate) kind: EntityKind,
    pub(crate) statement: Statement,
    /// All that a row has to meet.
    conditions: Vec<String>,
    /// Those of them that totals are kept for, each after an `and`.
    pub(crate) narrowed: Vec<String>,
    pub(crate) narrowing: Narrowing,
    order: String,
    /// What the place of a window is compared with.
    place: String,
}

impl Select {
    /// Every entity of a kind in `scope`, newest first.
    pub(crate) fn new(kind: EntityKind, scope: &Scope) -> Self {
        let tie = if kind == EntityKind::Slot { Column::Policy } else { Column::Id };
        let mut select = Self {
            kind,
            statement: Statement::default(),
            conditions: Vec::new(),
            narrowed: Vec::new(),
            narrowing: Narrowing::default(),
            order: format!("at desc, {tie} desc"),
            place: format!("(t.at, t.{tie})"),
        };
        match scope {
            Scope::Tenant(tenant) if has_tenant(kind) => select.is(Column::Tenant, tenant.as_str()),
            Scope::Tenant(_) | Scope::Everyone => {}
        }
        select
    }

    /// In another order.
    pub(crate) fn ordered(mut self, order: &str) -> Self {
        order.clone_into(&mut self.order);
        self
    }

    pub(crate) fn is<'t, T>(&mut self, column: Column, value: T)
    where
        T: sqlx::Encode<'t, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        self.compares(column, "=", value);
    }

    /// That a column compares so with a value.
    pub(crate) fn compares<'t, T>(&mut self, column: Column, how: &str, value: T)
    where
        T: sqlx::Encode<'t, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        let value = self.statement.bind(value);
        self.such(column, format!("t.{column} {how} {value}"));
    }

    /// That a column is what was asked for, if anything was.
    pub(crate) fn may_be<'t, T>(&mut self, column: Column, value: Option<T>)
    where
        T: sqlx::Encode<'t, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        if let Some(value) = value {
            self.is(column, value);
        }
    }

    /// That the id is one of these, if there are any.
    pub(crate) fn among(&mut self, ids: impl ExactSizeIterator<Item = Uuid>) {
        if ids.len() > 0 {
            let ids = self.bind(ids.collect::<Vec<_>>());
            self.when(format!("t.id = any({ids})"));
        }
    }

    /// A condition in words of its own.
    pub(crate) fn when(&mut self, condition: impl Into<String>) {
        self.narrowing.otherwise();
        self.conditions.push(condition.into());
    }

    /// A condition on a column, in words of its own.
    fn such(&mut self, column: Column, condition: String) {
        self.narrowing.by(column);
        self.narrowed.push(format!(" and {condition}"));
        self.conditions.push(condition);
    }

    pub(crate) fn bind<'t, T>(&mut self, value: T) -> String
    where
        T: sqlx::Encode<'t, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        self.statement.bind(value)
    }

    /// That a flag is as asked for, if it was. Part of the text, so that partial indexes are found.
    pub(crate) fn flag(&mut self, column: Column, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.such(column, format!("{}t.{column}", if flag { "" } else { "not " }));
        }
    }

    /// That the status is one of these labels, if there are any. Part of the text, as flags are.
    pub(crate) fn status_in(&mut self, labels: &[&'static str]) {
        match labels {
            [] => {}
            [label] => self.such(Column::Status, format!("t.status = '{label}'")),
            labels => self.such(Column::Status, format!("t.status in ('{}')", labels.join("', '"))),
        }
    }

    /// That its time lies in a half-open stretch.
    pub(crate) fn within(&mut self, from: Option<Timestamp>, to: Option<Timestamp>) {
        self.narrowing.within(from, to);
        let ends = [(from, ">="), (to, "<")];
        for (end, how) in ends.into_iter().filter_map(|(end, how)| Some((end?, how))) {
            let end = self.statement.bind(instant(end));
            self.conditions.push(format!("t.{} {how} {end}", Column::At));
        }
    }

    /// The rows that meet every condition.
    pub(crate) fn source(&self) -> String {
        let conditions = match self.conditions.as_slice() {
            [] => String::new(),
            conditions => format!(" where {}", conditions.join(" and ")),
        };
        format!("from {} as t{conditions}", self.kind)
    }

    /// Every row, in order: `version` and `document`.
    pub(crate) fn all(mut self) -> Statement {
        self.statement.text = format!(
            "select t.version, t.document::text as document {} order by {}",
            self.source(),
            self.order
        );
        self.statement
    }

    /// The first rows in order.
    pub(crate) fn first(self, limit: usize) -> Statement {
        let mut statement = self.all();
        statement.text.push_str(&format!(" limit {limit}"));
        statement
    }

    /// Some figures over all rows.
    pub(crate) fn figures(mut self, figures: &str) -> Statement {
        self.statement.text = format!("select {figures} {}", self.source());
        self.statement
    }

    /// How many rows there are, and what they take in storage: `count` and `stored`.
    pub(crate) fn totals(mut self) -> Statement {
        let totals = self.counted();
        self.statement.text = format!(
            "select sum(c.count)::bigint as count, least(sum(c.stored), {})::bigint as stored from ({totals}) as c",
            i64::MAX
        );
        self.statement
    }

    /// A page, and the total where it is asked for, as one statement and so of one moment: `version`,
    /// `document` and `total`. A row with a total and without a document stands for an empty page.
    pub(crate) fn page(mut self, window: &Window) -> Statement {
        let total = if window.count { self.counted() } else { String::new() };
        let total = format!("select sum(c.count)::bigint as total from ({total}) as c");
        if let Some(cursor) = window.after {
            let (at, id) = (self.statement.bind(instant(cursor.at)), self.statement.bind(cursor.id));
            self.conditions.push(format!("{} < ({at}, {id})", self.place));
        }
        let (source, order) = (self.source(), &self.order);
        // Limits are part of the text: a plan for an unknown one would sort everything.
        let limit = match window.limit {
            usize::MAX => String::new(),
            limit => format!(" limit {limit}"),
        };
        let offset = match window.offset {
            0 => String::new(),
            offset => format!(" offset {offset}"),
        };
        self.statement.text = if !window.count {
            format!(
                "select t.version, t.document::text as document, null::bigint as total \
                 {source} order by {order}{limit}{offset}"
            )
        } else if window.limit == 0 {
            format!("select null::bigint as version, null::text as document, c.total from ({total}) as c")
        } else {
            format!(
                "select p.version, p.document::text as document, c.total \
                 from ({total}) as c \
                 left join (select t.* {source} order by {order}{limit}{offset}) as p on true order by {order}"
            )
        };
        self.statement
    }
}
