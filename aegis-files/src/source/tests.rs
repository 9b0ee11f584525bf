//! What happens to entries that change while they are read.

use std::{fs, io::Read, path::Path, sync::Arc};

use rustic_core::{ReadSource, ReadSourceOpen};

use super::{Entries, FileSource};
use crate::fileset::FileSet;

fn source(path: &Path) -> FileSource {
    let name = aegis_core::model::NamespaceName::new("docs").unwrap();
    FileSource::new([(name, FileSet::new([path]).unwrap())], Arc::from([]), Arc::default())
}

fn names(entries: Entries) -> Vec<String> {
    entries.map(|entry| entry.unwrap().path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn entries_come_depth_first_in_byte_order() {
    let temp = tempfile::tempdir().unwrap();
    for file in ["b/x", "a.txt", "a/z", "a/B", "ä"] {
        let path = temp.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    let source = source(temp.path());
    assert_eq!(names(source.entries())[1..], ["a", "B", "z", "a.txt", "b", "x", "ä"]);
    source.size().unwrap();
    let progress = source.control.progress();
    assert_eq!((progress.items_total, progress.bytes_total), (Some(8), Some(16)));
}

#[test]
fn what_vanishes_before_it_is_met_is_counted() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("gone"), "x").unwrap();
    fs::write(temp.path().join("there"), "x").unwrap();
    let source = source(temp.path());
    let mut entries = source.entries();
    entries.next().unwrap().unwrap();
    fs::remove_file(temp.path().join("gone")).unwrap();
    assert_eq!(names(entries), ["there"]);
    let groups = source.tally().errors.groups();
    assert!(groups[0].cause.contains("vanished") && groups[0].examples[0].ends_with("/gone"), "{groups:?}");
    assert_eq!(source.tally().expected_files(), 1);
}

#[test]
fn what_vanishes_before_it_is_opened_is_counted() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("gone"), "x").unwrap();
    let source = source(temp.path());
    let file = source.entries().nth(1).unwrap().unwrap();
    fs::remove_file(temp.path().join("gone")).unwrap();
    assert!(file.open.unwrap().open().is_err());
    assert!(source.tally().errors.groups()[0].cause.contains("vanished"));
    assert_eq!(source.tally().expected_files(), 0);
}

#[test]
fn a_link_that_takes_a_files_place_is_not_followed() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("file"), "x").unwrap();
    let source = source(temp.path());
    let file = source.entries().nth(1).unwrap().unwrap();
    fs::remove_file(temp.path().join("file")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", temp.path().join("file")).unwrap();
    assert!(file.open.unwrap().open().is_err());
    assert_eq!(source.tally().errors.groups().len(), 1);
}

#[test]
fn a_file_is_read_to_its_end() {
    let temp = tempfile::tempdir().unwrap();
    fs::write(temp.path().join("file"), "content").unwrap();
    let source = source(temp.path());
    let file = source.entries().nth(1).unwrap().unwrap();
    let mut text = String::new();
    file.open.unwrap().open().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "content");
    assert!(source.tally().errors.is_empty());
}
