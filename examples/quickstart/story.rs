//! What the quickstart does, step by step.

mod protect;
mod prove;
mod rebuild;
mod summary;

use std::path::{Path, PathBuf};

use aegis::model::{BackupRecord, PolicyId, Versioned};
pub(crate) use summary::Verdict;

use crate::{
    args::Args,
    engine::{self, Engine},
    house::{House, Password},
    problem::{Problem, Result},
    survey::{Survey, survey},
    text,
    ui::Ui,
    watch::Watch,
};

/// What the steps share.
struct Story<'a> {
    watch: Watch<'a>,
    ui: &'a Ui,
    house: &'a House,
    path: &'a Path,
    survey: &'a Survey,
}

/// What the steps leave for those that follow.
struct Policies {
    /// What the user named, every ten seconds.
    live: PolicyId,
    /// The copy, by hand.
    copy: PolicyId,
}

/// What did not hold, in words.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, fault: impl Into<String>) {
        self.0.push(fault.into());
    }
}

pub(crate) async fn tell(args: &Args, ui: &Ui) -> Result<Verdict> {
    let path = find(&args.path)?;
    let house = House::open(&args.data_dir)?;
    if path.starts_with(house.root()) {
        return Err(Problem::new(format!("{} lies in the quickstart's own data directory", path.display()))
            .mend("name another directory, or another place with --data-dir DIR"));
    }
    let survey = survey(&path, house.root())?;
    introduce(ui, &path, &survey, &house);
    let engine = engine::build(&path, &survey, &house)?;
    let tenant = engine.aegis.default_tenant()?;
    let watch = Watch { engine: &engine, tenant: &tenant, ui };
    let story = Story { watch, ui, house: &house, path: &path, survey: &survey };
    story.run(&engine).await
}

/// The directory to protect, by its real path.
fn find(asked: &Path) -> Result<PathBuf> {
    let path = asked.canonicalize().map_err(|error| {
        Problem::io("find", asked, &error).mend("name an existing directory: quickstart PATH")
    })?;
    if path.is_dir() {
        return Ok(path);
    }
    Err(Problem::new(format!("{} is not a directory", path.display()))
        .mend("name the directory that it lies in"))
}

fn introduce(ui: &Ui, path: &Path, survey: &Survey, house: &House) {
    ui.line(console::style("Aegis quickstart").bold().to_string());
    ui.note(format!("protects   {} ({})", path.display(), survey.describe()));
    for left_out in &survey.left_out {
        let why = if path.join(left_out) == house.root() {
            "the quickstart's own data"
        } else {
            "says that it is a cache"
        };
        ui.note(format!("but not    {} ({why})", text::shown(left_out)));
    }
    ui.note(format!("keeps      everything that it makes in {}", house.root().display()));
    let password = house.password_file();
    match house.password {
        Password::Made => {
            ui.note(format!("password   made now: {}, readable by you alone", password.display()));
            ui.note("           copy it to a safe place: without it the backups are lost");
        }
        Password::Found => ui.note(format!("password   {}", password.display())),
    }
}

impl Story<'_> {
    async fn run(&self, engine: &Engine) -> Result<Verdict> {
        let mut faults = Faults::default();
        let policies = self.rebuild(engine, &mut faults).await?;
        let running = engine.aegis.start();
        let told = self.work(&policies, &mut faults).await;
        // Whatever came of it: nothing is left half done on purpose.
        let quiet = self.stop(&policies).await;
        running.shutdown().await;
        let done = told?;
        quiet?;
        self.summary(&policies, &done, faults).await
    }

    async fn work(&self, policies: &Policies, faults: &mut Faults) -> Result<Done> {
        let first = self.protect(policies).await?;
        self.verify(&first, faults).await?;
        self.copy(&first, faults).await?;
        let newest = self.change_and_back_up(policies).await?;
        self.retain(policies).await?;
        let restored = self.restore_elsewhere(&newest, faults).await?;
        Ok(Done { partial: first.partial, restored })
    }
}

/// What the summary tells of.
struct Done {
    /// Whether something of what the user named could not be read.
    partial: bool,
    restored: Restored,
}

/// A restore that was measured.
struct Restored {
    took: std::time::Duration,
    bytes: u64,
    target: PathBuf,
}

type Record = Versioned<BackupRecord>;
