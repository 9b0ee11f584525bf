//! The end: a table, the figures, where everything lies, and whether it held.

use std::{process::ExitCode, time::Duration};

use console::style;

use super::{Done, Faults, Policies, Story};
use crate::{problem::Result, table, text, ui::Ui};

/// Whether all of it held.
#[derive(Debug)]
pub(crate) struct Verdict {
    faults: Vec<String>,
}

impl Verdict {
    /// Says it, as a line and as an exit code.
    pub(crate) fn show(&self, ui: &Ui) -> ExitCode {
        ui.line("");
        if self.faults.is_empty() {
            ui.line(style("All of it held: what came back is what went in.").green().bold().to_string());
            return ExitCode::SUCCESS;
        }
        ui.line(style("Not all of it held:").red().bold().to_string());
        for fault in &self.faults {
            ui.bad(fault);
        }
        ExitCode::FAILURE
    }
}

impl Story<'_> {
    pub(super) async fn summary(
        &self,
        policies: &Policies,
        done: &Done,
        mut faults: Faults,
    ) -> Result<Verdict> {
        let (live, copy) =
            (self.watch.records(policies.live).await?, self.watch.records(policies.copy).await?);
        let rows = live.iter().map(|record| (&**record, "yours"));
        let rows = rows.chain(copy.iter().map(|record| (&**record, "the copy")));
        self.ui.line("");
        for (number, line) in table::of_records(rows).into_iter().enumerate() {
            self.ui.line(if number == 0 { style(line).bold().to_string() } else { line });
        }
        self.ui.line("");
        self.figures(policies, done, &mut faults).await?;
        self.places(done);
        if done.partial {
            faults.add("some of it could not be read, so it is not protected; see step 2");
        }
        Ok(Verdict { faults: faults.0 })
    }

    async fn figures(&self, policies: &Policies, done: &Done, faults: &mut Faults) -> Result<()> {
        let compliance = self.watch.tenant.compliance(None).await?;
        let yours = compliance.policies.iter().find(|policy| policy.policy == policies.live);
        let objective = |target: Duration, is_compliant: bool| {
            format!("target {}: {}", text::duration(target), if is_compliant { "met" } else { "not met" })
        };
        match yours.and_then(|policy| policy.rpo).and_then(|rpo| Some((rpo, rpo.actual()?))) {
            Some((rpo, actual)) => {
                let verdict = objective(rpo.target, rpo.is_compliant());
                self.fact("RPO actual", &format!("{} ({verdict})", text::duration(actual)));
            }
            None => {
                self.fact("RPO actual", "none: no recovery point counts");
                faults.add("no complete recovery point of yours counts");
            }
        }
        let rto = yours.and_then(|policy| policy.rto);
        let verdict =
            rto.map_or_else(|| "no target".to_owned(), |rto| objective(rto.target, rto.is_compliant()));
        let bytes = text::bytes(done.restored.bytes);
        self.fact("RTO measured", &format!("{} for {bytes} ({verdict})", text::duration(done.restored.took)));
        Ok(())
    }

    fn places(&self, done: &Done) {
        self.fact("repository", &self.house.backups().join("repository").display().to_string());
        self.fact("manifests", &format!("{}/*/manifest.json", self.house.backups().display()));
        self.fact("password", &self.house.password_file().display().to_string());
        self.fact("restored", &done.restored.target.display().to_string());
        self.fact("the copy", &self.watch.engine.copy_path.display().to_string());
        self.fact("to end it", &format!("rm -r {}", self.house.root().display()));
    }

    fn fact(&self, name: &str, value: &str) {
        self.ui.line(format!("{name:<13} {value}"));
    }
}
