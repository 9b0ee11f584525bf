//! The file, the environment and the command line, put together.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use aegis::{
    model::{ClusterName, TenantId},
    store::PostgresOptions,
};
use toml::de::DeTable;

use super::{
    Cluster, Config, Storage, StoreChoice, read,
    section::{Environment, Mistakes, Placed, Section, Source},
};
use crate::{
    cli::Flags,
    problem::{Problem, Result},
};

/// What the server is to be.
///
/// # Errors
/// Every mistake, each with its file, line and key and what to write instead.
pub(crate) fn load(flags: &Flags, environment: Environment<'_>) -> Result<Config> {
    let file = flags.config.clone().or_else(|| environment("AEGIS_CONFIG").map(PathBuf::from));
    let text = match &file {
        Some(file) => fs::read_to_string(file).map_err(|error| {
            Problem::io("read the configuration", file, &error)
                .mend("name a readable file with --config FILE, or none")
        })?,
        None => String::new(),
    };
    let mistakes = Mistakes::default();
    let config = parse(file.as_deref(), &text, flags, environment, &mistakes).0;
    let told = mistakes.into_texts();
    match config {
        Some(config) if told.is_empty() => Ok(config),
        _ => Err(Problem::new(format!("the configuration is wrong:\n  {}", told.join("\n  ")))),
    }
}

/// The configuration, if nothing is wrong, and every key that was asked for.
pub(super) fn parse(
    file: Option<&Path>,
    text: &str,
    flags: &Flags,
    environment: Environment<'_>,
    mistakes: &Mistakes,
) -> (Option<Config>, BTreeSet<String>) {
    let path = file.unwrap_or_else(|| Path::new(""));
    let source = Source { file: path, text, environment, mistakes, asked: RefCell::default() };
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let place = source.place(error.span().map_or(0, |span| span.start));
            mistakes.add(place, error.message());
            return (None, BTreeSet::new());
        }
    };
    let config = whole(Section::top(&source, table.get_ref()), file, flags);
    (config, source.asked.into_inner())
}

fn whole(mut top: Section<'_>, file: Option<&Path>, flags: &Flags) -> Option<Config> {
    let mistakes = top.source.mistakes;
    let listen = listen(&mut top, flags);
    let data_dir = data_dir(&mut top, flags)?;
    let store = store(&mut top, flags);
    let mut clusters = read::clusters(&mut top);
    let mut storage = read::storages(&mut top);
    let tenants = read::tenants(&mut top);
    let tokens = read::tokens(&mut top);
    let metrics = read::metrics(&mut top);
    let tls = read::tls(&mut top);
    let webhooks = read::webhooks(&mut top);
    let keep_events = read::history(&mut top);
    let (log, http) = (read::log(&mut top), read::http(&mut top));
    top.finish();

    add_local(&mut clusters, flags, &data_dir, mistakes);
    if storage.is_empty() {
        let folder = format!("file://{}/backups/", data_dir.display());
        let told = folder.parse().map_err(|error| mistakes.add("--data-dir", error)).ok();
        let everyone: BTreeSet<TenantId> =
            clusters.values().flat_map(|cluster| cluster.tenants.iter().cloned()).collect();
        storage.extend(told.map(|uri| {
            let tenants = everyone.into_iter().collect();
            ("repository".to_owned(), Storage { uri, options: <_>::default(), password: None, tenants })
        }));
    }
    let listen = listen?;
    if tokens.is_empty() && !listen.value.ip().is_loopback() {
        mistakes.add(
            &listen.place,
            "without tokens everyone who reaches the server may do everything, so it listens on this machine \
             alone: listen on 127.0.0.1, or make a token with `server token new NAME`",
        );
    }
    let served: BTreeSet<&TenantId> = clusters.values().flat_map(|cluster| &cluster.tenants).collect();
    let told = |place: String, what: &str, tenant: &TenantId| {
        mistakes.add(
            format_args!("{}: {place}", top_place(file)),
            format_args!(
                "{what} `{tenant}`, which has nothing here: name the tenant in the tenants of a cluster"
            ),
        );
    };
    for tenant in tenants.keys().filter(|tenant| !served.contains(tenant)) {
        told(format!("[tenants.{tenant}]"), "this is of the tenant", tenant);
    }
    for token in tokens.iter().filter(|token| !served.contains(&token.identity.tenant)) {
        let what = format!("the token `{}` is of the tenant", token.identity.principal);
        told("[[auth.tokens]]".to_owned(), &what, &token.identity.tenant);
    }
    let listen = listen.value;
    let file = file.map(Path::to_owned);
    Some(Config {
        file,
        listen,
        data_dir,
        store: store?,
        clusters,
        storage,
        tenants,
        tokens,
        metrics,
        tls,
        webhooks,
        keep_events,
        log,
        http,
    })
}

fn top_place(file: Option<&Path>) -> String {
    file.map_or_else(String::new, |file| file.display().to_string())
}

