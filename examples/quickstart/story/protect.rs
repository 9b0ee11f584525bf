//! Backups: on schedule, verified, of a copy that was changed; and what retention makes of them.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use aegis::{
    engine::PolicyChange,
    model::{CheckStatus, VerificationLevel},
    rules::retention::Acknowledgement,
    seams::Clock,
};

use super::{Faults, Policies, Record, Story};
use crate::{
    problem::{Problem, Result},
    text,
};

impl Story<'_> {
    /// Waits for the schedule to make a recovery point.
    pub(super) async fn protect(&self, policies: &Policies) -> Result<Record> {
        let view = self.watch.tenant.policy(policies.live).await?;
        self.ui.step(2, &format!("Protect it: {}", view.schedule_human.to_lowercase()));
        let job = self.watch.next_job(policies.live, self.watch.engine.clock.now()).await?;
        let record = self.watch.backup(job, "backing up").await?;
        self.tell_backup(&record);
        Ok(record)
    }

    fn tell_backup(&self, record: &Record) {
        let took = text::duration(record.created_at.since(record.started_at));
        let (logical, added) = (text::size(record.sizes.logical), text::size(record.sizes.added));
        self.ui.good(format!("{} backup: {logical} in {took}, {added} added to the repository", record.kind));
    }

    pub(super) async fn verify(&self, record: &Record, faults: &mut Faults) -> Result<()> {
        self.ui.step(3, "Verify that recovery point");
        let level = VerificationLevel::Restored;
        let check = self.watch.verification(record.id, level).await?;
        let took =
            check.completed_at.map_or_else(String::new, |end| text::duration(end.since(check.started_at)));
        let read = text::size(check.bytes_read);
        if check.status == CheckStatus::Passed {
            self.ui.good("L1 present, L2 checksums right, L3 structure whole, L4 restored and compared");
            self.ui.note(format!("{read} read in {took}"));
            return Ok(());
        }
        let reason = check.reason.clone().unwrap_or_else(|| check.status.to_string());
        self.ui.bad(format!("verification up to {level} did not pass: {reason}"));
        self.watch.tell_issues(&check.errors);
        faults.add(format!("the verification did not pass: {reason}"));
        Ok(())
    }

    /// Changes the copy, between two backups of it.
    pub(super) async fn change_and_back_up(&self, policies: &Policies) -> Result<Record> {
        self.ui.step(5, "Change the copy, never yours, and back it up again");
        let run = |what| async move {
            let job = self.watch.tenant.run_policy(policies.copy).await?.job.id;
            let record = self.watch.backup(job, what).await?;
            self.tell_backup(&record);
            Ok::<_, Problem>(record)
        };
        run("backing up the copy").await?;
        let changes = change(&self.watch.engine.copy_path)
            .map_err(|error| Problem::io("change the copy", &self.watch.engine.copy_path, &error))?;
        for change in changes {
            self.ui.note(change);
        }
        run("backing up the changes").await
    }

    /// Lets retention decide about both policies, and says why.
    pub(super) async fn retain(&self, policies: &Policies) -> Result<()> {
        self.ui.step(6, "Let retention decide what may go");
        for (policy, of) in [(policies.live, "yours"), (policies.copy, "the copy")] {
            let known = self.watch.records(policy).await?;
            let run = self.watch.tenant.run_retention(policy, Acknowledgement::Given).await?;
            if let Some(reason) = &run.reason {
                self.ui.caution(format!("of {of}: {reason}"));
            }
            for decision in &run.decisions {
                let at = known.iter().find(|record| record.id == decision.record);
                let at = at.map_or_else(String::new, |record| text::time_of_day(record.recovery_point.at));
                let reasons = decision.reasons.join("; ");
                self.ui.note(format!("{of} of {at}  {reasons}"));
            }
        }
        Ok(())
    }

    /// Switches the schedule off and lets what runs end.
    pub(super) async fn stop(&self, policies: &Policies) -> Result<()> {
        let mut off = PolicyChange::default();
        off.enabled = Some(false);
        self.watch.tenant.update_policy(policies.live, off).await?;
        self.watch.quiet().await
    }
}

/// Adds a file, changes one and removes one; answers what was done.
fn change(copy: &Path) -> io::Result<Vec<String>> {
    let mut done = Vec::new();
    let mut files = Vec::new();
    for entry in fs::read_dir(copy)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    let mut writable = files.iter().filter(|path| fs::OpenOptions::new().append(true).open(path).is_ok());
    if let Some(path) = writable.next() {
        writeln!(fs::OpenOptions::new().append(true).open(path)?, "changed by the quickstart")?;
        done.push(format!("changed  {}", name(path)));
    }
    if let Some(path) = files.last().filter(|_| files.len() > 1) {
        fs::remove_file(path)?;
        done.push(format!("removed  {}", name(path)));
    }
    let path = copy.join("added by the quickstart.txt");
    fs::write(&path, "this file is only in the copy\n")?;
    done.push(format!("added    {}", name(&path)));
    Ok(done)
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| text::shown(name.as_ref()))
}
