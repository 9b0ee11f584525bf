//! From the sections of a file to what they mean.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use aegis::{
    engine::TenantOptions,
    files::PasswordSource,
    http::{Identity, LimitProfile, Role, Token, TokenHash},
    model::{ApprovalRule, ClusterName, NamespaceName, StorageBackend, StorageUri, TenantId},
    storage::{Credentials, StorageOptions, Transport},
    webhooks::{EventPattern, PrivateAddresses, WebhookOptions},
};
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{
    Cluster, Http, Log, LogFormat, Namespace, Storage, Tenant, Tls,
    secret::{Reference, Secret},
    section::{Placed, Section},
};

pub(super) fn clusters(top: &mut Section<'_>) -> BTreeMap<ClusterName, Cluster> {
    let clusters = top.named("clusters").into_iter();
    clusters.filter_map(|(name, section)| Some((valid(&section, &name)?, cluster(section)))).collect()
}

fn cluster(mut section: Section<'_>) -> Cluster {
    let driver = section.text("driver");
    match driver.as_ref().map(|driver| &*driver.value) {
        Some("files") => {}
        Some("velero") => section.mistake(
            "driver = \"velero\": this server has no Velero driver yet, and would protect nothing here: take \
             the section out, or run it where the driver `files` reaches the data",
        ),
        Some(other) => section.mistake(format_args!("there is no driver `{other}`: use \"files\"")),
        None => section.mistake("the cluster has no driver: write driver = \"files\""),
    }
    let cluster = Cluster {
        namespaces: namespaces(&mut section),
        restore_roots: section.paths("restore_roots"),
        tenants: tenants_of(&mut section),
        max_running: section.number("max_running").map(|number| number.value),
    };
    // What another driver would take is not a mistake of its own beside the driver.
    if driver.is_some_and(|driver| driver.value == "files") {
        section.finish();
    }
    cluster
}

fn namespaces(section: &mut Section<'_>) -> BTreeMap<NamespaceName, Namespace> {
    let mut namespaces: BTreeMap<NamespaceName, Namespace> = BTreeMap::new();
    let mut given = section.section("namespaces");
    for (name, paths) in given.lists() {
        let Some(valid) = valid(&given, &name) else { continue };
        let paths = paths.iter().map(|path| given.source.resolve(&path.value)).collect();
        namespaces.insert(valid, Namespace { paths, excludes: Vec::new() });
    }
    let mut excludes = section.section("excludes");
    for (name, globs) in excludes.lists() {
        let known = name.value.parse().ok().and_then(|name: NamespaceName| namespaces.get_mut(&name));
        match known {
            Some(namespace) => namespace.excludes = globs.into_iter().map(|glob| glob.value).collect(),
            None => excludes.source.mistakes.add(name.place, "there is no namespace of this name"),
        }
    }
    namespaces
}

pub(super) fn storages(top: &mut Section<'_>) -> BTreeMap<String, Storage> {
    let storages = top.named("storage").into_iter();
    storages
        .filter_map(|(name, section)| {
            // The name becomes a file's name.
            let name: ClusterName = valid(&section, &name)?;
            Some((name.to_string(), storage(section)?))
        })
        .collect()
}

fn storage(mut section: Section<'_>) -> Option<Storage> {
    let uri: Option<Placed<StorageUri>> = section.parsed("url");
    if uri.is_none() && !section.has("url") {
        section.mistake("the location has no url: write one that begins with file:// s3:// gs:// or az://");
    }
    let credentials = credentials(&mut section, uri.as_ref().map(|uri| uri.value.backend()));
    let mut options = StorageOptions::default();
    options.credentials = credentials.unwrap_or_default();
    options.endpoint = section.text("endpoint").map(|endpoint| endpoint.value);
    options.region = section.text("region").map(|region| region.value);
    if section.switch("allow_http") == Some(true) {
        options.transport = Transport::PlainAllowed;
    }
    let password = section.reference("password").map(|reference| match reference.value {
        Reference::Env(name) => PasswordSource::Env(name),
        Reference::File(path) => PasswordSource::File(path),
    });
    let tenants = tenants_of(&mut section);
    section.finish();
    Some(Storage { uri: uri?.value, options, password, tenants })
}

