//! Modes, owners, times and attributes of what is restored.

use std::{ffi::OsStr, io, os::fd::AsFd};

use cap_std::fs::Dir;
use rustic_core::repofile::Metadata;
use rustix::{
    fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};

/// Whether owners can be restored: only root may give files away.
pub(crate) fn restores_owners() -> bool {
    rustix::process::geteuid().is_root()
}

/// The permission bits for a mode in Go's bits.
///
/// Set-user and set-group bits are only restored with the owner they were meant for.
pub(crate) fn permissions(metadata: &Metadata) -> Option<Mode> {
    let go = metadata.mode?;
    let mut mode = go & 0o777;
    if restores_owners() {
        mode |= if go & (1 << 23) == 0 { 0 } else { 0o4000 };
        mode |= if go & (1 << 22) == 0 { 0 } else { 0o2000 };
    }
    mode |= if go & (1 << 20) == 0 { 0 } else { 0o1000 };
    Some(Mode::from_raw_mode(mode))
}

/// The times to set.
pub(crate) fn times(metadata: &Metadata) -> Option<Timestamps> {
    let modified = timespec(metadata.mtime?);
    Some(Timestamps { last_access: metadata.atime.map_or(modified, timespec), last_modification: modified })
}

/// Nanoseconds count forward from the second below, also before 1970.
pub(crate) fn timespec(time: jiff::Timestamp) -> Timespec {
    let nanoseconds = time.as_nanosecond();
    let seconds = nanoseconds.div_euclid(1_000_000_000);
    Timespec {
        tv_sec: i64::try_from(seconds).unwrap_or_default(),
        tv_nsec: i64::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or_default(),
    }
}

fn owner(metadata: &Metadata) -> (Option<Uid>, Option<Gid>) {
    (metadata.uid.map(Uid::from_raw), metadata.gid.map(Gid::from_raw))
}

/// Gives an open file or directory its owner, attributes, mode and times, in the order in which
/// each survives the next.
pub(crate) fn apply(file: impl AsFd, metadata: &Metadata) -> io::Result<()> {
    // A change of owner takes capabilities and set-user bits away, so it comes first.
    if restores_owners() {
        let (user, group) = owner(metadata);
        rustix::fs::fchown(&file, user, group)?;
    }
    for attribute in &metadata.extended_attributes {
        let value = attribute.value.as_deref().unwrap_or_default();
        match rustix::fs::fsetxattr(&file, attribute.name.as_str(), value, XattrFlags::empty()) {
            // The target's file system keeps none, or not this one for us: its content matters more.
            Ok(()) | Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(mode) = permissions(metadata) {
        rustix::fs::fchmod(&file, mode)?;
    }
    if let Some(times) = times(metadata) {
        rustix::fs::futimens(&file, &times)?;
    }
    Ok(())
}

/// As [`apply`], for a directory that may have come without metadata.
pub(crate) fn apply_to_directory(dir: &Dir, metadata: &Metadata) -> io::Result<()> {
    apply(dir, metadata)
}

/// Gives a link, pipe or device at `name` its owner, mode and times, without opening it.
pub(crate) fn apply_at(dir: &Dir, name: &OsStr, metadata: &Metadata, is_link: bool) -> io::Result<()> {
    if restores_owners() {
        let (user, group) = owner(metadata);
        rustix::fs::chownat(dir, name, user, group, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    if !is_link && let Some(mode) = permissions(metadata) {
        // The entry was made under a fresh name by us, and is no link.
        rustix::fs::chmodat(dir, name, mode, AtFlags::empty())?;
    }
    if let Some(times) = times(metadata) {
        rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_keep_their_nanoseconds() {
        let time = jiff::Timestamp::new(-2, -500_000_000).unwrap();
        let spec = timespec(time);
        assert_eq!((spec.tv_sec, spec.tv_nsec), (-3, 500_000_000));
    }

    #[test]
    fn capabilities_survive_the_change_of_owner() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let name = "security.capability";
        if !restores_owners() || rustix::fs::fsetxattr(&temp, name, &capability, XattrFlags::empty()).is_err()
        {
            return aegis_core::testing::skip(
                "aegis-files capabilities",
                "needs root and a file system with them",
            );
        }
        let attribute = serde_json::json!([{"name": name, "value": "AQAAAgAEAAAAAAAAAAAAAAAAAAA="}]);
        let metadata = Metadata {
            uid: Some(1000),
            gid: Some(1000),
            mode: Some(0o755),
            extended_attributes: serde_json::from_value(attribute).unwrap(),
            ..Metadata::default()
        };
        apply(&temp, &metadata).unwrap();
        let mut found = [0; 20];
        assert_eq!(rustix::fs::fgetxattr(&temp, name, &mut found), Ok(20));
        assert_eq!(found, capability);
    }
}
