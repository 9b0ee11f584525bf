//! Protects a real directory, end to end: on a schedule, verified, restored and compared.
//!
//! `cargo run --release --example quickstart -- [PATH] [--data-dir DIR]`
//!
//! Nothing is needed beside this program: the catalogue lives in memory, and is rebuilt at every
//! start from the repository and its manifests. Kill it at any moment and run it again.

mod args;
mod compare;
mod engine;
mod house;
mod problem;
mod story;
mod survey;
mod table;
mod text;
mod ui;
mod watch;

use std::process::ExitCode;

use args::Asked;

#[tokio::main]
async fn main() -> ExitCode {
    let args = match args::parse(std::env::args_os().skip(1)) {
        Ok(Asked::Run(args)) => args,
        Ok(Asked::Help) => {
            println!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("quickstart: {wrong}\n\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    let ui = ui::Ui::new();
    ui.log_warnings();
    match story::tell(&args, &ui).await {
        Ok(verdict) => verdict.show(&ui),
        Err(problem) => {
            ui.clear();
            eprintln!("\n{problem}");
            ExitCode::FAILURE
        }
    }
}