/// Who we are to a storage, if it is said; else what the cloud's own tools would use.
fn credentials(section: &mut Section<'_>, backend: Option<StorageBackend>) -> Option<Credentials> {
    let id = section.text("access_key_id");
    let secret = section.secret("secret_access_key");
    let service_account = section.secret_document("service_account_file");
    let account = section.text("account");
    let account_key = section.secret("account_key");
    let secret_text = |secret: Secret| secret.expose().into();
    let mut given: Vec<(StorageBackend, Credentials)> = Vec::new();
    match (id, secret) {
        (Some(id), Some(secret)) => given.push((
            StorageBackend::S3,
            Credentials::S3 {
                access_key_id: id.value,
                secret_access_key: secret_text(secret),
                session_token: None,
            },
        )),
        (None, None) => {}
        _ => section.mistake(
            "access_key_id goes with secret_access_key_file or secret_access_key_env: write both, or neither \
             to use what the environment has",
        ),
    }
    if let Some(json) = service_account {
        given.push((StorageBackend::Gcs, Credentials::GcsServiceAccount { json: secret_text(json) }));
    }
    match (account, account_key) {
        (Some(account), Some(key)) => given.push((
            StorageBackend::AzureBlob,
            Credentials::AzureAccount { account: account.value, access_key: secret_text(key) },
        )),
        (None, None) => {}
        _ => section.mistake(
            "account goes with account_key_file or account_key_env: write both, or neither to use what the \
             environment has",
        ),
    }
    let backend = backend?;
    if given.iter().any(|(of, _)| *of != backend) {
        section.mistake(format_args!("a location of the kind {backend} takes other credentials"));
    }
    given.into_iter().find(|(of, _)| *of == backend).map(|(_, credentials)| credentials)
}

pub(super) fn tenants(top: &mut Section<'_>) -> BTreeMap<TenantId, Tenant> {
    let tenants = top.named("tenants").into_iter();
    tenants.filter_map(|(name, section)| Some((valid(&section, &name)?, tenant(section)))).collect()
}

fn tenant(mut section: Section<'_>) -> Tenant {
    let rules = ["none", "one", "two"];
    let approval = section.one_of("approval", rules).map_or(ApprovalRule::None, |rule| match rule {
        "one" => ApprovalRule::One,
        "two" => ApprovalRule::Two,
        _ => ApprovalRule::None,
    });
    let limits = match section.one_of("limits", ["off", "interactive"]) {
        Some("interactive") => LimitProfile::Interactive,
        _ => LimitProfile::Off,
    };
    section.finish();
    Tenant { options: TenantOptions::default().with_approval(approval), limits }
}

pub(super) fn tokens(top: &mut Section<'_>) -> Vec<Token> {
    let mut auth = top.section("auth");
    let tokens = auth.repeated("tokens").into_iter().filter_map(token).collect();
    auth.finish();
    tokens
}

fn token(mut section: Section<'_>) -> Option<Token> {
    let principal = section.required("name", "\"ops\": what its holder is called in the log");
    let hash: Option<Placed<TokenHash>> =
        section.required("sha256", "what `server token new NAME` prints: never the token itself");
    let tenant = section.parsed("tenant").map(|tenant| tenant.value);
    let roles: Vec<Role> = section.parsed_list("roles").unwrap_or_default();
    if roles.is_empty() {
        section.mistake(
            "the token has no roles: write, as roles = [\"viewer\"], one of viewer, operator, \
                         approver, admin",
        );
    }
    let tenant = tenant.or_else(|| "default".parse().ok());
    section.finish();
    // Each role may do what those before it may.
    let role = roles.into_iter().max()?;
    Some(Token {
        hash: hash?.value,
        identity: Identity { tenant: tenant?, principal: principal?.value, role },
    })
}

/// The token that opens `/metrics`, as it is compared.
pub(super) fn metrics(top: &mut Section<'_>) -> Option<TokenHash> {
    let mut section = top.section("metrics");
    let token = section.secret("token").map(Secret::expose);
    if section.is_there() && !section.has("token_file") && !section.has("token_env") {
        section.mistake("write token_file or token_env: where the token is that opens /metrics");
    }
    if token.as_ref().is_some_and(|token| token.len() < 16) {
        section.mistake("the token is shorter than 16 characters: make a long random one");
    }
    section.finish();
    token.map(|token| TokenHash::of(&token))
}

