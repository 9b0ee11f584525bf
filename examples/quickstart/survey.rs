//! A look at what is to be protected, before anything is done.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    problem::{Problem, Result},
    text,
};

/// How a directory says that it is a cache: <https://bford.info/cachedir/>.
const CACHE_TAG: &str = "CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// What lies below a path.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) files: u64,
    pub(crate) directories: u64,
    pub(crate) links: u64,
    pub(crate) others: u64,
    pub(crate) bytes: u64,
    /// What is left out, relative to the path.
    pub(crate) left_out: Vec<PathBuf>,
}

/// Walks `root`. Caches that say so, and `own`, are left out.
pub(crate) fn survey(root: &Path, own: &Path) -> Result<Survey> {
    let mut survey = Survey::default();
    fs::read_dir(root).map_err(|error| {
        Problem::io("read the directory", root, &error).mend("name a directory that you may read")
    })?;
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        // What can't be read is told by the backup itself, which counts it.
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() && (path == own || is_cache(&path)) {
                survey.left_out.push(path.strip_prefix(root).unwrap_or(&path).to_owned());
            } else if kind.is_dir() {
                survey.directories += 1;
                waiting.push(path);
            } else if kind.is_symlink() {
                survey.links += 1;
            } else if kind.is_file() {
                survey.files += 1;
                survey.bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            } else {
                survey.others += 1;
            }
        }
    }
    survey.left_out.sort();
    Ok(survey)
}

fn is_cache(directory: &Path) -> bool {
    let mut start = [0; CACHE_SIGNATURE.len()];
    let tag = directory.join(CACHE_TAG);
    tag.is_file()
        && File::open(tag).and_then(|mut tag| tag.read_exact(&mut start)).is_ok()
        && start == CACHE_SIGNATURE
}

impl Survey {
    /// What is left out, as globs below the path.
    pub(crate) fn excludes(&self) -> Vec<String> {
        let escape = |c: char| if "*?[]{}\\!".contains(c) { vec!['\\', c] } else { vec![c] };
        let glob = |path: &PathBuf| {
            let path: String = path.to_string_lossy().chars().flat_map(escape).collect();
            format!("/{path}")
        };
        self.left_out.iter().map(glob).collect()
    }

    pub(crate) fn describe(&self) -> String {
        let mut parts = vec![text::count(self.files, "file")];
        for (count, thing) in
            [(self.directories, "directory"), (self.links, "link"), (self.others, "special file")]
        {
            if count > 0 {
                parts.push(text::count(count, thing));
            }
        }
        format!("{}, {}", parts.join(", "), text::bytes(self.bytes))
    }
}
