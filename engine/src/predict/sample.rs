//! Letting news travel through a graph a thousand times at once: each bit of a word is one possible
//! future, so that a node runs in a future if it is certain to or if, in that same future, an input
//! of it came out otherwise. Causes that several nodes share are so shared in every future, which
//! multiplying probabilities would miss. Knows nothing of derivations.
//!
//! Monte Carlo with a fixed seed: the same question has the same answer.

/// Words of a set of futures.
const WORDS: usize = 16;

/// About so many words are looked at in all where a forecast is told: a thousand futures of ten
/// thousand nodes.
pub const TOLD: usize = 200_000;

/// And where it is only scored, which must not take longer than a build that is cut off at once; up
/// to 2,500 nodes that is the same.
pub const SCORED: usize = 40_000;

/// Binary digits of a probability that count.
const DIGITS: u32 = 10;

/// A set of futures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Futures([u64; WORDS]);

impl Futures {
    /// None of them.
    pub const NONE: Futures = Futures([0; WORDS]);

    /// All that are looked at for so many nodes: a thousand, and fewer where there are so many
    /// nodes that it were more than `all_words`, [`TOLD`] or [`SCORED`].
    pub fn all(nodes: usize, all_words: usize) -> Futures {
        let words = (all_words / nodes.max(1)).clamp(2, WORDS);
        Futures(std::array::from_fn(|word| if word < words { u64::MAX } else { 0 }))
    }

    /// How many.
    pub fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether this one is among them.
    pub fn has(&self, future: u32) -> bool {
        self.0[future as usize / 64] >> (future % 64) & 1 == 1
    }

    /// Adds those of another set.
    pub fn join(&mut self, other: &Futures) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    /// How many are in both.
    pub fn common(&self, other: &Futures) -> u32 {
        self.0.iter().zip(other.0).map(|(word, other)| (word & other).count_ones()).sum()
    }
}

/// Where chance comes from: splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct Chooser(u64);

impl Chooser {
    /// A reproducible one.
    pub fn new(seed: u64) -> Chooser {
        Chooser(seed)
    }

    /// The next random word.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// Of these futures each with this probability.
    pub fn thin(&mut self, of: &Futures, probability: f64) -> Futures {
        let digits = (probability.clamp(0.0, 1.0) * f64::from(1 << DIGITS)).round() as u32;
        if digits >> DIGITS == 1 {
            return *of;
        }
        let mut chosen = Futures::NONE;
        for (word, of) in chosen.0.iter_mut().zip(of.0).filter(|(_, of)| *of != 0) {
            // From the last digit to the first, each doubles the chances that are left open.
            for digit in digits.trailing_zeros().min(DIGITS)..DIGITS {
                match digits >> digit & 1 {
                    1 => *word |= self.word(),
                    _ => *word &= self.word(),
                }
            }
            *word &= of;
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn futures_are_thinned_as_told() {
        let mut chooser = Chooser::new(1);
        let all = Futures::all(1, SCORED);
        assert_eq!((all.count(), Futures::all(100_000, TOLD).count()), (1024, 128));
        for probability in [0.0, 0.03, 0.25, 0.5, 0.77, 1.0] {
            let mut sum = 0;
            for _ in 0..100 {
                sum += chooser.thin(&all, probability).count();
            }
            let found = f64::from(sum) / f64::from(100 * all.count());
            assert!((found - probability).abs() < 0.005, "{found} for {probability}");
        }
        let half = chooser.thin(&all, 0.5);
        let quarter = chooser.thin(&half, 0.5);
        assert_eq!(quarter.common(&half), quarter.count(), "nothing is added");
        assert_eq!(chooser.thin(&half, 1.0), half);
        assert_eq!(chooser.thin(&Futures::NONE, 0.9), Futures::NONE);
    }
}
