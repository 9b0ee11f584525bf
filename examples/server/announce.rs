//! What the server says when it starts: where things are, and what to copy.

use std::{fmt::Write, net::SocketAddr};

use crate::{
    build::Built,
    config::{Config, LogFormat, StoreChoice},
    house::{House, Password},
};

/// One thing to know, under its name.
type Line = (&'static str, String);

/// Says it on standard output, or in a log that machines read, there.
pub(crate) fn announce(config: &Config, house: &House, built: &Built, address: SocketAddr) {
    let lines = lines(config, house, built, address);
    match config.log.format {
        LogFormat::Human => print!("{}", text(&lines)),
        LogFormat::Json => {
            let mut of = "";
            for (what, is) in &lines {
                // A line without a name says more of the one before.
                of = if what.is_empty() { of } else { what };
                tracing::info!(what = of, is, "started");
            }
        }
    }
}

fn text(lines: &[Line]) -> String {
    let mut text = String::from("Aegis server\n");
    for (what, is) in lines {
        // Writing to a string can't fail.
        let _ = writeln!(text, "  {what:10} {is}");
    }
    text
}

fn lines(config: &Config, house: &House, built: &Built, address: SocketAddr) -> Vec<Line> {
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let mut lines = vec![("api", format!("{scheme}://{address}/api/v1, described at /openapi.json"))];
    lines.push(("page", format!("{scheme}://{address}/")));
    lines.push(("access", access(config, address)));
    lines.push(("metrics", metrics(config, scheme, address)));
    if let Some(file) = &config.file {
        lines.push(("config", file.display().to_string()));
    }
    lines.push(("data", house.root().display().to_string()));
    lines.push(("store", store(config, house)));
    for (name, storage) in &config.storage {
        lines.push(("storage", format!("{name}: {}", storage.uri)));
        match built.passwords.get(name) {
            Some(Password::Made(path)) => {
                lines.push(("password", format!("{}, made now, readable by you alone", path.display())));
                lines.push(("", "COPY IT to a safe place: without it the backups are lost".to_owned()));
            }
            Some(Password::Found(path)) => {
                lines.push(("password", format!("{}; keep a copy elsewhere", path.display())));
            }
            Some(Password::Named(_)) | None => {}
        }
    }
    for (name, cluster) in &config.clusters {
        let namespaces = cluster.namespaces.iter().map(|(namespace, set)| {
            let paths: Vec<_> = set.paths.iter().map(|path| path.display().to_string()).collect();
            format!("{namespace} = {}", paths.join(" and "))
        });
        let namespaces: Vec<_> = namespaces.collect();
        lines.push((
            "cluster",
            match &*namespaces.join(", ") {
                "" => format!("{name} protects nothing yet: start with --protect NAME=PATH"),
                protected => format!("{name} protects {protected}"),
            },
        ));
        for root in &cluster.restore_roots {
            lines.push(("", format!("restores may go below {}", root.display())));
        }
    }
    lines.push(("try", format!("curl {scheme}://{address}/health")));
    lines
}

fn access(config: &Config, address: SocketAddr) -> String {
    match (config.tokens.len(), &config.tls) {
        (0, _) => {
            "no tokens: everyone on this machine may do everything, and nobody else is let in".to_owned()
        }
        (tokens, None) if !address.ip().is_loopback() => {
            format!("{tokens} tokens, sent unencrypted: configure [tls], or a proxy in front that has it")
        }
        (tokens, _) => format!("{tokens} tokens"),
    }
}

fn metrics(config: &Config, scheme: &str, address: SocketAddr) -> String {
    match (config.shows_figures(), config.tokens.is_empty()) {
        (false, _) => "none: name a token for them with [metrics] token_file".to_owned(),
        (true, false) => format!("{scheme}://{address}/metrics, with a token of its own"),
        (true, true) => format!("{scheme}://{address}/metrics"),
    }
}

fn store(config: &Config, house: &House) -> String {
    match &config.store {
        StoreChoice::Memory => "memory: forgotten when the server ends".to_owned(),
        StoreChoice::Sqlite(Some(file)) => format!("SQLite, {}", file.display()),
        StoreChoice::Sqlite(None) => format!("SQLite, {}", house.database().display()),
        StoreChoice::Postgres(_) => "PostgreSQL".to_owned(),
    }
}
