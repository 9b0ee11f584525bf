//! How mutants keep what readers of the log derive.

use super::{MutantStore, StoreMutation as M, commit::pause};
use crate::seams::{Conflict, Derived, DerivedKeys, DerivedQuery, DerivedRow, ReaderStep, StoreError};

impl MutantStore {
    pub(super) async fn mutated_step(&self, mut step: ReaderStep) -> Result<(), StoreError> {
        step.check()?;
        self.note_derived(&step);
        match self.mutation {
            M::ReadersStepFromAnywhere => {
                step.from = self.inner.reader_position(&step.reader).await?;
                step.to = step.to.max(step.from.next());
            }
            M::ReadersRace => return self.step_after_a_pause(step).await,
            M::DerivedIsKeptOnce => {
                let mut news = Vec::new();
                for row in step.derived {
                    if self.kept(&step.reader, &row).await?.is_none() {
                        news.push(row);
                    }
                }
                step.derived = news;
            }
            _ => {}
        }
        self.inner.advance_reader(step).await
    }

    async fn kept(&self, reader: &str, row: &DerivedRow) -> Result<Option<DerivedRow>, StoreError> {
        let keys = DerivedKeys::Named(vec![row.key.clone()]);
        let query = DerivedQuery { reader: reader.to_owned(), tenant: row.tenant.clone(), keys };
        Ok(self.inner.derived(&query).await?.rows.pop())
    }

    async fn step_after_a_pause(&self, mut step: ReaderStep) -> Result<(), StoreError> {
        let found = self.inner.reader_position(&step.reader).await?;
        if found != step.from {
            return Err(StoreError::Conflict(Conflict::Moved {
                reader: step.reader,
                expected: step.from,
                found,
            }));
        }
        pause().await;
        loop {
            step.from = self.inner.reader_position(&step.reader).await?;
            step.to = step.to.max(step.from.next());
            match self.inner.advance_reader(step.clone()).await {
                Err(StoreError::Conflict(_)) => {}
                answer => return answer,
            }
        }
    }

    fn note_derived(&self, step: &ReaderStep) {
        let rows = step.derived.iter().map(|row| (step.reader.clone(), row.clone()));
        self.notes().derived.extend(rows);
    }

    pub(super) async fn mutated_derived(&self, query: &DerivedQuery) -> Result<Derived, StoreError> {
        let mut query = query.clone();
        if let (M::DerivedRangesAreClosed, DerivedKeys::Range(_, before)) = (self.mutation, &mut query.keys) {
            before.push('\0');
        }
        let mut derived = self.inner.derived(&query).await?;
        let is_read = |(reader, row): &&(String, DerivedRow)| {
            let own_reader = *reader == query.reader || self.is(M::DerivedCrossesReaders);
            let own_tenant = row.tenant == query.tenant || self.is(M::DerivedCrossesTenants);
            own_reader && own_tenant && query.keys.contains(&row.key)
        };
        if matches!(
            self.mutation,
            M::DerivedIsKeptAlways | M::DerivedCrossesReaders | M::DerivedCrossesTenants
        ) {
            let notes = self.notes();
            derived.rows = notes.derived.iter().filter(is_read).map(|(_, row)| row.clone()).collect();
            derived.rows.sort_by(|a, b| a.key.cmp(&b.key));
        }
        Ok(derived)
    }
}
