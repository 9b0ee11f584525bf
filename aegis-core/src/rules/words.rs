//! Small words that several rules' English needs.

use std::{fmt, time::Duration};

/// `1st`, `2nd`, `3rd`, `4th`, …
pub(in crate::rules) struct Ordinal(pub(in crate::rules) u32);

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = match (self.0 % 100, self.0 % 10) {
            (11..=13, _) => "th",
            (_, 1) => "st",
            (_, 2) => "nd",
            (_, 3) => "rd",
            _ => "th",
        };
        write!(f, "{}{suffix}", self.0)
    }
}

/// A length of time by its two largest units, rounded down: `3 days 4 h`, `12 min 45 s`, `2 s`.
pub(in crate::rules) struct Span(pub(in crate::rules) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        let day_word = if days == 1 { "day" } else { "days" };
        match (days, hours, minutes, seconds % 60) {
            (0, 0, 0, 0) if !self.0.is_zero() => f.write_str("less than 1 s"),
            (0, 0, 0, s) => write!(f, "{s} s"),
            (0, 0, m, 0) => write!(f, "{m} min"),
            (0, 0, m, s) => write!(f, "{m} min {s} s"),
            (0, h, 0, _) => write!(f, "{h} h"),
            (0, h, m, _) => write!(f, "{h} h {m} min"),
            (d, 0, _, _) => write!(f, "{d} {day_word}"),
            (d, h, _, _) => write!(f, "{d} {day_word} {h} h"),
        }
    }
}

/// A length of time to the second, for figures that are held against each other: `24 h 12 min`,
/// `3 days 30 s`. Days are said from two on.
pub(in crate::rules) struct Exact(pub(in crate::rules) Duration);

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let days = if seconds < 2 * 86_400 { 0 } else { seconds / 86_400 };
        let rest = seconds - days * 86_400;
        let parts = [(days, "days"), (rest / 3_600, "h"), (rest / 60 % 60, "min"), (rest % 60, "s")];
        let said: Vec<String> = parts
            .into_iter()
            .filter(|(count, unit)| *count > 0 || (seconds == 0 && *unit == "s"))
            .map(|(count, unit)| format!("{count} {unit}"))
            .collect();
        f.write_str(&said.join(" "))
    }
}

/// `1 record`, `2 records`: for nouns whose plural takes an s.
pub(in crate::rules) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// `1 hour`, `24 hours`, `48.5 hours`, and to the second below an hour: `15 min`. Rounded up, so never
/// less than it is.
pub(in crate::rules) fn hours(duration: Duration) -> String {
    if duration.as_micros().div_ceil(1_000_000) < 3_600 {
        return to_the_second(duration);
    }
    let hours = super::exposure::hours_rounded_up(duration);
    format!("{hours} hour{}", if hours > 1.0 { "s" } else { "" })
}

/// A figure and the target that it is held against, in [`hours`]; to the second where those would not
/// show that the two differ.
pub(in crate::rules) fn held_against(figure: Duration, target: Duration) -> (String, String) {
    let (shown, of) = (hours(figure), hours(target));
    if shown == of && figure != target {
        return (to_the_second(figure), to_the_second(target));
    }
    (shown, of)
}

/// [`Exact`], rounded up.
fn to_the_second(duration: Duration) -> String {
    let more = u64::from(duration.subsec_nanos() > 0);
    Exact(Duration::from_secs(duration.as_secs().saturating_add(more))).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_know_the_teens() {
        let text = |n| Ordinal(n).to_string();
        assert_eq!(
            [1, 2, 3, 4, 11, 12, 13, 21, 111].map(text).join(" "),
            "1st 2nd 3rd 4th 11th 12th 13th 21st 111th"
        );
    }

    #[test]
    fn exact_lengths_leave_nothing_out() {
        let text = |s| Exact(Duration::from_secs(s)).to_string();
        let said = [0, 90, 86_400, 87_120, 172_800, 172_830].map(text);
        assert_eq!(said.join(", "), "0 s, 1 min 30 s, 24 h, 24 h 12 min, 2 days, 2 days 30 s");
    }

    #[test]
    fn hours_are_rounded_up_and_said_to_the_second_below_one() {
        let text = |s| hours(Duration::from_secs(s));
        let said = [900, 3_540, 3_599, 3_600, 3_601, 86_400, 174_600].map(text);
        assert_eq!(said.join(", "), "15 min, 59 min, 59 min 59 s, 1 hour, 1.1 hours, 24 hours, 48.5 hours");
        assert_eq!(hours(Duration::from_millis(3_599_500)), "1 hour");
    }

    #[test]
    fn a_figure_beyond_its_target_never_reads_like_the_target() {
        let said =
            |figure, target| held_against(Duration::from_millis(figure), Duration::from_millis(target));
        let pair = |figure: &str, target: &str| (figure.to_owned(), target.to_owned());
        assert_eq!(said(174_600_000, 86_400_000), pair("48.5 hours", "24 hours"));
        assert_eq!(said(960_000, 900_000), pair("16 min", "15 min"));
        assert_eq!(said(900_001, 900_000), pair("15 min 1 s", "15 min"));
        assert_eq!(said(90_960_000, 90_900_000), pair("25 h 16 min", "25 h 15 min"));
    }

    #[test]
    fn spans_show_their_two_largest_units() {
        let text = |s| Span(Duration::from_secs(s)).to_string();
        assert_eq!(text(765), "12 min 45 s");
        assert_eq!(text(86_400 + 7200), "1 day 2 h");
        assert_eq!(text(86_400 * 3), "3 days");
        assert_eq!(text(0), "0 s");
        assert_eq!(Span(Duration::from_millis(3)).to_string(), "less than 1 s");
    }
}
