//! Values as people type them.

use std::time::Duration;

use aegis::{
    model::{Bytes, KeepRules, RetentionRules, Schedule, Seconds, Timestamp, ZoneName},
    rules::{
        exposure::Window,
        simulation::{Outage, OutageKind, Share},
    },
};

pub(crate) type Read<T> = Result<T, String>;

/// `90s`, `15m`, `26h`, `3d`.
pub(crate) fn duration(text: &str) -> Read<Duration> {
    let wrong = || format!("`{text}` is no length of time: write 90s, 15m, 26h or 3d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

/// `500MB`, `80GB`, `2TB`.
pub(crate) fn bytes(text: &str) -> Read<Bytes> {
    let wrong = || format!("`{text}` is no size: write 500MB, 80GB or 2TB");
    let units = [("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)];
    let found = units.iter().find_map(|(unit, size)| Some((text.strip_suffix(unit)?, *size)));
    let (number, size) = found.ok_or_else(wrong)?;
    let number: u32 = number.trim_end().parse().map_err(|_| wrong())?;
    Ok(Bytes(u64::from(number) * size))
}

/// `2`, `0.5` or `0.5%`: per cent, to four places.
pub(crate) fn percent(text: &str) -> Read<Share> {
    let wrong = || format!("`{text}` is no share: write per cent from 0 to 100, such as 2 or 0.5");
    let number = text.strip_suffix('%').unwrap_or(text);
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 4 {
        return Err(wrong());
    }
    let parts = format!("{whole}{part:0<4}").parse().map_err(|_| wrong())?;
    if parts > 1_000_000 { Err(wrong()) } else { Ok(Share::per_million(parts)) }
}

/// A date such as `2026-03-06`, or a time such as `2026-03-06T18:00:00Z`.
pub(crate) fn instant(text: &str) -> Read<Timestamp> {
    let midnight = format!("{text}T00:00:00Z");
    let wrong = |_| format!("`{text}` is no date: write 2026-03-06 or 2026-03-06T18:00:00Z");
    text.parse().or_else(|_| midnight.parse()).map_err(wrong)
}

/// Five fields, `@daily` and its like, or `every 90m`.
pub(crate) fn schedule(text: &str, zone: ZoneName) -> Read<Schedule> {
    if let Some(period) = text.strip_prefix("every ") {
        let seconds = u32::try_from(duration(period.trim())?.as_secs()).map_err(|error| error.to_string())?;
        let period = Seconds::new(seconds).map_err(|error| error.to_string())?;
        return Ok(Schedule::Every { period });
    }
    Ok(Schedule::cron(text.parse().map_err(|error| format!("{error}"))?, zone))
}

/// `days=30`, or a list such as `hourly=48,daily=30,min=3`.
pub(crate) fn retention(text: &str) -> Read<RetentionRules> {
    const RULES: &str = "days, last, hourly, daily, weekly, monthly, quarterly, yearly, min";
    let mut rules = RetentionRules { keep: KeepRules::default(), ..RetentionRules::default() };
    for item in text.split(',') {
        let wrong = || format!("`{item}` is no rule: write NAME=COUNT, where NAME is one of {RULES}");
        let (name, count) = item.split_once('=').ok_or_else(wrong)?;
        let count: u32 = count.trim().parse().map_err(|_| wrong())?;
        match name.trim() {
            "days" => rules.keep.days = Some(count),
            "last" => rules.keep.keep_last = count,
            "hourly" => rules.keep.hourly = count,
            "daily" => rules.keep.daily = count,
            "weekly" => rules.keep.weekly = count,
            "monthly" => rules.keep.monthly = count,
            "quarterly" => rules.keep.quarterly = count,
            "yearly" => rules.keep.yearly = count,
            "min" => rules.min_keep = count,
            _ => return Err(wrong()),
        }
    }
    rules.validate().map_err(|error| format!("`{text}` can't be used: {error}"))?;
    Ok(rules)
}

/// `storage:2026-03-06T18:00:00Z:60h`.
pub(crate) fn outage(text: &str) -> Read<Outage> {
    let wrong = || {
        format!(
            "`{text}` is no outage: write engine or storage, a date and a length, such as storage:2026-03-06:60h"
        )
    };
    let (what, rest) = text.split_once(':').ok_or_else(wrong)?;
    let kind = match what {
        "engine" => OutageKind::Engine,
        "storage" => OutageKind::Target,
        _ => return Err(wrong()),
    };
    let (from, length) = rest.rsplit_once(':').ok_or_else(wrong)?;
    let from = instant(from)?;
    Ok(Outage { kind, window: Window { from, until: from.saturating_add(duration(length)?) } })
}
