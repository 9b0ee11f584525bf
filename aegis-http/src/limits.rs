//! How often a tenant may ask: exact, per tenant and class of call, per process.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aegis_core::{
    engine::Aegis,
    model::TenantId,
    seams::{Clock, Monotonic},
};
use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
};

use crate::error::{AppError, ErrorCode};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// How often a tenant may ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitProfile {
    /// As often as it likes.
    #[default]
    Off,
    /// As people do who click: in an hour 10 backups, 50 runs of policies, 5 recovery plans,
    /// 20 verifications and 20 DR tests. Executing, approving and cancelling
    /// stay at 60 a minute each.
    Interactive,
}

/// Calls that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CallClass {
    CreateBackup,
    RunPolicy,
    CreatePlan,
    Verify,
    TestRecovery,
    // What nobody should have to wait for when things are bad; none of them for another.
    Execute,
    Approve,
    Cancel,
}

use CallClass as C;

/// Which calls are of which class. Those that are not here are not counted.
const CLASSES: &[(Method, &str, CallClass)] = &[
    (Method::POST, "/api/v1/backups/jobs", C::CreateBackup),
    (Method::DELETE, "/api/v1/backups/jobs/{job_id}", C::Cancel),
    (Method::POST, "/api/v1/backups/records/{record_id}/verify", C::Verify),
    (Method::POST, "/api/v1/dr/policies/{policy_id}/run", C::RunPolicy),
    (Method::POST, "/api/v1/dr/tests", C::TestRecovery),
    (Method::POST, "/api/v1/dr/tests/{test_id}/cancel", C::Cancel),
    (Method::POST, "/api/v1/recovery/execute/{plan_id}", C::Execute),
    (Method::POST, "/api/v1/recovery/plans", C::CreatePlan),
    (Method::POST, "/api/v1/recovery/plans/{plan_id}/approve", C::Approve),
    (Method::POST, "/api/v1/recovery/plans/{plan_id}/cancel", C::Cancel),
];

/// So many calls in any span of such a length.
#[derive(Clone, Copy, Debug)]
struct Quota {
    calls: usize,
    span: Duration,
}

impl LimitProfile {
    const fn quota(self, class: CallClass) -> Option<Quota> {
        let (calls, span) = match (self, class) {
            (Self::Off, _) => return None,
            (Self::Interactive, C::CreateBackup) => (10, HOUR),
            (Self::Interactive, C::RunPolicy) => (50, HOUR),
            (Self::Interactive, C::CreatePlan) => (5, HOUR),
            (Self::Interactive, C::Verify | C::TestRecovery) => (20, HOUR),
            (Self::Interactive, C::Execute | C::Approve | C::Cancel) => (60, MINUTE),
        };
        Some(Quota { calls, span })
    }
}

/// How a tenant stands after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    limit: usize,
    remaining: usize,
    /// How long until one more is free.
    frees: Duration,
    allowed: bool,
}

impl Quota {
    /// Counts a call, if it may be made.
    fn take(self, made: &mut VecDeque<Monotonic>, now: Monotonic) -> Standing {
        while made.front().is_some_and(|at| now.since(*at) >= self.span) {
            made.pop_front();
        }
        let allowed = made.len() < self.calls;
        if allowed {
            made.push_back(now);
        }
        let frees = made.front().map_or(Duration::ZERO, |at| at.after(self.span).since(now));
        Standing { limit: self.calls, remaining: self.calls - made.len(), frees, allowed }
    }
}

/// Counts the calls of each tenant. Each process counts those that it takes.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    made: Mutex<HashMap<(TenantId, CallClass), VecDeque<Monotonic>>>,
}

impl Limiter {
    /// Counts a call of a caller who may make it.
    ///
    /// # Errors
    /// `rate_limited` if there were too many of its class.
    pub(crate) fn count(
        &self,
        engine: &Aegis,
        profile: LimitProfile,
        tenant: &TenantId,
        parts: &Parts,
    ) -> Result<(), AppError> {
        let Some(call) = parts.extensions.get::<LimitedCall>() else { return Ok(()) };
        let Some(quota) = profile.quota(call.class) else { return Ok(()) };
        let standing = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            quota.take(made.entry((tenant.clone(), call.class)).or_default(), engine.clock().monotonic())
        };
        drop(call.told.set(headers(standing, engine.clock())));
        if standing.allowed {
            return Ok(());
        }
        let seconds = seconds(standing.frees);
        let message = format!(
            "{} of these calls are taken in {} s: come back in {seconds} s",
            standing.limit,
            quota.span.as_secs()
        );
        Err(AppError::new(ErrorCode::RateLimited, message).with("retry_after_seconds", seconds))
    }
}