fn listen(top: &mut Section<'_>, flags: &Flags) -> Option<Placed<SocketAddr>> {
    let configured = top.text("listen");
    let flag = flags.listen.clone().map(|value| Placed { value, place: "--listen".to_owned() });
    let Some(Placed { value, place }) = flag.or(configured) else {
        let value = SocketAddr::from((Ipv4Addr::LOCALHOST, 8082));
        return Some(Placed { value, place: "--listen".to_owned() });
    };
    match value.parse() {
        Ok(value) => Some(Placed { value, place }),
        Err(_) => {
            let mend = "write an address and a port, as 127.0.0.1:8082 or [::]:8082";
            top.source.mistakes.add(place, format_args!("`{value}` can't be listened on: {mend}"));
            None
        }
    }
}

/// The data directory, absolute.
fn data_dir(top: &mut Section<'_>, flags: &Flags) -> Option<PathBuf> {
    let configured = top.path("data_dir").map(|path| path.value);
    let named = flags.data_dir.clone().or(configured).unwrap_or_else(|| "aegis-data".into());
    let absolute = std::path::absolute(&named);
    absolute.map_err(|error| top.source.mistakes.add("--data-dir", error)).ok()
}

fn store(top: &mut Section<'_>, flags: &Flags) -> Option<StoreChoice> {
    let mut section = top.section("store");
    let url = section.text("url");
    let secret = section.secret("url");
    let connections = section.number("connections").map(|number| number.value);
    let schema = section.text("schema").map(|schema| schema.value);
    section.finish();
    let mistakes = top.source.mistakes;
    let of_file = url.as_ref().is_some_and(|url| !url.place.starts_with("AEGIS_"));
    let (text, place) = match (&flags.store, url, secret) {
        (Some(flag), ..) => (flag.clone(), "--store".to_owned()),
        (None, None, None) => return Some(StoreChoice::Sqlite(None)),
        (None, Some(url), None) => (url.value, url.place),
        (None, None, Some(secret)) => (secret.expose(), "store.url_file".to_owned()),
        (None, Some(url), Some(_)) => {
            mistakes.add(url.place, "write url, url_file or url_env, and only one of them");
            return None;
        }
    };
    let visible = flags.store.is_some() || of_file;
    if visible && place != "store.url_file" && has_password(&text) {
        mistakes.add(
            place,
            "a password does not belong here, where others can read it: set PGPASSWORD or AEGIS_STORE_URL, or \
             put the whole URL into a file and name it with url_file",
        );
        return None;
    }
    let choice = store_choice(&text, connections, schema);
    choice.map_err(|why| mistakes.add(place, why)).ok()
}

fn store_choice(
    text: &str,
    connections: Option<u32>,
    schema: Option<String>,
) -> std::result::Result<StoreChoice, String> {
    let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
    match scheme {
        "memory" if rest.is_empty() => Ok(StoreChoice::Memory),
        "sqlite" => match rest.strip_prefix("//").filter(|path| !path.is_empty()) {
            Some(path) => Ok(StoreChoice::Sqlite(Some(path.into()))),
            None => Err("name the file, as sqlite:///var/lib/aegis/aegis.db".to_owned()),
        },
        "postgres" | "postgresql" => {
            let mut options = PostgresOptions::new(text).map_err(|error| error.to_string())?;
            if let Some(connections) = connections {
                options = options.connections(connections);
            }
            if let Some(schema) = schema {
                options = options.schema(schema);
            }
            Ok(StoreChoice::Postgres(Box::new(options)))
        }
        // The rest may hold a password.
        _ => {
            Err("this is no store: write memory:, sqlite://FILE or postgres://USER@HOST/DATABASE".to_owned())
        }
    }
}

/// Whether a database's URL has a password in it.
fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let user = rest.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || query.split('&').any(|pair| pair.starts_with("password="))
}

/// The cluster `local`: what the flags say, or one that protects nothing yet where nothing is said
/// at all.
fn add_local(
    clusters: &mut std::collections::BTreeMap<ClusterName, Cluster>,
    flags: &Flags,
    data_dir: &Path,
    mistakes: &Mistakes,
) {
    let asked = !flags.protect.is_empty() || !flags.restore_roots.is_empty();
    let Ok(name) = ClusterName::new("local") else { return };
    if asked || clusters.is_empty() {
        let new = || Cluster { tenants: "default".parse().into_iter().collect(), ..Cluster::default() };
        let local = clusters.entry(name.clone()).or_insert_with(new);
        for (name, path) in &flags.protect {
            let absolute = std::path::absolute(path).map_err(|error| error.to_string());
            let valid = name.parse().map_err(|error: aegis::model::NameError| error.to_string());
            match valid.and_then(|name| Ok((name, absolute?))) {
                Ok((name, path)) => {
                    local.namespaces.entry(name).or_default().paths.push(path);
                }
                Err(why) => mistakes.add(format_args!("--protect {name}={}", path.display()), why),
            }
        }
        for root in &flags.restore_roots {
            match std::path::absolute(root) {
                Ok(root) => local.restore_roots.push(root),
                Err(why) => mistakes.add(format_args!("--restore-root {}", root.display()), why),
            }
        }
    }
    if let Some(local) = clusters.get_mut(&name) {
        local.restore_roots.insert(0, data_dir.join("restores"));
    }
}
