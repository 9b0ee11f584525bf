//! The embedder's checks that run for DR tests.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{
    FutureExt, StreamExt,
    future::{self, AbortHandle, Abortable, BoxFuture},
    stream::FuturesUnordered,
};

use super::Core;
use crate::{
    model::{CheckStatus, DisplayName, DrFinding, DrTestId},
    seams::{DrCheck, DrVerdict, RestoredCopy},
};

type Ended = (DrTestId, Vec<DrFinding>);

/// The checks that run for DR tests into one cluster. They may take long, so that no pass waits for
/// them: they are driven while the loop rests, and looked at by each pass.
#[derive(Debug, Default)]
pub(crate) struct RunningChecks {
    /// Never locked: it only lends a worker, which is shared between threads, what is not.
    running: Mutex<FuturesUnordered<Abortable<BoxFuture<'static, Ended>>>>,
    begun: HashMap<DrTestId, AbortHandle>,
    ended: HashMap<DrTestId, Vec<DrFinding>>,
}

impl RunningChecks {
    fn running(&mut self) -> &mut FuturesUnordered<Abortable<BoxFuture<'static, Ended>>> {
        self.running.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the checks of a test found, if they have ended; begins them if they have not begun.
    pub(crate) fn findings(
        &mut self,
        core: &Core,
        checks: &[DisplayName],
        restored: RestoredCopy,
    ) -> Option<Vec<DrFinding>> {
        let test = restored.test;
        if !self.begun.contains_key(&test) {
            let known = checks.iter().map(|name| (name.clone(), core.checks.get(name).cloned())).collect();
            let (carried_out, handle) = future::abortable(carry_out(known, restored).boxed());
            self.running().push(carried_out);
            self.begun.insert(test, handle);
        }
        while let Some(Some(ended)) = self.running().next().now_or_never() {
            self.note(ended);
        }
        let findings = self.ended.remove(&test)?;
        // A commit that loses its race asks again.
        self.begun.remove(&test);
        Some(findings)
    }

    /// Forgets a test whose checks nobody waits for any more; those that still run are dropped.
    pub(crate) fn forget(&mut self, test: DrTestId) {
        if let Some(handle) = self.begun.remove(&test) {
            handle.abort();
        }
        self.ended.remove(&test);
    }

    /// Drives what runs until the checks of some test have ended; for ever if nothing runs.
    pub(crate) async fn ended(&mut self) {
        match self.running().next().await {
            Some(ended) => self.note(ended),
            None => future::pending().await,
        }
    }

    fn note(&mut self, ended: Result<Ended, future::Aborted>) {
        if let Ok((test, findings)) = ended {
            self.ended.insert(test, findings);
        }
    }
}

async fn carry_out(checks: Vec<(DisplayName, Option<Arc<dyn DrCheck>>)>, restored: RestoredCopy) -> Ended {
    let mut findings = Vec::with_capacity(checks.len());
    for (name, check) in checks {
        let verdict = match check {
            Some(check) => AssertUnwindSafe(check.check(&restored))
                .catch_unwind()
                .await
                .unwrap_or_else(|_| DrVerdict::NotRun { reason: "it panicked".to_owned() }),
            None => DrVerdict::NotRun { reason: "this engine has no check of that name".to_owned() },
        };
        findings.push(finding(name, verdict));
    }
    (restored.test, findings)
}

fn finding(check: DisplayName, verdict: DrVerdict) -> DrFinding {
    let (status, reason) = match verdict {
        DrVerdict::Passed => (CheckStatus::Passed, None),
        DrVerdict::Failed { reason } => (CheckStatus::Failed, Some(reason)),
        DrVerdict::NotRun { reason } => (CheckStatus::NotRun, Some(reason)),
    };
    DrFinding { check, status, reason }
}
