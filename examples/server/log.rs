//! What is logged, and how: to standard error, one line each.

use std::io;

use tracing_subscriber::{Layer, Registry, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Log, LogFormat};

pub(crate) fn start(log: &Log) {
    let lines = fmt::layer().with_writer(io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Human => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // Nobody else has set one: this is the program.
    drop(tracing_subscriber::registry().with(lines.with_filter(log.level.clone())).try_init());
}
