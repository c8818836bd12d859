//! How often something happened, in a few bytes: counts that forget, and the estimate that a few
//! counts and a general experience give together. Knows nothing of derivations.

use serde::{Deserialize, Serialize};

/// One observation in the units of the counts.
const ONE: f64 = 256.0;

/// How much of the former counts stays with each new observation: what happened last counts most,
/// and no more than twenty observations count at all.
const KEPT: f64 = 0.95;

/// Counts of what happened and what did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Odds {
    yes: u16,
    no: u16,
}

impl Odds {
    /// Another observation.
    pub fn add(&mut self, happened: bool) {
        let fade = |count: u16| (f64::from(count) * KEPT).round();
        let (yes, no) = (fade(self.yes), fade(self.no));
        // At most ONE / (1 - KEPT), which is 5,120.
        self.yes = (yes + if happened { ONE } else { 0.0 }) as u16;
        self.no = (no + if happened { 0.0 } else { ONE }) as u16;
    }

    /// The mean of the Beta distribution that these counts make of one with the mean `prior` that
    /// is worth `strength` observations.
    pub fn mean(self, prior: f64, strength: f64) -> f64 {
        let (yes, no) = (f64::from(self.yes) / ONE, f64::from(self.no) / ONE);
        (yes + prior * strength) / (yes + no + strength)
    }

    /// What was observed of others, where these are part of it.
    pub fn without(self, part: Odds) -> Odds {
        Odds { yes: self.yes.saturating_sub(part.yes), no: self.no.saturating_sub(part.no) }
    }

    /// How many observations there are, faded ones in part: (those that happened, all).
    pub fn counts(self) -> (f64, f64) {
        let yes = f64::from(self.yes) / ONE;
        (yes, yes + f64::from(self.no) / ONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_move_the_mean_and_fade() {
        let mut odds = Odds::default();
        assert_eq!(odds.mean(0.3, 2.0), 0.3);
        odds.add(true);
        odds.add(true);
        let sure = odds.mean(0.3, 2.0);
        assert!((0.6..0.7).contains(&sure), "{sure}");
        (0..200).for_each(|_| odds.add(false));
        let (yes, all) = odds.counts();
        assert!(yes < 0.1 && (19.0..20.5).contains(&all), "{yes} of {all}");
        (0..3).for_each(|_| odds.add(true));
        assert!(odds.mean(0.5, 1.0) > 0.1, "what happened last counts most");
    }
}
