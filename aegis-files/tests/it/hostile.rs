//! Odd and hostile things, at the source and at the target.

use std::{
    ffi::OsStr,
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
        net::UnixListener,
    },
    process::Command,
};

use aegis_core::{
    model::{BackupKind, ExistingResourcePolicy},
    seams::EndStatus,
    testing::skip,
};

use crate::common::{Bench, elsewhere, in_place};

#[tokio::test(flavor = "multi_thread")]
async fn a_link_at_the_target_is_never_written_through() {
    for policy in [ExistingResourcePolicy::None, ExistingResourcePolicy::Update] {
        let bench = Bench::new();
        bench.write("folder/file", "from the record");
        bench.write("plain", "from the record");
        let (record, ..) = bench.back_up(BackupKind::Full).await;
        let outside = bench.path("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("victim"), "untouched").unwrap();
        fs::remove_dir_all(bench.docs().join("folder")).unwrap();
        symlink(&outside, bench.docs().join("folder")).unwrap();
        fs::remove_file(bench.docs().join("plain")).unwrap();
        symlink(outside.join("victim"), bench.docs().join("plain")).unwrap();

        let outcome = bench.restore(&record, in_place(policy)).await;
        assert_eq!(fs::read_to_string(outside.join("victim")).unwrap(), "untouched");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "nothing was written outside");
        if policy == ExistingResourcePolicy::Update {
            assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
            assert_eq!(fs::read_to_string(bench.docs().join("folder/file")).unwrap(), "from the record");
            assert!(!bench.docs().join("plain").is_symlink());
        } else {
            assert_eq!(outcome.status, EndStatus::PartiallyFailed, "{outcome:?}");
            assert!(bench.docs().join("folder").is_symlink());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_on_the_way_below_a_restore_root_is_refused() {
    let bench = Bench::new();
    bench.write("file", "x");
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let outside = bench.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(bench.path("restores")).unwrap();
    symlink(&outside, bench.path("restores/way")).unwrap();
    let outcome = bench.restore(&record, elsewhere(&bench.path("restores/way/in"))).await;
    assert_eq!(outcome.status, EndStatus::Failed, "{outcome:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_the_way_of_a_file_is_never_removed() {
    let bench = Bench::new();
    bench.write("thing", "a file");
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    fs::remove_file(bench.docs().join("thing")).unwrap();
    bench.write("thing/precious", "not in the record");
    let outcome = bench.restore(&record, in_place(ExistingResourcePolicy::Update)).await;
    assert_eq!(outcome.status, EndStatus::PartiallyFailed, "{outcome:?}");
    assert!(bench.docs().join("thing/precious").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_links_come_back_as_hard_links() {
    let bench = Bench::new();
    let first = bench.write("a/first", "shared");
    fs::create_dir(bench.docs().join("b")).unwrap();
    fs::hard_link(&first, bench.docs().join("b/second")).unwrap();
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let (path, outcome) = bench.restore_to(&record, "links").await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    let (a, b) = (fs::metadata(path.join("a/first")).unwrap(), fs::metadata(path.join("b/second")).unwrap());
    assert_eq!((a.ino(), a.nlink()), (b.ino(), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_come_back_as_holes() {
    let bench = Bench::new();
    let mut file = fs::File::create(bench.docs().join("sparse")).unwrap();
    file.write_all(b"head").unwrap();
    file.seek(SeekFrom::Start(16 << 20)).unwrap();
    file.write_all(b"tail").unwrap();
    drop(file);
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let (path, _) = bench.restore_to(&record, "sparse").await;
    assert_eq!(fs::read(path.join("sparse")).unwrap(), fs::read(bench.docs().join("sparse")).unwrap());
    assert!(fs::metadata(path.join("sparse")).unwrap().blocks() * 512 < 1 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_come_back_and_sockets_are_left_out_with_a_warning() {
    let bench = Bench::new();
    let made = Command::new("mkfifo").arg(bench.docs().join("pipe")).status();
    assert!(made.unwrap().success());
    let _socket = UnixListener::bind(bench.docs().join("socket")).unwrap();
    let (record, made, outcome) = bench.back_up(BackupKind::Full).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert!(outcome.warnings[0].cause.contains("sockets"), "{outcome:?}");
    assert_eq!(made.counts.0["other"], 1);
    let (path, outcome) = bench.restore_to(&record, "pipes").await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert!(fs::symlink_metadata(path.join("pipe")).unwrap().file_type().is_fifo());
    assert!(!path.join("socket").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_come_back_for_root() {
    let bench = Bench::new();
    let made = Command::new("mknod").arg(bench.docs().join("null")).args(["c", "1", "3"]).output().unwrap();
    if !made.status.success() {
        return skip("aegis-files devices", "this process may not make devices");
    }
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let (path, outcome) = bench.restore_to(&record, "devices").await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    let (from, to) =
        (fs::metadata(bench.docs().join("null")).unwrap(), fs::metadata(path.join("null")).unwrap());
    assert!(to.file_type().is_char_device());
    assert_eq!(from.rdev(), to.rdev());
}

#[tokio::test(flavor = "multi_thread")]
async fn extended_attributes_and_special_bits_come_back() {
    let bench = Bench::new();
    let path = bench.write("marked", "x");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o4751)).unwrap();
    let set = rustix::fs::setxattr(&path, "user.aegis", b"\x00\xffvalue", rustix::fs::XattrFlags::empty());
    if set.is_err() {
        return skip("aegis-files extended attributes", "the file system for temporary files keeps none");
    }
    let (record, ..) = bench.back_up(BackupKind::Full).await;
    let (target, outcome) = bench.restore_to(&record, "marked").await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    let mut value = [0; 32];
    let length = rustix::fs::getxattr(target.join("marked"), "user.aegis", &mut value).unwrap();
    assert_eq!(&value[..length], b"\x00\xffvalue");
    if rustix::process::geteuid().is_root() {
        assert_eq!(fs::metadata(target.join("marked")).unwrap().mode() & 0o7777, 0o4751);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_may_be_a_single_file_and_have_an_odd_name() {
    let bench = Bench::new();
    let file = bench.write("single", "content");
    let odd = crate::common::name("disks/%2F odd");
    let set = aegis_files::FileSet::new([file.clone()]).unwrap();
    let storage = std::sync::Arc::clone(&bench.storage);
    let driver = crate::common::builder(bench.temp.path())
        .namespace(odd.clone(), set)
        .storage(storage, crate::common::password())
        .build()
        .unwrap();
    let bench = Bench { driver, ..bench };
    let operation = bench.backup_of(BackupKind::Full, &["disks/%2F odd"]);
    let outcome = bench.run(&operation).await;
    let aegis_core::seams::WorkResult::Backup(made) = outcome.result else { panic!("{outcome:?}") };
    assert_eq!(made.namespaces, [odd]);
    let record = bench.record(&operation, &made);
    fs::remove_file(&file).unwrap();
    let outcome = bench.restore(&record, in_place(ExistingResourcePolicy::None)).await;
    assert_eq!(outcome.status, EndStatus::Completed, "{outcome:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "content");
    assert_eq!(file.file_name(), Some(OsStr::new("single")));
}
