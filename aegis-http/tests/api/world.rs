//! What the tests are made of: S1's cluster and location, in memory, under a clock turned by hand.

use std::{sync::Arc, time::Duration};

use aegis_core::{
    engine::{Aegis, AegisBuilder, ClusterOptions, EngineOptions, TenantOptions},
    model::{ApprovalRule, TenantId},
    seams::{Clock, Store},
    testing::{ManualClock, MemoryObjectStorage, ScriptedDriver},
};
use aegis_http::{Access, HttpOptions, Identity, Lifecycle, LimitProfile, Metrics, Role, Token, TokenHash};
use aegis_store_memory::MemoryStore;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use serde_json::Value;
use tower::ServiceExt;

pub(crate) const CLUSTER: &str = "prod-us-east-1";
pub(crate) const START: &str = "2026-02-06T16:00:00Z";

/// An engine and the API over it.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) engine: Aegis,
    pub(crate) router: Router,
    pub(crate) lifecycle: Lifecycle,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The body, of an answer with this status.
    pub(crate) fn with(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// The message, of a failure with this status and code.
    pub(crate) fn refused(self, status: u16, code: &str) -> String {
        assert_eq!(
            (self.status.as_u16(), &self.body["error"]["code"]),
            (status, &Value::from(code)),
            "{}",
            self.body
        );
        self.body["error"]["message"].as_str().unwrap().to_owned()
    }
}

/// A request, built up.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) uri: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
}

impl Ask {
    pub(crate) fn new(method: &str, uri: &str) -> Self {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Self { method, uri: uri.to_owned(), headers: Vec::new(), body: None }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn json(self, body: impl ToString) -> Self {
        Self { body: Some(body.to_string()), ..self.header("content-type", "application/json") }
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }
}

/// What the world is made with.
pub(crate) struct Setting {
    pub(crate) access: Access,
    pub(crate) approval: ApprovalRule,
    pub(crate) store: Option<Arc<dyn Store>>,
    pub(crate) limits: LimitProfile,
}

impl Default for Setting {
    fn default() -> Self {
        Self { access: Access::Open, approval: ApprovalRule::None, store: None, limits: LimitProfile::Off }
    }
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

/// One token per role, named after it; `stranger` is the admin of another tenant, and `outsider` of
/// one of which nothing is served.
pub(crate) fn tokens() -> Access {
    let token = |name: &str, tenant: &str, role| Token {
        hash: TokenHash::of(name),
        identity: Identity { tenant: tenant.parse().unwrap(), principal: name.parse().unwrap(), role },
    };
    let own = Role::ALL.map(|role| token(role.as_str(), "default", role));
    let others = [token("stranger", "other", Role::Admin), token("outsider", "nowhere", Role::Admin)];
    Access::Tokens(own.into_iter().chain(others).collect())
}

impl World {
    /// Everyone is admin, as on a machine of one's own.
    pub(crate) fn open() -> Self {
        Self::new(Setting::default())
    }

    /// With one token per role.
    pub(crate) fn guarded() -> Self {
        Self::new(Setting { access: tokens(), ..Setting::default() })
    }

    pub(crate) fn new(setting: Setting) -> Self {
        let clock = ManualClock::starting_at(START.parse().unwrap());
        let dated: Arc<dyn Clock> = Arc::new(clock.clone());
        let files = [("deployment.yaml", "replicas: 3"), ("service.yaml", "port: 80")];
        let mut driver = ScriptedDriver::new(Arc::clone(&dated)).with_restore_root("/restores");
        for namespace in ["default", "app-backend", "app-frontend"] {
            driver = driver.with_namespace(namespace.parse().unwrap(), files);
        }
        let store = setting.store.unwrap_or_else(|| Arc::new(MemoryStore::new(Arc::clone(&dated))));
        let engine = builder(&clock, store, &driver, setting.approval).build().unwrap();
        let lifecycle = Lifecycle::default();
        let figures = Metrics::new(String::new).with_token(TokenHash::of("metrics"));
        let options = HttpOptions::default()
            .with_access(setting.access)
            .with_lifecycle(lifecycle.clone())
            .with_limits(tenant("default"), setting.limits)
            .with_metrics(figures);
        let router = aegis_http::router(engine.clone(), options);
        Self { clock, engine, router, lifecycle }
    }

    /// What is answered.
    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
        let mut request = Request::builder().method(ask.method).uri(ask.uri);
        if !ask.headers.iter().any(|(name, _)| name == "host") {
            request = request.header(header::HOST, "localhost:8082");
        }
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let request = request.body(ask.body.map_or_else(Body::empty, Body::from)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let kind = parts.headers.get("content-type").map_or(&b""[..], |kind| kind.as_bytes());
        let is_text = kind.starts_with(b"text/plain; version=");
        let body = match &bytes[..] {
            b"" => Value::Null,
            text if is_text => String::from_utf8(text.to_vec()).unwrap().into(),
            json => serde_json::from_slice(json).unwrap(),
        };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.ask(Ask::new("GET", uri)).await
    }

    pub(crate) async fn delete(&self, uri: &str) -> Answer {
        self.ask(Ask::new("DELETE", uri)).await
    }

    pub(crate) async fn post(&self, uri: &str, body: impl ToString) -> Answer {
        self.ask(Ask::new("POST", uri).json(body)).await
    }

    pub(crate) async fn put(&self, uri: &str, body: impl ToString) -> Answer {
        self.ask(Ask::new("PUT", uri).json(body)).await
    }

    /// Passes, and lets time go by in between, for `seconds`.
    pub(crate) async fn run(&self, seconds: u64) {
        let end = self.clock.monotonic().after(Duration::from_secs(seconds));
        while self.clock.monotonic() < end {
            let pause = self.engine.pass().await.max(Duration::from_millis(100));
            let left = end.since(self.clock.monotonic());
            self.clock.advance(pause.min(left));
        }
        self.engine.pass().await;
    }
}

fn builder(
    clock: &ManualClock,
    store: Arc<dyn Store>,
    driver: &ScriptedDriver,
    approval: ApprovalRule,
) -> AegisBuilder {
    let dated: Arc<dyn Clock> = Arc::new(clock.clone());
    let location = "s3://oco-backups/prod-us-east-1/".parse().unwrap();
    let elsewhere = ScriptedDriver::new(Arc::clone(&dated));
    let mut options = EngineOptions::default();
    options.poll_interval = Duration::from_secs(10);
    options.idle_interval = Duration::from_secs(3600);
    Aegis::builder()
        .store(store)
        .clock(Arc::clone(&dated))
        .cluster(CLUSTER, Arc::new(driver.clone()))
        .cluster_with("elsewhere", Arc::new(elsewhere), ClusterOptions::for_tenants([tenant("other")]))
        .storage(Arc::new(MemoryObjectStorage::new(location, dated)))
        .tenant(tenant("default"), TenantOptions::default().with_approval(approval))
        .options(options)
        .seed([1; 32])
        .holder("one")
}
