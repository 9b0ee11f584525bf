//! Luck that depends on nothing but a seed and what it is asked about.

/// SplitMix64 (Steele, Lea and Flood, 2014) used as a hash: each question mixes itself into the
/// state, so an answer depends on the seed and the question alone and not on what was asked before.
/// A scenario that differs in one figure therefore meets the same luck everywhere else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Luck(u64);

impl Luck {
    pub(super) const fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// The luck of `subject` under this one.
    #[must_use]
    pub(super) const fn of(self, subject: u64) -> Self {
        Self(mix(self.0 ^ mix(subject)))
    }

    /// Evenly from 0 to `sides` − 1; 0 if there are none.
    pub(super) fn below(self, sides: u64) -> u64 {
        self.0.checked_rem(sides).unwrap_or(0)
    }
}

const fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_of_seed_zero_is_the_published_one() {
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn nothing_to_choose_from_is_zero() {
        assert_eq!(Luck::new(1).below(0), 0);
    }
}