pub(super) fn tls(top: &mut Section<'_>) -> Option<Tls> {
    let mut section = top.section("tls");
    let (certificate, key) = (section.path("certificate"), section.path("key"));
    if certificate.is_some() != key.is_some() || (section.is_there() && certificate.is_none()) {
        section.mistake("write both certificate = \"FILE\" and key = \"FILE\", in PEM");
    }
    section.finish();
    Some(Tls { certificate: certificate?.value, key: key?.value })
}

pub(super) fn webhooks(top: &mut Section<'_>) -> Vec<WebhookOptions> {
    let webhooks = top.named("webhooks").into_iter();
    webhooks.filter_map(|(name, section)| webhook(&name, section)).collect()
}

fn webhook(name: &Placed<String>, mut section: Section<'_>) -> Option<WebhookOptions> {
    let name: Option<ClusterName> = valid(&section, name);
    let url = section.required::<String>("url", "\"https://HOST/PATH\"");
    let secret = section.secret("secret");
    if secret.is_none() && !section.has("secret_file") && !section.has("secret_env") {
        section.mistake("the webhook has no secret: write secret_file or secret_env");
    }
    let events: Option<Vec<EventPattern>> = section.parsed_list("events");
    let tenants = tenants_of(&mut section);
    let since = section.parsed("since").map(|since| since.value);
    let patience = section.number("patience_seconds");
    let private = section.switch("allow_private") == Some(true);
    if !private && url.as_ref().is_some_and(|url| url.value.starts_with("http://")) {
        section.mistake(
            "the webhook's url is not encrypted: write https://, or allow_private = true for a receiver on a \
             network of your own",
        );
    }
    let (source, place) = (section.source, section.place());
    section.finish();
    let made = WebhookOptions::new(name?.to_string(), &url?.value, secret?.expose());
    let mut options = made.map_err(|error| source.mistakes.add(place, error)).ok()?.for_tenants(tenants);
    if let Some(events) = events {
        options = options.with_events(events.into_iter().collect());
    }
    if let Some(since) = since {
        options = options.since(since);
    }
    if let Some(seconds) = patience {
        options = options.with_patience(Duration::from_secs(seconds.value.into()));
    }
    Some(if private { options.with_private_addresses(PrivateAddresses::Permitted) } else { options })
}

/// How long events are kept.
pub(super) fn history(top: &mut Section<'_>) -> Option<Duration> {
    let mut section = top.section("history");
    let days = section.number("keep_days");
    section.finish();
    days.map(|days| Duration::from_secs(24 * 3600).saturating_mul(days.value))
}

pub(super) fn log(top: &mut Section<'_>) -> Log {
    let mut section = top.section("log");
    let format = match section.one_of("format", ["human", "json"]) {
        Some("json") => LogFormat::Json,
        _ => LogFormat::Human,
    };
    let level = section.parsed::<Targets>("level").map(|level| level.value);
    section.finish();
    // sqlx warns with whole statements when the database is slow.
    let usual = || Targets::new().with_default(LevelFilter::INFO).with_target("sqlx", LevelFilter::ERROR);
    Log { format, level: level.unwrap_or_else(usual) }
}

pub(super) fn http(top: &mut Section<'_>) -> Http {
    let mut section = top.section("http");
    let http = Http {
        max_body_bytes: section.number("max_body_bytes").map(|number| number.value),
        max_connections: section.number("max_connections").map(|number| number.value),
        compression: section.switch("compression") != Some(false),
    };
    section.finish();
    http
}

/// Whose the section's thing is: the tenant `default`'s unless said.
fn tenants_of(section: &mut Section<'_>) -> Vec<TenantId> {
    match section.parsed_list("tenants") {
        Some(tenants) => {
            if tenants.is_empty() {
                section.mistake("it belongs to no tenant: name at least one, as tenants = [\"default\"]");
            }
            tenants
        }
        None => "default".parse().into_iter().collect(),
    }
}

/// A section's name, as what it must be.
fn valid<T: FromStr<Err: std::fmt::Display>>(section: &Section<'_>, name: &Placed<String>) -> Option<T> {
    name.value.parse().map_err(|error| section.source.mistakes.add(&name.place, error)).ok()
}
