//! How time is cut for stores that keep totals: whole stretches are looked up, only the edges counted.
//!
//! Such a store keeps how many entities have their time in each stretch of a few lengths. The
//! lengths are powers of two of microseconds, since 1970: whoever knows a time knows its stretch by
//! a shift, and the stretches of one length are whole ones of the next.

use std::ops::Range;

use super::Column;
use crate::model::Timestamp;

/// What a list is narrowed by, as far as totals are kept for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Narrowing {
    cluster: bool,
    policy: bool,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    otherwise: bool,
}

/// Whose counts have the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TallyLevel {
    /// Those of the tenant as a whole.
    Tenant,
    /// Those of each cluster.
    Cluster,
    /// Those of each policy.
    Policy,
}

impl Narrowing {
    /// By what a column says.
    pub const fn by(&mut self, column: Column) {
        match column {
            Column::Tenant | Column::Status | Column::Hidden => {}
            Column::Cluster => self.cluster = true,
            Column::Policy => self.policy = true,
            _ => self.otherwise = true,
        }
    }

    /// By something that totals are not kept for.
    pub const fn otherwise(&mut self) {
        self.otherwise = true;
    }

    /// By time, from `from` to before `to`.
    pub const fn within(&mut self, from: Option<Timestamp>, to: Option<Timestamp>) {
        (self.from, self.to) = (from, to);
    }

    /// Whose counts are the answer's.
    #[must_use]
    pub const fn level(&self) -> TallyLevel {
        match (self.policy, self.cluster) {
            (true, _) => TallyLevel::Policy,
            (false, true) => TallyLevel::Cluster,
            (false, false) => TallyLevel::Tenant,
        }
    }

    /// The time that is asked about, as totals are kept for it; `None` if they can't tell.
    #[must_use]
    pub fn cut(&self) -> Option<Cut> {
        let spans = match self.level() {
            TallyLevel::Policy => &Stretches::SPANS_OF_POLICIES[..],
            TallyLevel::Tenant | TallyLevel::Cluster => &Stretches::SPANS,
        };
        Cut::new(self.from, self.to, spans).filter(|_| !self.otherwise)
    }
}

/// Stretches of one length: those with the numbers `first` to before `last`. The stretch of an
/// instant is its microseconds shifted right by `span`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretches {
    /// Their length is this power of two of microseconds.
    pub span: u8,
    /// The first of them; the least number if there is no beginning.
    pub first: i64,
    /// The first that is none of them any more; the greatest number if there is no end.
    pub last: i64,
}

impl Stretches {
    /// The lengths that totals are kept for, shortest first: 72 minutes, 38 hours, 51 days.
    pub const SPANS: [u8; 3] = [32, 37, 42];
    /// The lengths that the totals of each policy are kept for.
    pub const SPANS_OF_POLICIES: [u8; 2] = [37, 42];
}

/// A half-open stretch of time, cut into whole stretches and what is left at its edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What totals are looked up for; at most two entries for each length.
    pub whole: Vec<Stretches>,
    /// From where on that is; `None` from the beginning of time.
    pub from: Option<Timestamp>,
    /// Up to where that is; `None` to the end of time.
    pub to: Option<Timestamp>,
    /// What has to be counted: none of them is empty or longer than the shortest length.
    pub edges: Vec<Range<Timestamp>>,
}

impl Cut {
    /// Cuts the time from `from` to before `to`; `None` if it has no whole stretch of the shortest of
    /// `spans`, which are in rising order.
    #[must_use]
    pub fn new(from: Option<Timestamp>, to: Option<Timestamp>, spans: &[u8]) -> Option<Self> {
        let shortest = *spans.first()?;
        let first = from.map(|from| up(from.as_micros(), shortest));
        let last = to.map(|to| to.as_micros() >> shortest);
        if first.zip(last).is_some_and(|(first, last)| first >= last) {
            return None;
        }
        let instant = |number: i64| Timestamp::from_micros(number.saturating_mul(1 << shortest));
        let (begin, end) = (first.map(instant), last.map(instant));
        let edges = [from.zip(begin), end.zip(to)].into_iter().flatten();
        let edges = edges.filter(|(from, to)| from < to).map(|(from, to)| from..to).collect();
        Some(Self { whole: whole(first, last, spans), from: begin, to: end, edges })
    }
}

