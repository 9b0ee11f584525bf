mod cases;
mod naive;
mod oracle;
mod properties;

use super::CompiledSchedule;
use crate::model::{CronExpression, Schedule, Seconds, Timestamp, ZoneName};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn cron(text: &str, zone: &str) -> CompiledSchedule {
    let expression = CronExpression::new(text).unwrap_or_else(|error| panic!("{error}"));
    CompiledSchedule::new(&Schedule::cron(expression, ZoneName::new(zone).unwrap()), Timestamp::UNIX_EPOCH)
}

fn every(seconds: u32, anchor: Timestamp) -> CompiledSchedule {
    CompiledSchedule::new(&Schedule::Every { period: Seconds::new(seconds).unwrap() }, anchor)
}
