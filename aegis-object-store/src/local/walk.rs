//! Listing: in the order of keys, one page at a time, without following links.

use std::{io, path::Path};

use aegis_core::seams::{ListOptions, ObjectKey, ObjectPage};
use cap_std::fs::DirEntry;

use super::root::{PRIVATE, Root, object_meta};

/// After this many files `used_bytes` gives up: to count further would cost more than the answer.
const MOST_COUNTED: u64 = 1_000_000;

pub(super) fn list(root: &Root, options: &ListOptions) -> io::Result<ObjectPage> {
    let mut walk = Walk {
        root,
        after: options.after.as_ref().map_or("", ObjectKey::as_str),
        limit: options.limit.max(1),
        page: ObjectPage::default(),
    };
    walk.folder(options.prefix.as_ref().map_or("", ObjectKey::as_str))?;
    Ok(walk.page)
}

pub(super) fn folders(root: &Root, prefix: Option<&ObjectKey>) -> io::Result<Vec<String>> {
    let base = prefix.map_or("", ObjectKey::as_str);
    let mut names = Vec::new();
    for entry in entries(root, base)? {
        if entry.kind == Kind::Folder && holds_objects(root, &join(base, &entry.name))? {
            names.push(entry.name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The bytes of all objects; `None` if there are too many to count.
pub(super) fn used_bytes(root: &Root) -> io::Result<Option<u64>> {
    let (mut bytes, mut files, mut pending) = (0_u64, 0_u64, vec![String::new()]);
    while let Some(folder) = pending.pop() {
        for entry in entries(root, &folder)? {
            match entry.kind {
                Kind::Folder => pending.push(join(&folder, &entry.name)),
                Kind::Object => {
                    files += 1;
                    bytes =
                        bytes.saturating_add(gone_is_none(entry.entry.metadata())?.map_or(0, |m| m.len()));
                }
            }
        }
        if files > MOST_COUNTED {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

/// A crash or a race may leave empty folders; they are no folders of any object.
fn holds_objects(root: &Root, folder: &str) -> io::Result<bool> {
    for entry in entries(root, folder)? {
        if entry.kind == Kind::Object || holds_objects(root, &join(folder, &entry.name))? {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Walk<'a> {
    root: &'a Root,
    after: &'a str,
    limit: usize,
    page: ObjectPage,
}

impl Walk<'_> {
    /// Takes what follows `after` below `folder`, until the page is full.
    fn folder(&mut self, folder: &str) -> io::Result<()> {
        for found in sorted(entries(self.root, folder)?) {
            let path = join(folder, &found.name);
            match found.kind {
                Kind::Folder if self.may_hold_later_keys(&path) => self.folder(&path)?,
                Kind::Object if *path > *self.after => self.object(path, &found.entry)?,
                Kind::Folder | Kind::Object => {}
            }
            if self.page.next.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn may_hold_later_keys(&self, folder: &str) -> bool {
        let below = format!("{folder}/");
        *below > *self.after || self.after.starts_with(&below)
    }

    fn object(&mut self, path: String, entry: &DirEntry) -> io::Result<()> {
        if self.page.objects.len() == self.limit {
            self.page.next = self.page.objects.last().map(|object| object.key.clone());
            return Ok(());
        }
        // A name that is no key was put there by somebody else, and is none of ours.
        let Ok(key) = ObjectKey::new(path) else { return Ok(()) };
        if let Some(found) = gone_is_none(entry.metadata())? {
            self.page.objects.push(object_meta(key, &found));
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    Object,
}

struct Found {
    name: String,
    kind: Kind,
    entry: DirEntry,
}

/// Keys are ordered as text, so a folder is ordered by its name and the slash that follows it.
fn sorted(mut entries: Vec<Found>) -> Vec<Found> {
    entries.sort_by(|a, b| {
        let slash = |found: &Found| (found.kind == Kind::Folder).then_some(b'/');
        a.name.bytes().chain(slash(a)).cmp(b.name.bytes().chain(slash(b)))
    });
    entries
}

/// The folders and regular files of a folder; nothing if it is not there.
fn entries(root: &Root, folder: &str) -> io::Result<Vec<Found>> {
    let path = if folder.is_empty() { "." } else { folder };
    root.must_exist()?;
    let read = root.dir.read_dir(Path::new(path));
    let Some(read) = gone_is_none(read)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in read {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Some(file_type) = gone_is_none(entry.file_type())? else { continue };
        let kind = match (file_type.is_dir(), file_type.is_file()) {
            (true, _) if folder.is_empty() && name == PRIVATE => continue,
            (true, _) => Kind::Folder,
            (_, true) => Kind::Object,
            // Links, pipes, sockets and devices are no objects.
            (false, false) => continue,
        };
        found.push(Found { name, kind, entry });
    }
    Ok(found)
}

/// What vanished while we looked was not there.
fn gone_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
