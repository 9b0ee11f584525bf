//! The restoring visitor and its workers.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use aegis_core::{
    model::{Bytes, ResourceCounts},
    seams::RestoreResult,
};
use rustic_core::{
    IndexedFullStatus,
    repofile::{Node, NodeType},
};

use super::{
    DIFFERS, Restore, Restored,
    meta::restores_owners,
    place::Place,
    traverse::{Entry, Verdict, Visit, stops},
    write::{WriteError, Writer},
};
use crate::{
    control::{Findings, Stop, lock},
    repository::{error, session::Session},
    tree,
};

/// How many entries are written at the same time. Reading a file is decrypting and decompressing,
/// so more than a few only cost memory.
const WORKERS: usize = 2;
/// How many entries may wait for a worker.
const WAITING: usize = 64;

/// One entry to write.
struct Job {
    node: Node,
    place: Arc<Place>,
    name: OsString,
    path: PathBuf,
    replace: bool,
    bytes: u64,
}

/// What was done so far.
#[derive(Default)]
struct Done {
    counts: HashMap<&'static str, u64>,
    bytes: u64,
}

/// What walker and workers share.
pub(super) struct Engine<'a> {
    writer: Writer<'a, IndexedFullStatus>,
    session: &'a Session,
    errors: Findings,
    warnings: Findings,
    done: Mutex<Done>,
    stop: Mutex<Option<Stop>>,
}

impl<'a> Engine<'a> {
    pub(super) fn new(restore: &'a Restore<'a>) -> Self {
        let Restore { repository, session, trial, .. } = *restore;
        Self {
            writer: Writer::new(repository, session, restore.operation.clone(), trial),
            session,
            errors: Findings::default(),
            warnings: Findings::default(),
            done: Mutex::default(),
            stop: Mutex::default(),
        }
    }

    /// Walks with `walk`, while workers write what it meets.
    pub(super) fn run(self, walk: impl FnOnce(&mut dyn Visit) -> Result<(), Stop>) -> Result<Restored, Stop> {
        let (sender, receiver) = sync_channel(WAITING);
        let receiver = Mutex::new(receiver);
        let unchanged = thread::scope(|scope| {
            for _ in 0..WORKERS {
                scope.spawn(|| self.work(&receiver));
            }
            let mut visit = Writing { engine: &self, jobs: sender, links: HashMap::new(), unchanged: 0 };
            let walked = walk(&mut visit);
            for (_, (place, _)) in visit.links {
                Place::done(place, &self.errors);
            }
            walked.map(|()| visit.unchanged)
        });
        if let Some(stop) = lock(&self.stop).take() {
            return Err(stop);
        }
        let unchanged = unchanged?;
        self.session.control.check()?;
        let done = self.done.into_inner().unwrap_or_default();
        let restored: ResourceCounts = done.counts.into_iter().collect();
        Ok(Restored {
            result: RestoreResult { restored, unchanged, bytes: Bytes(done.bytes) },
            errors: self.errors.groups(),
            warnings: self.warnings.groups(),
        })
    }

    fn work(&self, jobs: &Mutex<Receiver<Job>>) {
        loop {
            let Ok(job) = lock(jobs).recv() else { return };
            // Once stopped, what waits is only taken off the queue.
            if lock(&self.stop).is_none() && !self.session.control.is_cancelled() {
                self.write(&job);
            }
            Place::done(job.place, &self.errors);
        }
    }

    /// Answers whether it is there now.
    fn write(&self, job: &Job) -> bool {
        match self.writer.write(&job.place, &job.name, &job.node, job.replace) {
            Ok(()) => {
                self.wrote(&job.node, job.bytes);
                true
            }
            Err(error) => {
                self.failed(error, &job.path);
                false
            }
        }
    }

    fn wrote(&self, node: &Node, bytes: u64) {
        self.session.control.add_item();
        let mut done = lock(&self.done);
        *done.counts.entry(kind(node)).or_default() += 1;
        done.bytes = done.bytes.saturating_add(bytes);
    }

