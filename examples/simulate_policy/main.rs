//! A year before it happens: policies in a simulated world, as a report and a chart.
//!
//! `cargo run --release --example simulate_policy -- [OPTIONS]`, `--help` for what it takes.
//!
//! Nothing is backed up and nothing is waited for: the engine's own rules judge a world that is
//! drawn from a seed. The chart is an SVG file, which any browser shows.

mod args;
mod chart;
mod figures;
mod read;
mod report;
mod scenario;
mod svg;
mod text;

use std::process::ExitCode;

use aegis::{rules::simulation::simulate, seams::report as chain};
use args::Asked;
use scenario::Plan;

fn main() -> ExitCode {
    let args = match args::parse(std::env::args_os().skip(1)) {
        Ok(Asked::Run(args)) => args,
        Ok(Asked::Help) => {
            println!("{}", args::USAGE);
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("simulate_policy: {wrong}\n  → --help lists the options");
            return ExitCode::from(2);
        }
    };
    let output = args.output.clone();
    let plan = Plan::of(*args);
    let year = match simulate(&plan.scenario) {
        Ok(year) => year,
        Err(error) => {
            eprintln!("simulate_policy: {}", chain(&error));
            return ExitCode::from(2);
        }
    };
    print!("{}", report::of(&plan, &year));
    match std::fs::write(&output, chart::of(&plan, &year)) {
        Ok(()) => {
            println!("\nThe chart is {}; open it with a browser.", output.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("simulate_policy: could not write {}: {error}", output.display());
            eprintln!("  → name a place that you may write to with --output FILE");
            ExitCode::FAILURE
        }
    }
}
