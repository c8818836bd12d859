//! Which builds come out as before although something below them did not: drawn by chance, for each patch anew, and the same
//! for one seed on any day.

use floe_papers::chance::Chance;

/// How likely a build that runs comes out as before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Survival {
    /// One that needs the patched package itself.
    pub first: f64,
    /// Any other.
    pub further: f64,
}

impl Survival {
    /// Nothing comes out as before: what input addressing rebuilds, whatever comes out.
    pub const NONE: Self = Self::level(0.0);

    /// The same likelihood everywhere.
    pub const fn level(p: f64) -> Self {
        Self { first: p, further: p }
    }

    /// Whether it is chance that decides.
    pub fn is_chance(self) -> bool {
        [self.first, self.further].iter().any(|p| *p > 0.0 && *p < 1.0)
    }
}

/// Decides who survives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coins {
    /// How likely it is.
    pub survival: Survival,
    /// What is drawn.
    pub seed: u64,
}

impl Coins {
    /// Whether a build comes out as before a patch to a package, if it runs. The number that is held against the likelihood
    /// does not depend on it: who survives with one likelihood survives with every greater one, and differences between
    /// likelihoods are not chance's.
    pub fn survives(self, package: u32, build: u32, first: bool) -> bool {
        let p = if first { self.survival.first } else { self.survival.further };
        if p <= 0.0 || p >= 1.0 {
            return p >= 1.0;
        }
        self.of(package).survives(build, p)
    }

    /// The coins of a patch.
    pub fn of(self, package: u32) -> Tosser {
        let patch = Chance::new(u64::from(package)).number();
        Tosser(Chance::new(patch ^ self.seed).number())
    }
}

/// The coins of one patch: hundreds of millions are tossed, so what does not depend on the build is computed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tosser(u64);

impl Tosser {
    /// Whether a build comes out as before, with this likelihood.
    pub fn survives(self, build: u32, p: f64) -> bool {
        let number = Chance::new(self.0 ^ u64::from(build) << 32).number();
        // the leading 53 bits, as a number from 0 to below 1
        ((number >> 11) as f64 / (1u64 << 53) as f64) < p
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coins_fall_as_often_as_they_should() {
        let coins = Coins { survival: Survival { first: 0.3, further: 0.8 }, seed: 5 };
        let mut hits = (0, 0, 0);
        for (package, build) in
            (0..200).flat_map(|package| (0..200).map(move |build| (package, build)))
        {
            let (first, further) =
                (coins.survives(package, build, true), coins.survives(package, build, false));
            hits.0 += u32::from(first);
            hits.1 += u32::from(further);
            // neighbours know nothing of each other
            hits.2 += u32::from(first && coins.survives(package, build + 1, true));
        }
        assert!(hits.0.abs_diff(12_000) < 500, "{hits:?}");
        assert!(hits.1.abs_diff(32_000) < 500, "{hits:?}");
        assert!(hits.2.abs_diff(3_600) < 300, "{hits:?}");
    }
}