fn class_of(request: &Request) -> Option<CallClass> {
    let path = request.extensions().get::<MatchedPath>()?.as_str();
    // Whoever mounts the router may put something before the path.
    let is_of = |(method, template, _): &&(Method, &str, CallClass)| {
        method == request.method() && path.ends_with(template)
    };
    let found = CLASSES.iter().find(is_of);
    found.map(|(_, _, class)| *class)
}

/// A call that is limited, once its caller is known.
#[derive(Clone, Debug)]
pub(crate) struct LimitedCall {
    class: CallClass,
    /// What the response tells of the limit then.
    told: Arc<OnceLock<HeaderMap>>,
}

impl LimitedCall {
    /// Notes in a request that it is one, if it is.
    pub(crate) fn note(request: &mut Request) -> Option<Self> {
        let call = Self { class: class_of(request)?, told: Arc::default() };
        request.extensions_mut().insert(call.clone());
        Some(call)
    }

    /// Tells in its response how the tenant stands, if it was counted.
    pub(crate) fn tell(&self, response: &mut HeaderMap) {
        if let Some(headers) = self.told.get() {
            response.extend(headers.clone());
        }
    }
}

fn headers(standing: Standing, clock: &dyn Clock) -> HeaderMap {
    let name = HeaderName::from_static;
    let resets = clock.now().saturating_add(standing.frees).as_micros().div_euclid(1_000_000) + 1;
    let mut headers = HeaderMap::from_iter([
        (name("x-ratelimit-limit"), HeaderValue::from(standing.limit)),
        (name("x-ratelimit-remaining"), HeaderValue::from(standing.remaining)),
        (name("x-ratelimit-reset"), HeaderValue::from(resets)),
    ]);
    if !standing.allowed {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds(standing.frees)));
    }
    headers
}

/// Whole seconds, so that nobody comes too early.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Monotonic {
        Monotonic::from_elapsed(Duration::from_secs(seconds))
    }

    #[test]
    fn no_span_has_more_calls_than_the_quota() {
        let quota = Quota { calls: 3, span: HOUR };
        let mut made = VecDeque::new();
        let mut taken = Vec::new();
        for second in (0..20_000).step_by(7) {
            if quota.take(&mut made, at(second)).allowed {
                taken.push(second);
            }
        }
        assert!(taken.windows(4).all(|calls| calls[3] - calls[0] >= HOUR.as_secs()), "{taken:?}");
        assert!(taken.len() >= 15, "and what was promised is given: {taken:?}");
    }

    #[test]
    fn who_comes_back_when_told_to_is_let_in() {
        let quota = Quota { calls: 2, span: MINUTE };
        let mut made = VecDeque::new();
        assert_eq!(quota.take(&mut made, at(0)).remaining, 1);
        assert_eq!(quota.take(&mut made, at(10)).remaining, 0);
        let refused = quota.take(&mut made, at(20));
        assert_eq!((refused.allowed, seconds(refused.frees)), (false, 40));
        assert!(!quota.take(&mut made, at(59)).allowed);
        assert!(quota.take(&mut made, at(60)).allowed);
    }

    #[test]
    fn what_is_urgent_is_never_below_sixty_a_minute() {
        for (what, class) in [("execute", C::Execute), ("approve", C::Approve), ("cancel", C::Cancel)] {
            let quota = LimitProfile::Interactive.quota(class).unwrap();
            assert!(quota.calls >= 60 && quota.span <= MINUTE);
            let all: Vec<_> = CLASSES.iter().filter(|(_, path, _)| path.contains(what)).collect();
            assert!(!all.is_empty() && all.iter().all(|(_, _, of)| *of == class), "{what}");
        }
    }
}
