//! What the command line asks for.

use std::{ffi::OsString, path::PathBuf};

pub(crate) const USAGE: &str = "\
usage: quickstart [PATH] [--data-dir DIR]

  PATH            the directory to protect; this repository's checkout if none is named.
                  It is only read.
  --data-dir DIR  where everything goes that the quickstart makes: repository, password, copies.
                  Default: ./aegis-quickstart";

/// What to protect, and where to keep everything.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) path: PathBuf,
    pub(crate) data_dir: PathBuf,
}

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    Run(Args),
    Help,
}

pub(crate) fn parse(given: impl Iterator<Item = OsString>) -> Result<Asked, String> {
    let mut given = given.peekable();
    let (mut path, mut data_dir) = (None, None);
    while let Some(arg) = given.next() {
        let text = arg.to_string_lossy();
        if text == "--help" || text == "-h" {
            return Ok(Asked::Help);
        } else if text == "--data-dir" {
            data_dir = Some(given.next().ok_or("--data-dir needs a directory")?.into());
        } else if let Some(dir) = text.strip_prefix("--data-dir=") {
            data_dir = Some(PathBuf::from(dir));
        } else if text == "--" {
            path = given.next().map(PathBuf::from).or(path);
        } else if text.starts_with("--") {
            return Err(format!("there is no option {text}"));
        } else if path.is_some() {
            return Err(format!("one directory at a time: {text} is one too many"));
        } else {
            path = Some(arg.into());
        }
    }
    Ok(Asked::Run(Args {
        path: path.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()),
        data_dir: data_dir.unwrap_or_else(|| "aegis-quickstart".into()),
    }))
}
