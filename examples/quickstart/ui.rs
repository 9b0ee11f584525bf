//! What is shown: bars on a terminal, lines elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    sync::Mutex,
    time::Duration,
};

use aegis::{
    engine::SystemClock,
    model::Progress,
    seams::{Clock, Monotonic},
};
use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use crate::text;

/// How often progress is told where there are no bars.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// The terminal, or whatever takes its place.
#[derive(Debug)]
pub(crate) struct Ui {
    bars: Option<MultiProgress>,
    clock: SystemClock,
}

impl Ui {
    pub(crate) fn new() -> Self {
        let bars = io::stdout().is_terminal().then(MultiProgress::new);
        Self { bars, clock: SystemClock::new() }
    }

    /// Lets the engine's warnings through, above the bars.
    pub(crate) fn log_warnings(&self) {
        let writer = Warnings(self.bars.clone());
        let shown = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_ansi(false)
            .without_time()
            .with_target(false)
            .with_writer(writer);
        // Nobody else has set one: this is the program.
        let _ = shown.try_init();
    }

    /// One line.
    pub(crate) fn line(&self, line: impl AsRef<str>) {
        let line = line.as_ref();
        match &self.bars {
            // An empty line would be swallowed.
            Some(bars) => drop(bars.println(if line.is_empty() { " " } else { line })),
            // Whoever listened may have gone; the work is done all the same.
            None => drop(writeln!(io::stdout(), "{line}")),
        }
    }

    /// The beginning of a step.
    pub(crate) fn step(&self, number: u32, what: &str) {
        self.line("");
        self.line(format!("{}  {}", style(number).cyan().bold(), style(what).bold()));
    }

    pub(crate) fn good(&self, line: impl AsRef<str>) {
        self.line(format!("   {} {}", style("✓").green(), line.as_ref()));
    }

    pub(crate) fn bad(&self, line: impl AsRef<str>) {
        self.line(format!("   {} {}", style("✗").red().bold(), line.as_ref()));
    }

    pub(crate) fn caution(&self, line: impl AsRef<str>) {
        self.line(format!("   {} {}", style("!").yellow().bold(), line.as_ref()));
    }

    pub(crate) fn note(&self, line: impl AsRef<str>) {
        self.line(format!("     {}", line.as_ref()));
    }

    /// Takes all bars away.
    pub(crate) fn clear(&self) {
        if let Some(bars) = &self.bars {
            drop(bars.clear());
        }
    }

    /// Something that takes a while.
    pub(crate) fn doing(&self, what: &str) -> Doing<'_> {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::no_length());
            bar.set_style(spinner());
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Doing { ui: self, what: what.to_owned(), bar, told_at: Mutex::new(self.clock.monotonic()) }
    }
}

fn spinner() -> ProgressStyle {
    styled("   {spinner:.cyan} {msg}")
}

fn styled(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━╸─")
}

/// Something that takes a while; what shows it goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Doing<'a> {
    ui: &'a Ui,
    what: String,
    bar: Option<ProgressBar>,
    told_at: Mutex<Monotonic>,
}

impl Doing<'_> {
    /// How far it is.
    pub(crate) fn at(&self, progress: &Progress) {
        let mut told = format!("{}: {}", self.what, done(progress));
        // So early an estimate is a guess.
        let told_enough = progress.percent().is_some_and(|percent| percent > 1);
        if let (true, Some(low), Some(high)) = (told_enough, progress.eta_low, progress.eta_high) {
            told.push_str(&format!(", {} to {} left", text::duration(low), text::duration(high)));
        }
        self.show(progress.bytes_done, progress.bytes_total, told);
    }

    /// How many bytes of how many are done.
    pub(crate) fn bytes(&self, done: u64, total: u64) {
        let told = format!("{}: {} of {}", self.what, text::bytes(done), text::bytes(total));
        self.show(done, Some(total), told);
    }

    /// What it waits for.
    pub(crate) fn waiting(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {what}", self.what));
        }
    }

    fn show(&self, done: u64, total: Option<u64>, told: String) {
        match (&self.bar, total.filter(|total| *total > 0)) {
            (Some(bar), Some(total)) => {
                if bar.length() != Some(total) {
                    bar.set_length(total);
                    bar.set_style(styled("   {spinner:.cyan} {bar:24.cyan/dim} {percent:>3} % {msg}"));
                }
                bar.set_position(done.min(total));
                bar.set_message(told);
            }
            (Some(bar), None) => bar.set_message(told),
            (None, _) => self.tell(&told),
        }
    }

    fn tell(&self, told: &str) {
        let now = self.ui.clock.monotonic();
        let mut told_at = self.told_at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if now.since(*told_at) >= LINE_EVERY {
            *told_at = now;
            self.ui.note(format!("… {told}"));
        }
    }
}

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn done(progress: &Progress) -> String {
    match (progress.bytes_total, progress.bytes_done) {
        (Some(total), done) => format!("{} of {}", text::bytes(done), text::bytes(total)),
        (None, 0) => "beginning".to_owned(),
        (None, done) => text::bytes(done),
    }
}

/// Where the engine's warnings go.
#[derive(Clone, Debug)]
struct Warnings(Option<MultiProgress>);

impl<'a> MakeWriter<'a> for Warnings {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().write_all(bytes);
        match &self.0 {
            Some(bars) => bars.suspend(write)?,
            None => write()?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
