//! The Aegis server: the engine, its HTTP API and a page for people, durable by default.
//!
//! `cargo run --release --example server -- --protect documents=/srv/documents`
//!
//! Without any configuration it keeps everything in `./aegis-data` and listens on
//! `127.0.0.1:8082`. `docs/configuration.md` has every key.

mod announce;
mod build;
mod cli;
mod compress;
mod config;
mod figures;
mod house;
mod listen;
mod log;
mod page;
mod problem;
mod token;

use std::process::ExitCode;

use aegis::http::{self, Access, HttpOptions, Lifecycle};
use futures::future;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use cli::{Asked, Flags};
use config::Config;
use figures::Figures;
use house::House;
use listen::{Door, MAX_CONNECTIONS};
use problem::{Problem, Result};

fn main() -> ExitCode {
    let flags = match cli::parse(std::env::args_os().skip(1)) {
        Ok(Asked::Serve(flags)) => flags,
        Ok(Asked::NewToken(name)) => return end(token::describe_new(&name).map(|text| print!("{text}"))),
        Ok(Asked::Help) => {
            println!("{}", cli::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("server: {wrong}\n\n{}", cli::USAGE);
            return ExitCode::from(2);
        }
    };
    end(run(&flags))
}

fn end(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("server: {problem}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(flags: &Flags) -> Result<()> {
    let config = config::load(flags, &|name| std::env::var(name).ok())?;
    log::start(&config.log);
    // Remote storages and TLS use the provider that the program has chosen; nobody chose before us.
    drop(rustls::crypto::ring::default_provider().install_default());
    let house = House::open(&config.data_dir)?;
    let most = config.http.max_connections.unwrap_or(MAX_CONNECTIONS);
    let door = Door::open(config.listen, config.tls.as_ref(), most).await?;
    let figures = Figures::record(&config)?;
    let built = build::build(&config, &house).await?;
    let lifecycle = Lifecycle::default();
    let mut options = options(&config, &built, lifecycle.clone());
    // It ends with the server.
    let mut upkeep = JoinSet::new();
    if let Some(figures) = figures {
        options = options.with_metrics(figures.metrics(&config));
        upkeep.spawn(figures.keep());
    }
    let api = http::router(built.engine.clone(), options);
    // The API last: whatever is nowhere gets its answer.
    let mut router = page::router().merge(api);
    if config.http.compression {
        router = compress::compressing(router);
    }
    let stop = stop()?;
    let running = built.engine.start();
    announce::announce(&config, &house, &built, door.address);
    door.serve(router, async move {
        stop.await;
        tracing::info!("stopping: finishing what is under way, 30 s at most");
        lifecycle.drain();
    })
    .await;
    running.shutdown().await;
    built.store.close().await;
    Ok(())
}

fn options(config: &Config, built: &build::Built, lifecycle: Lifecycle) -> HttpOptions {
    let access = match config.tokens.as_slice() {
        [] => Access::Open,
        tokens => Access::Tokens(tokens.iter().cloned().collect()),
    };
    let mut options =
        HttpOptions::default().with_access(access).with_lifecycle(lifecycle).with_store(built.store.kind());
    for (tenant, settings) in &config.tenants {
        options = options.with_limits(tenant.clone(), settings.limits);
    }
    if let Some(most) = config.http.max_body_bytes.and_then(|most| usize::try_from(most).ok()) {
        options.max_body = most;
    }
    options
}

/// Ends when the process is asked to stop. Asked again, it ends at once: nothing acknowledged is lost
/// by that.
fn stop() -> Result<impl Future<Output = ()> + Send> {
    let listen =
        |kind| signal(kind).map_err(|error| Problem::new(format!("can't listen for signals: {error}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        drop(future::select(Box::pin(terminate.recv()), Box::pin(interrupt.recv())).await);
    })
}