    fn failed(&self, error: WriteError, path: &std::path::Path) {
        let subject = path.display().to_string();
        match error {
            WriteError::Target(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                self.errors.add(DIFFERS, subject, KEEP);
            }
            WriteError::Target(cause) if stops(&cause) => {
                self.stop(error::io("restore", path, cause).into());
            }
            WriteError::Target(cause) => {
                let cause = format!("could not be written: {cause}");
                self.errors.add(&cause, subject, "let this process write there, and restore it again");
            }
            WriteError::Source(Stop::Failed(cause)) if tree::is_damage(&cause) => {
                let cause = format!("can't be read from the repository: {}", error::line(&cause));
                self.errors.add(&cause, subject, tree::BROKEN);
            }
            WriteError::Source(stop) => self.stop(stop),
        }
    }

    fn stop(&self, stop: Stop) {
        lock(&self.stop).get_or_insert(stop);
    }
}

/// What to do about what stays.
const KEEP: &str = "choose `update` to overwrite it, or restore somewhere else and compare";

const fn kind(node: &Node) -> &'static str {
    match node.node_type {
        NodeType::File => "files",
        NodeType::Dir => "directories",
        NodeType::Symlink { .. } => "symlinks",
        NodeType::Dev { .. } | NodeType::Chardev { .. } | NodeType::Fifo | NodeType::Socket => "other",
    }
}

/// Hands entries to the workers.
struct Writing<'e, 'a> {
    engine: &'e Engine<'a>,
    jobs: SyncSender<Job>,
    /// The first restored file of each group of hard links.
    links: HashMap<(u64, u64), (Arc<Place>, OsString)>,
    unchanged: u64,
}

impl Visit for Writing<'_, '_> {
    fn writes(&self) -> bool {
        true
    }

    fn findings(&self) -> &Findings {
        &self.engine.errors
    }

    fn free(&mut self, _free: Option<u64>) {}

    fn entry(&mut self, entry: Entry<'_>) -> Result<(), Stop> {
        if lock(&self.engine.stop).is_some() {
            // The workers know why; the walk just ends.
            return Err(Stop::Cancelled);
        }
        let Some(place) = entry.place else { return Ok(()) };
        match entry.verdict {
            Verdict::Same => {
                self.engine.session.control.add_bytes(0);
                self.engine.session.control.add_item();
                self.unchanged += 1;
                self.remember_link(entry.node, place, entry.name);
            }
            Verdict::Keep => {
                self.engine.session.control.add_item();
                self.engine.errors.add(DIFFERS, entry.path.display().to_string(), KEEP);
            }
            Verdict::Create | Verdict::Replace => self.write(&entry, place),
        }
        Ok(())
    }
}

impl Writing<'_, '_> {
    fn write(&mut self, entry: &Entry<'_>, place: &Arc<Place>) {
        let engine = self.engine;
        if entry.node.is_dir() {
            // Made by the walk itself, right after this.
            return engine.wrote(entry.node, 0);
        }
        if matches!(entry.node.node_type, NodeType::Dev { .. } | NodeType::Chardev { .. })
            && !restores_owners()
        {
            let why = "devices are restored by root only, and were left out";
            return engine.warnings.add(
                why,
                entry.path.display().to_string(),
                "make them with mknod where needed",
            );
        }
        let replace = entry.verdict == Verdict::Replace;
        if let Some(first) = link_key(entry.node).and_then(|key| self.links.get(&key)) {
            let first = (&*first.0, first.1.as_os_str());
            return match engine.writer.link(first, place, entry.name, replace) {
                Ok(()) => engine.wrote(entry.node, 0),
                Err(cause) => engine.failed(cause.into(), &entry.path),
            };
        }
        let job = Job {
            node: entry.node.clone(),
            place: Arc::clone(place),
            name: entry.name.to_owned(),
            path: entry.path.clone(),
            replace,
            bytes: entry.bytes,
        };
        if link_key(entry.node).is_some() {
            // The others need it to be there.
            if engine.write(&job) {
                self.remember_link(entry.node, place, entry.name);
            }
            Place::done(job.place, &engine.errors);
        } else if let Err(unsent) = self.jobs.send(job) {
            Place::done(unsent.0.place, &engine.errors);
        }
    }

    fn remember_link(&mut self, node: &Node, place: &Arc<Place>, name: &OsStr) {
        if let Some(key) = link_key(node) {
            self.links.entry(key).or_insert_with(|| (Arc::clone(place), name.to_owned()));
        }
    }
}

/// What tells the group of hard links of a file.
fn link_key(node: &Node) -> Option<(u64, u64)> {
    (node.is_file() && node.meta.links > 1).then_some((node.meta.device_id, node.meta.inode))
}
