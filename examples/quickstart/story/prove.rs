//! Restores, and what came back compared with what went in.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use aegis::{
    engine::{Execute, Executed, NewPlan},
    model::{DisplayName, ExecutionStatus, NamespaceName, RestoreTarget},
};

use super::{Faults, Record, Restored, Story};
use crate::{
    compare::{Comparison, Question, compare},
    problem::{Problem, Result},
    text,
};

impl Story<'_> {
    /// Restores the first recovery point as the copy, and compares it with the user's data.
    pub(super) async fn copy(&self, record: &Record, faults: &mut Faults) -> Result<()> {
        self.ui.step(4, "Restore it as a copy, and compare the copy with your data");
        let engine = self.watch.engine;
        let target = engine.copy_path.clone();
        self.restore(record, &engine.live, &target).await?;
        let found = self.compare_trees(
            &Question {
                original: self.path,
                restored: &target,
                left_out: &self.survey.left_out,
                as_of: Some(record.recovery_point.at),
                progress: &|_| {},
            },
            self.survey.bytes,
        );
        self.tell_comparison(&found, "your data", faults);
        Ok(())
    }

    /// Restores the newest recovery point of the copy, and compares.
    pub(super) async fn restore_elsewhere(&self, newest: &Record, faults: &mut Faults) -> Result<Restored> {
        self.ui.step(7, "Restore the newest recovery point elsewhere, and compare");
        let engine = self.watch.engine;
        let target = self.house.restored().join(engine.copy.as_str());
        let restored = self.restore(newest, &engine.copy, &target).await?;
        let total = newest.sizes.logical.map_or(0, |size| size.0);
        let question = Question {
            original: &engine.copy_path,
            restored: &target,
            left_out: &[],
            as_of: None,
            progress: &|_| {},
        };
        let found = self.compare_trees(&question, total);
        self.tell_comparison(&found, "the copy", faults);
        Ok(restored)
    }

    async fn restore(&self, record: &Record, namespace: &NamespaceName, target: &Path) -> Result<Restored> {
        self.house.clear(target)?;
        let path = target.to_str().ok_or_else(|| {
            Problem::new(format!("{} can't be restored to: it is not UTF-8", target.display()))
                .mend("choose another place with --data-dir DIR")
        })?;
        let name = DisplayName::new(format!("restore {}", record.artifact))?;
        let plan = NewPlan::new(name, record.id)
            .with_mapping(namespace.clone(), RestoreTarget::Path(path.to_owned()));
        let plan = self.watch.tenant.create_plan(plan).await?.plan.id;
        self.preview(plan).await?;
        self.watch.tenant.execute_plan(plan, Execute::Confirmed).await?;
        let done = self.watch.restore(plan, "restoring").await?.execution;
        self.watch.tell_issues(&done.warnings);
        self.watch.tell_issues(&done.errors);
        if done.status != ExecutionStatus::Completed {
            return Err(match &done.failure {
                Some(failure) => Problem::failure("the restore failed", failure),
                None => Problem::new(format!("the restore is {}", done.status)),
            });
        }
        let took = done.duration().unwrap_or_default();
        let bytes = done.result.as_ref().map_or(0, |result| result.bytes.0);
        let entries = done.result.as_ref().map_or(0, |result| result.restored.total());
        self.ui.good(format!(
            "restored {}, {} in {}{}",
            text::count(entries, "entry"),
            text::bytes(bytes),
            text::duration(took),
            rate(bytes, took)
        ));
        Ok(Restored { took, bytes, target: PathBuf::from(target) })
    }

    async fn preview(&self, plan: aegis::model::PlanId) -> Result<()> {
        let Executed::Preview(preview) = self.watch.tenant.execute_plan(plan, Execute::DryRun).await? else {
            return Err(Problem::new("a dry run was carried out in earnest"));
        };
        if let Some(obstacle) = preview.obstacles.first() {
            return Err(Problem::new(format!("the restore can't work: {obstacle}")));
        }
        let free = preview.free.map_or_else(String::new, |free| format!(", {} free", text::bytes(free.0)));
        self.ui.good(format!(
            "previewed: {} to create, {}{free}",
            text::count(preview.create, "entry"),
            text::bytes(preview.bytes.0)
        ));
        Ok(())
    }

    fn compare_trees(&self, question: &Question<'_>, total: u64) -> Comparison {
        let doing = self.ui.doing("comparing byte for byte");
        compare(&Question { progress: &|done| doing.bytes(done, total), ..*question })
    }

    fn tell_comparison(&self, found: &Comparison, with: &str, faults: &mut Faults) {
        let mut parts = Vec::new();
        for (count, thing) in [
            (found.files, "file"),
            (found.directories, "directory"),
            (found.links, "link"),
            (found.others, "special file"),
        ] {
            if count > 0 {
                parts.push(text::count(count, thing));
            }
        }
        let what = format!("{}, {} byte for byte", parts.join(", "), text::bytes(found.bytes));
        if found.differences.count == 0 {
            self.ui.good(format!("the same as {with}: {what}; modes, times and links, too"));
        } else {
            let count = text::count(found.differences.count, "difference");
            self.ui.bad(format!("not the same as {with}: {count} in {what}"));
            faults.add(format!("what came back is not the same as {with}: {count}"));
        }
        for (findings, what) in [
            (&found.differences, "differs"),
            (&found.changed_since, "changed after the recovery point"),
            (&found.unreadable, "can't be read, so it was not backed up"),
        ] {
            for shown in &findings.shown {
                self.ui.note(format!("{what}: {shown}"));
            }
            let more = findings.count.saturating_sub(u64::try_from(findings.shown.len()).unwrap_or(0));
            if more > 0 {
                self.ui.note(format!("… and {more} more that {what}"));
            }
        }
    }
}

fn rate(bytes: u64, took: Duration) -> String {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    match bytes.saturating_mul(1_000_000).checked_div(micros) {
        Some(rate) if bytes > 1 << 20 => format!(" ({}/s)", text::bytes(rate)),
        Some(_) | None => String::new(),
    }
}
