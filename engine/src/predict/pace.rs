//! How long something takes, in a few bytes: the mean and spread of the logarithms of past times,
//! which are about normally distributed for builds, since what slows them multiplies. Newer runs
//! count more. Knows nothing of derivations.

use serde::{Deserialize, Serialize};

/// Past runs beyond so many count as that many.
const MEMORY: u8 = 8;

/// Steps of a stored logarithm.
const UNIT: f64 = 1024.0;

/// The spread of a task's time about its own mean where nothing is known of it: a factor of 1.35.
pub const USUAL_SPREAD: f64 = 0.3;

/// Mean and variance of the logarithms of positive quantities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    runs: u8,
    mean: u16,
    variance: u16,
}

/// A log-normal distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogNormal {
    /// The logarithm's mean.
    pub mean: f64,
    /// Its standard deviation.
    pub spread: f64,
}

/// The logarithm of a time in milliseconds; none takes less than one.
pub fn log_ms(ms: u64) -> f64 {
    (ms.max(1) as f64).ln()
}

impl Pace {
    /// Another one, by its logarithm, which is between 0 and 60.
    pub fn add(&mut self, log: f64) {
        self.runs = (self.runs + 1).min(MEMORY);
        let weight = 1.0 / f64::from(self.runs);
        let off = log - self.mean();
        let variance = (1.0 - weight) * (self.variance() + weight * off * off);
        self.mean = ((self.mean() + weight * off) * UNIT).round().clamp(0.0, 65535.0) as u16;
        self.variance = (variance * UNIT).round().clamp(0.0, 65535.0) as u16;
    }

    /// How many there were, a few at most.
    pub fn runs(self) -> u8 {
        self.runs
    }

    /// The mean of the logarithms.
    pub fn mean(self) -> f64 {
        f64::from(self.mean) / UNIT
    }

    fn variance(self) -> f64 {
        f64::from(self.variance) / UNIT
    }

    /// What the next one will be like, if there was one. `usual` is the spread to expect of it,
    /// which its own few runs say little about.
    pub fn next(self, usual: f64) -> Option<LogNormal> {
        (self.runs > 0).then(|| {
            let runs = f64::from(self.runs);
            let variance = (self.variance() * runs + usual * usual * 2.0) / (runs + 2.0);
            LogNormal { mean: self.mean(), spread: (variance * (1.0 + 1.0 / runs)).sqrt() }
        })
    }
}

impl LogNormal {
    /// The median in milliseconds.
    pub fn median_ms(self) -> u64 {
        self.mean.exp().round() as u64
    }

    /// The value that lies `z` standard deviations above the median.
    pub fn at(self, z: f64) -> f64 {
        (self.mean + self.spread * z).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_follows_newer_runs_and_the_spread_their_scatter() {
        let mut pace = Pace::default();
        assert_eq!(pace.next(0.3), None);
        pace.add(log_ms(1000));
        let first = pace.next(0.3).expect("one run");
        assert!((990..1010).contains(&first.median_ms()), "{first:?}");
        (0..20).for_each(|_| pace.add(log_ms(1000)));
        let steady = pace.next(0.3).expect("many runs");
        assert!(steady.spread < first.spread, "{steady:?}");
        (0..8).for_each(|_| pace.add(log_ms(4000)));
        let slower = pace.next(0.3).expect("many runs");
        assert!(slower.median_ms() > 2200 && slower.spread > steady.spread, "{slower:?}");
        assert_eq!(log_ms(0), 0.0);
    }
}
