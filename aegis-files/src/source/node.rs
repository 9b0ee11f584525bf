//! An entry of the file system as a node of a restic tree.

use std::{
    ffi::CStr,
    fs::{self, Metadata},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use jiff::Timestamp;
use rustic_core::{
    ReadSourceEntry,
    repofile::{Metadata as NodeMetadata, Node, NodeType},
};
use rustix::{
    buffer::spare_capacity,
    fs::{lgetxattr, lgetxattr_query, llistxattr, llistxattr_query},
    io::Errno,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Kind, Tally, note_unreadable, open::OpenSource, walk::Met};

/// The entry for rustic; `None` for what is left out, with the reason in the tally.
pub(super) fn entry(met: Met, tally: &Arc<Tally>) -> Option<ReadSourceEntry<OpenSource>> {
    let Met { path, snapshot_path, metadata } = met;
    let (kind, node_type) = match node_type(&path, &metadata) {
        Ok(Some(found)) => found,
        Ok(None) => {
            let why = "sockets are not backed up: they have no content";
            tally.warnings.add(why, path.display().to_string(), "exclude them to silence this");
            return None;
        }
        Err(error) => {
            note_unreadable(tally, &path, &error);
            return None;
        }
    };
    tally.count(kind);
    let name = snapshot_path.file_name().unwrap_or_default().to_owned();
    let node = Node::new_node(&name, node_type, node_metadata(&path, &metadata, tally));
    let open = matches!(kind, Kind::File).then(|| OpenSource { path, tally: Arc::clone(tally) });
    Some(ReadSourceEntry { path: snapshot_path, node, open })
}

fn node_type(path: &Path, metadata: &Metadata) -> io::Result<Option<(Kind, NodeType)>> {
    let file_type = metadata.file_type();
    Ok(Some(if file_type.is_file() {
        (Kind::File, NodeType::File)
    } else if file_type.is_dir() {
        (Kind::Directory, NodeType::Dir)
    } else if file_type.is_symlink() {
        (Kind::Symlink, NodeType::from_link(&fs::read_link(path)?))
    } else if file_type.is_fifo() {
        (Kind::Other, NodeType::Fifo)
    } else if file_type.is_block_device() {
        (Kind::Other, NodeType::Dev { device: metadata.rdev() })
    } else if file_type.is_char_device() {
        (Kind::Other, NodeType::Chardev { device: metadata.rdev() })
    } else {
        return Ok(None);
    }))
}

fn node_metadata(path: &Path, metadata: &Metadata, tally: &Tally) -> NodeMetadata {
    let mtime = time(metadata.mtime(), metadata.mtime_nsec());
    let is_hard_link = metadata.nlink() > 1 && !metadata.is_dir();
    NodeMetadata {
        mode: Some(go_mode(metadata.mode())),
        mtime,
        atime: mtime,
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
        user: None,
        group: None,
        inode: metadata.ino(),
        // The device only tells hard links apart; it changes between mounts.
        device_id: if is_hard_link { metadata.dev() } else { 0 },
        size: if metadata.is_dir() { 0 } else { metadata.len() },
        links: if metadata.is_dir() { 0 } else { metadata.nlink() },
        extended_attributes: attributes(path, tally),
    }
}

fn time(seconds: i64, nanoseconds: i64) -> Option<Timestamp> {
    Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()
}

/// A mode in Go's bits, as restic writes it.
const fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => 1 << 31,
        0o120_000 => 1 << 27,
        0o060_000 => 1 << 26,
        0o020_000 => 1 << 26 | 1 << 21,
        0o010_000 => 1 << 25,
        0o140_000 => 1 << 24,
        _ => 0,
    };
    let set_uid = if mode & 0o4000 == 0 { 0 } else { 1 << 23 };
    let set_gid = if mode & 0o2000 == 0 { 0 } else { 1 << 22 };
    let sticky = if mode & 0o1000 == 0 { 0 } else { 1 << 20 };
    mode & 0o777 | kind | set_uid | set_gid | sticky
}

/// A name and value. rustic does not export its own type for it, but reads it from JSON.
type Attribute = (String, Vec<u8>);

/// The extended attributes of `path`, which itself is not followed.
fn attributes<A: DeserializeOwned>(path: &Path, tally: &Tally) -> Vec<A> {
    let attributes = match read_attributes(path) {
        Ok(attributes) => attributes,
        Err(Errno::NOTSUP | Errno::PERM | Errno::NOENT) => Vec::new(),
        Err(error) => {
            let cause = format!("extended attributes could not be read: {error}");
            tally.warnings.add(&cause, path.display().to_string(), "the entry itself is backed up");
            Vec::new()
        }
    };
    let to_json = |(name, value)| json!({"name": name, "value": BASE64.encode::<Vec<u8>>(value)});
    let (read, refused): (Vec<_>, Vec<_>) =
        attributes.into_iter().map(to_json).map(serde_json::from_value).partition(Result::is_ok);
    if let Some(Err(error)) = refused.into_iter().next() {
        let cause = format!("extended attributes could not be stored: {error}");
        tally.warnings.add(&cause, path.display().to_string(), "the entry itself is backed up");
    }
    read.into_iter().flatten().collect()
}

fn read_attributes(path: &Path) -> rustix::io::Result<Vec<Attribute>> {
    let size = llistxattr_query(path)?;
    if size == 0 {
        return Ok(Vec::new());
    }
    let mut names = Vec::with_capacity(size + 256);
    llistxattr(path, spare_capacity(&mut names))?;
    let names =
        names.split_inclusive(|byte| *byte == 0).filter_map(|name| CStr::from_bytes_with_nul(name).ok());
    names.map(|name| read_attribute(path, name)).collect()
}

fn read_attribute(path: &Path, name: &CStr) -> rustix::io::Result<Attribute> {
    let size = lgetxattr_query(path, name)?;
    let mut value = Vec::with_capacity(size + 1);
    lgetxattr(path, name, spare_capacity(&mut value))?;
    Ok((name.to_string_lossy().into_owned(), value))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn modes_are_written_as_go_writes_them() {
        assert_eq!(go_mode(0o100_644), 0o644);
        assert_eq!(go_mode(0o040_755), 1 << 31 | 0o755);
        assert_eq!(go_mode(0o104_751), 1 << 23 | 0o751);
        assert_eq!(go_mode(0o041_777), 1 << 31 | 1 << 20 | 0o777);
    }

    #[test]
    fn attributes_are_read_of_the_entry_itself_and_not_through_links() {
        let temp = tempfile::tempdir().unwrap();
        let (file, link) = (temp.path().join("file"), temp.path().join("link"));
        fs::write(&file, "x").unwrap();
        symlink(&file, &link).unwrap();
        if rustix::fs::setxattr(&file, "user.aegis", b"\x00\xff", rustix::fs::XattrFlags::empty()).is_err() {
            return aegis_core::testing::skip("aegis-files attributes", "the file system keeps none");
        }
        let tally = Tally::default();
        let read: Vec<serde_json::Value> = attributes(&file, &tally);
        assert_eq!(read, [json!({"name": "user.aegis", "value": "AP8="})]);
        assert_eq!(attributes::<serde_json::Value>(&link, &tally), [] as [serde_json::Value; 0]);
        assert!(
            node_metadata(&file, &fs::symlink_metadata(&file).unwrap(), &tally).extended_attributes.len()
                == 1
        );
        assert!(tally.warnings.is_empty(), "{:?}", tally.warnings);
    }
}
