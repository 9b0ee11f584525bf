//! Tests that can't run on a machine say so, and can be forbidden to.

use std::{env, fs::OpenOptions, io::Write};

/// Announces that the test `name` is not run because of `why`.
///
/// Prints `SKIPPED: name: why`, and adds that line to the file that `AEGIS_SKIP_LOG` names, so that
/// skips can be counted.
///
/// # Panics
/// If `AEGIS_REQUIRE_ALL` is `1`, or the log can't be written.
pub fn skip(name: &str, why: &str) {
    let line = format!("SKIPPED: {name}: {why}");
    println!("{line}");
    if let Some(path) = env::var_os("AEGIS_SKIP_LOG") {
        let logged = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut log| log.write_all(format!("{line}\n").as_bytes()));
        assert!(logged.is_ok(), "could not write to the skip log {}: {logged:?}", path.display());
    }
    assert!(
        env::var_os("AEGIS_REQUIRE_ALL").is_none_or(|value| value != "1"),
        "{line}, but AEGIS_REQUIRE_ALL=1 forbids skips"
    );
}
