//! Which anchors of the event log can go, so that there are never many.

use crate::model::Timestamp;

/// The part of its age by which an anchor may be apart from the next newer one.
const SHARE: u32 = 16;

/// The places in `written`, which is in the order of writing, of those that can go.
///
/// The newest and the oldest stay. One between them goes if its neighbours are near each other for
/// their age, so that the number of anchors grows with the logarithm of time: an anchor an hour for
/// ten years leaves fewer than 400. A newer anchor vouches for all that an older one did; the older ones only say more exactly
/// since when a log is not what it was.
#[must_use]
pub fn superfluous_anchors(written: &[Timestamp]) -> Vec<usize> {
    let Some(now) = written.last() else { return Vec::new() };
    let mut kept = *now;
    let mut superfluous = Vec::new();
    for (place, at) in written.iter().enumerate().rev().skip(1) {
        let older = place.checked_sub(1).and_then(|place| written.get(place));
        match older {
            Some(older) if kept.since(*older) <= now.since(*older) / SHARE => superfluous.push(place),
            Some(_) | None => kept = *at,
        }
    }
    superfluous
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Writes an anchor after each pause and lets go what can go.
    fn kept_after(pauses: impl IntoIterator<Item = Duration>) -> Vec<Timestamp> {
        let mut kept = vec![Timestamp::UNIX_EPOCH];
        for pause in pauses {
            let next = kept[kept.len() - 1].saturating_add(pause);
            kept.push(next);
            for place in superfluous_anchors(&kept) {
                kept.remove(place);
            }
        }
        kept
    }

    #[test]
    fn ten_years_of_an_anchor_an_hour_leave_few() {
        let kept = kept_after(std::iter::repeat_n(HOUR, 10 * 365 * 24));
        assert!(kept.len() < 400, "{} anchors", kept.len());
    }

    proptest! {
        #[test]
        fn the_newest_and_the_oldest_stay_and_no_gap_is_wide_for_its_age(
            pauses in prop::collection::vec(1_u64..100_000, 2..400)
        ) {
            let pauses = pauses.into_iter().map(Duration::from_secs);
            let longest = pauses.clone().max().unwrap_or_default();
            let end = Timestamp::UNIX_EPOCH.saturating_add(pauses.clone().sum());
            let kept = kept_after(pauses);
            prop_assert_eq!(kept[0], Timestamp::UNIX_EPOCH);
            prop_assert_eq!(kept[kept.len() - 1], end);
            for pair in kept.windows(2) {
                let (gap, age) = (pair[1].since(pair[0]), end.since(pair[0]));
                prop_assert!(gap <= (age / SHARE).max(longest), "{gap:?} at the age of {age:?}");
            }
        }
    }
}
