//! Figures as people read them.

use std::time::Duration;

use aegis::model::{Bytes, RetentionRules, Timestamp};

/// `540 GB`, `1.25 TB`: decimal, as storage is sold.
pub(crate) fn bytes(Bytes(count): Bytes) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let (mut unit, mut size) = (0, 1_u64);
    while unit + 1 < UNITS.len() && count / size >= 1000 {
        (unit, size) = (unit + 1, size * 1000);
    }
    let hundredths = u128::from(count) * 100 / u128::from(size);
    let name = UNITS.get(unit).copied().unwrap_or_default();
    let number = match (hundredths / 100, hundredths % 100) {
        (whole, 0) => whole.to_string(),
        (whole @ 100.., _) => whole.to_string(),
        (whole @ 10.., part) => format!("{whole}.{}", part / 10),
        (whole, part) => format!("{whole}.{part:02}"),
    };
    format!("{} {name}", number.strip_suffix(".0").unwrap_or(&number))
}

/// A length of time by its two largest units: `2 days 11 h`, `12 min 45 s`.
pub(crate) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    let days = if seconds < 2 * 86_400 { 0 } else { seconds / 86_400 };
    let rest = seconds - days * 86_400;
    let parts = [(days, "days"), (rest / 3600, "h"), (rest / 60 % 60, "min"), (rest % 60, "s")];
    let said = parts.iter().skip_while(|(count, _)| *count == 0).take(2).filter(|(count, _)| *count > 0);
    let said: Vec<_> = said.map(|(count, unit)| format!("{count} {unit}")).collect();
    if said.is_empty() { "0 s".to_owned() } else { said.join(" ") }
}

/// `2026-02-06 05:31`, in UTC.
pub(crate) fn instant(at: Timestamp) -> String {
    at.to_string().get(..16).unwrap_or_default().replace('T', " ")
}

/// `2026-02-06`, in UTC.
pub(crate) fn date(at: Timestamp) -> String {
    at.to_string().get(..10).unwrap_or_default().to_owned()
}

/// `8,760`.
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `hourly 48, daily 30, at least 3`.
pub(crate) fn rules(rules: &RetentionRules) -> String {
    let keep = &rules.keep;
    let tiers = [
        ("days", keep.days.unwrap_or(0)),
        ("last", keep.keep_last),
        ("hourly", keep.hourly),
        ("daily", keep.daily),
        ("weekly", keep.weekly),
        ("monthly", keep.monthly),
        ("quarterly", keep.quarterly),
        ("yearly", keep.yearly),
        ("at least", rules.min_keep),
    ];
    let set = tiers.iter().filter(|(_, count)| *count > 0);
    set.map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
