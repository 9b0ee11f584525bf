//! Whether what is at the target is what the snapshot holds.

use std::{ffi::OsStr, fs::File, io, io::Read};

use rustic_core::{
    DataId, IndexedFull, Repository,
    repofile::{Metadata, Node, NodeType},
};
use rustix::fs::{FileType, Mode, OFlags, Stat};

use super::{meta, place::Place};

/// The largest piece of a file that is read at once while comparing.
const PIECE: u64 = 1 << 20;

/// Whether the entry at `name`, which `stat` describes, equals `node`: kind, mode, times, owner
/// (for root), and content byte for byte, by the checksums in the snapshot.
///
/// # Errors
/// What reading the entry gives.
pub(crate) fn is_same<S: IndexedFull>(
    repository: &Repository<S>,
    place: &Place,
    name: &OsStr,
    stat: &Stat,
    node: &Node,
) -> io::Result<bool> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    Ok(match &node.node_type {
        NodeType::File => {
            kind == FileType::RegularFile
                && has_metadata(stat, &node.meta, true)
                && u64::try_from(stat.st_size).is_ok_and(|size| size == content_size(repository, node))
                && has_content(repository, place, name, node)?
        }
        NodeType::Symlink { .. } => {
            kind == FileType::Symlink
                && rustix::fs::readlinkat(place.dir(), name, Vec::new())?.as_bytes()
                    == node.node_type.to_link().as_os_str().as_encoded_bytes()
                && has_metadata(stat, &node.meta, false)
        }
        NodeType::Fifo => kind == FileType::Fifo && has_metadata(stat, &node.meta, true),
        NodeType::Dev { device } => {
            kind == FileType::BlockDevice && stat.st_rdev == *device && has_metadata(stat, &node.meta, true)
        }
        NodeType::Chardev { device } => {
            kind == FileType::CharacterDevice
                && stat.st_rdev == *device
                && has_metadata(stat, &node.meta, true)
        }
        NodeType::Dir => kind == FileType::Directory,
        // Nothing is ever restored for a socket, so there is nothing to differ from.
        NodeType::Socket => true,
    })
}

/// How many bytes of content the snapshot has for a file.
pub(crate) fn content_size<S: IndexedFull>(repository: &Repository<S>, node: &Node) -> u64 {
    let lengths = node
        .content
        .iter()
        .flatten()
        .map(|id| repository.get_index_entry(id).map_or(0, |entry| u64::from(entry.data_length())));
    lengths.sum()
}

/// Whether mode (but for links), modification time and (for root) owner are those of the snapshot.
pub(crate) fn has_metadata(stat: &Stat, metadata: &Metadata, with_mode: bool) -> bool {
    let mode = !with_mode
        || meta::permissions(metadata).is_none_or(|mode| mode == Mode::from_raw_mode(stat.st_mode & 0o7777));
    let times = metadata.mtime.is_none_or(|mtime| {
        let expected = meta::timespec(mtime);
        (expected.tv_sec, u64::try_from(expected.tv_nsec).ok()) == (stat.st_mtime, Some(stat.st_mtime_nsec))
    });
    let owner = !meta::restores_owners()
        || (metadata.uid.is_none_or(|uid| uid == stat.st_uid)
            && metadata.gid.is_none_or(|gid| gid == stat.st_gid));
    mode && times && owner
}

fn has_content<S: IndexedFull>(
    repository: &Repository<S>,
    place: &Place,
    name: &OsStr,
    node: &Node,
) -> io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(place.dir(), name, flags, Mode::empty())?);
    for id in node.content.iter().flatten() {
        let Ok(entry) = repository.get_index_entry(id) else { return Ok(false) };
        if !has_blob(&mut file, id, u64::from(entry.data_length()))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the next `length` bytes of `file` are the blob `id`.
fn has_blob(file: &mut File, id: &DataId, length: u64) -> io::Result<bool> {
    use sha2::{Digest, Sha256};
    let (mut hash, mut left) = (Sha256::new(), length);
    let mut buffer = vec![0; usize::try_from(left.min(PIECE)).unwrap_or_default()];
    while left > 0 {
        let want = usize::try_from(left.min(PIECE)).unwrap_or(buffer.len());
        let Some(piece) = buffer.get_mut(..want) else { return Ok(false) };
        match file.read_exact(piece) {
            Ok(()) => hash.update(&*piece),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
        left -= u64::try_from(want).unwrap_or(left);
    }
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(found == id.to_hex().as_str())
}
