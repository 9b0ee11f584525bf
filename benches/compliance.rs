//! How long it takes to say how 10,000 policies stand now, after 720 runs of each and after 8,640.
//!
//! Both sizes are measured in turn, in the processor time of this process, so that others on the
//! machine count little. The first question of each reads everything and is not counted.
//!
//! `cargo bench --bench compliance --features testing`

mod filled;

use std::{sync::Arc, time::Duration};

use aegis::{engine::Tenant, rules::rto::RtoStatus, store::MemoryStore};
use filled::{Failure, POLICIES, clock, fill, median, tenant};

/// How many policies have all their jobs and records.
const WITH_HISTORY: u64 = 50;
/// How many runs of a policy lie behind us, over 360 days.
const FEW: u64 = 720;
const MANY: u64 = 8_640;
/// How often each size is measured.
const ROUNDS: usize = 25;
/// What must be reached: milliseconds of processor time, and the larger by the smaller.
const REQUIRED: f64 = 15.0;
const REQUIRED_RATIO: f64 = 1.1;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), Failure> {
    let (few, many) = (world(FEW).await?, world(MANY).await?);
    for (tenant, runs) in [(&few, FEW), (&many, MANY)] {
        println!("the first answer after {runs} runs each: {:.2} ms", measure(tenant, runs).await?);
    }
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        of_few.push(measure(&few, FEW).await?);
        of_many.push(measure(&many, MANY).await?);
    }
    let (of_few, of_many) = (median(of_few), median(of_many));
    let ratio = of_many / of_few;
    println!("{FEW} runs each: {of_few:.2} ms, {MANY} runs each: {of_many:.2} ms of processor time");
    println!("(required: {REQUIRED} ms), {ratio:.3} times as long (required: {REQUIRED_RATIO})");
    // Without optimisation the figures say nothing.
    let optimised = !cfg!(debug_assertions);
    let kept = of_few.max(of_many) <= REQUIRED && ratio <= REQUIRED_RATIO;
    if optimised && !kept { Err("too slow".into()) } else { Ok(()) }
}

/// One answer, in milliseconds.
async fn measure(tenant: &Tenant, runs: u64) -> Result<f64, Failure> {
    let start = core_time()?;
    let answer = tenant.compliance(None).await?;
    let took = core_time()?.saturating_sub(start);
    let counted = answer.policies.iter().all(|policy| policy.backup_count_30d == runs / 12);
    let judged = answer
        .policies
        .iter()
        .all(|policy| policy.rpo_compliant() && policy.rto_status() == RtoStatus::AtRisk);
    if answer.policies.len() == usize::try_from(POLICIES)? && counted && judged {
        Ok(took.as_secs_f64() * 1000.0)
    } else {
        Err(format!("the answer is wrong: {:?}", answer.policies.first()).into())
    }
}

fn core_time() -> Result<Duration, Failure> {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Ok(Duration::new(u64::try_from(spent.tv_sec)?, u32::try_from(spent.tv_nsec)?))
}

/// An engine after so many runs of every policy.
async fn world(runs: u64) -> Result<Tenant, Failure> {
    let clock = clock();
    let store = Arc::new(MemoryStore::new(Arc::clone(&clock) as _));
    fill(&*store, runs, WITH_HISTORY).await?;
    tenant(store, clock)
}
