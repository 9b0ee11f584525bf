//! Proving that the event log is what it was.

use super::Tenant;
use crate::{
    engine::{
        Aegis, EngineError,
        runtime::{LogVerification, verify_log},
    },
    seams::Scope,
};

impl Tenant {
    /// Verifies the tenant's event log: reads it page by page, computes every link anew and compares
    /// with what was anchored in the tenant's storage locations. Changes nothing.
    ///
    /// What was sealed after the newest anchor is checked link by link, but if its end was cut off,
    /// nobody can tell. A beginning that an engine let go is said, and is no finding: it wrote down in
    /// storage where the log starts. One that nothing in storage vouches for is a finding.
    ///
    /// Its memory does not grow with the log. Cancel safe.
    ///
    /// # Errors
    /// As the store answers. A location that does not answer is a finding.
    pub async fn verify_log(&self) -> Result<LogVerification, EngineError> {
        verify_log(&self.core, self.scope()).await
    }
}

impl Aegis {
    /// Verifies the event log of all tenants, and of what belongs to none: as
    /// [`Tenant::verify_log`], and that no position is missing between them.
    ///
    /// # Errors
    /// As the store answers. A location that does not answer is a finding.
    pub async fn verify_log(&self) -> Result<LogVerification, EngineError> {
        verify_log(self.core(), Scope::Everyone).await
    }
}