/// The stretch that begins at or after `micros`.
const fn up(micros: i64, span: u8) -> i64 {
    let below = micros >> span;
    if below << span == micros { below } else { below.saturating_add(1) }
}

/// The stretches `first` to before `last` of the shortest length, in as few as can be.
fn whole(mut first: Option<i64>, mut last: Option<i64>, spans: &[u8]) -> Vec<Stretches> {
    let mut whole = Vec::new();
    let mut add = |span, first: Option<i64>, last: Option<i64>| {
        let (first, last) = (first.unwrap_or(i64::MIN), last.unwrap_or(i64::MAX));
        if first < last {
            whole.push(Stretches { span, first, last });
        }
    };
    let mut spans = spans.iter().copied().peekable();
    while let Some(span) = spans.next() {
        let Some(next) = spans.peek().map(|next| next.saturating_sub(span)) else {
            add(span, first, last);
            break;
        };
        let (above, below) = (first.map(|first| up(first, next)), last.map(|last| last >> next));
        if above.zip(below).is_some_and(|(above, below)| above >= below) {
            add(span, first, last);
            break;
        }
        if let Some((first, above)) = first.zip(above) {
            add(span, Some(first), Some(above << next));
        }
        if let Some((below, last)) = below.zip(last) {
            add(span, Some(below << next), Some(last));
        }
        (first, last) = (above, below);
    }
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether a cut has `at`, and where.
    fn places(cut: &Cut, at: Timestamp) -> usize {
        let in_stretch = |s: &&Stretches| (s.first..s.last).contains(&(at.as_micros() >> s.span));
        cut.whole.iter().filter(in_stretch).count()
            + cut.edges.iter().filter(|edge| edge.contains(&at)).count()
    }

    fn instants() -> impl Strategy<Value = Timestamp> {
        let year = 366 * 24 * 3_600 * 1_000_000_i64;
        let any = -year..60 * year;
        let round = (-8..400_i64, prop::sample::select(Stretches::SPANS.to_vec()), -1..=1_i64);
        prop_oneof![any, round.prop_map(|(n, span, off)| (n << span) + off)].prop_map(Timestamp::from_micros)
    }

    proptest! {
        #[test]
        fn an_instant_is_in_one_place_if_it_was_asked_for_and_else_in_none(
            from in prop::option::of(instants()),
            to in prop::option::of(instants()),
            at in instants(),
            of_policy in any::<bool>(),
        ) {
            let spans = if of_policy { &Stretches::SPANS_OF_POLICIES[..] } else { &Stretches::SPANS[..] };
            let asked = |at: Timestamp| from.is_none_or(|from| from <= at) && to.is_none_or(|to| at < to);
            if let Some(cut) = Cut::new(from, to, spans) {
                for at in [Some(at), from, to, cut.from, cut.to].into_iter().flatten() {
                    prop_assert_eq!(places(&cut, at), usize::from(asked(at)), "{:?} {:?}", at, cut);
                    let between = cut.from.is_none_or(|from| from <= at) && cut.to.is_none_or(|to| at < to);
                    prop_assert_eq!(cut.edges.iter().any(|edge| edge.contains(&at)), asked(at) && !between);
                }
                prop_assert!(cut.whole.len() < 2 * spans.len());
            }
        }
    }

    #[test]
    fn all_of_time_is_one_lookup_of_the_longest_stretches() {
        let cut = Cut::new(None, None, &Stretches::SPANS);
        let all = Stretches { span: 42, first: i64::MIN, last: i64::MAX };
        assert_eq!(cut, Some(Cut { whole: vec![all], from: None, to: None, edges: Vec::new() }));
    }

    #[test]
    fn a_time_without_a_whole_stretch_is_not_cut() {
        let from = Timestamp::from_micros((5 << 32) + 1);
        assert_eq!(
            Cut::new(Some(from), Some(Timestamp::from_micros((7 << 32) - 1)), &Stretches::SPANS),
            None
        );
    }
}
