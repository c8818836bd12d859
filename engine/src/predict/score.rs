//! The account of predictions: each that could have failed is compared with what came of it, and
//! with what somebody would have said who knows nothing but how often things ran before. Every
//! forecast was made before the request it is about was learnt from (prequential: Dawid, JRSS A
//! 1984), so none was fitted to what it is measured by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::book::Key;
use super::pace::{LogNormal, Pace};

/// Bins of the reliability table.
pub const BINS: usize = 10;

/// Places that the frequencies of single tasks are kept in; tasks beyond share some.
const PLACES: u16 = 4096;

/// So many of the last errors of expected times are kept.
const ERRORS: usize = 64;

/// Predictions of about the same probability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// How many.
    pub count: u64,
    /// The sum of what was said.
    pub said: f64,
    /// How many ran.
    pub ran: u64,
}

/// What came of one prediction.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Whose.
    pub task: Key,
    /// The probability that was given.
    pub said: f64,
    /// Whether it ran.
    pub ran: bool,
}

/// How well the expected times of requests went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Requests whose time was expected.
    pub requests: u64,
    /// Those that lay inside their interval.
    pub inside: u64,
    /// By how much the last ones were off, in thousandths of what they took.
    errors: Vec<u32>,
    /// By which factor requests took longer than their builders laid out, as logarithms above
    /// [`Times::SHIFT`].
    excess: Pace,
    /// The squares of how far builders were off their own means, as logarithms.
    scatter: f32,
}

impl Times {
    /// Added to logarithms of factors, which may be negative.
    const SHIFT: f64 = 10.0;

    /// By which factor a request takes longer than its builders laid out.
    pub fn excess(&self) -> LogNormal {
        let none = LogNormal { mean: 0.0, spread: 0.2 };
        self.excess.next(0.2).map_or(none, |log| LogNormal { mean: log.mean - Self::SHIFT, ..log })
    }

    /// The usual spread of a task's time about its own mean.
    pub fn spread(&self) -> f64 {
        match f64::from(self.scatter) {
            0.0 => super::pace::USUAL_SPREAD,
            scatter => scatter.sqrt().clamp(0.02, 1.0),
        }
    }

    /// A builder's time was so far off its own mean, in logarithms.
    pub fn scattered(&mut self, off: f64) {
        let usual = self.spread().powi(2);
        self.scatter = (0.95 * usual + 0.05 * (off * off).min(1.0)) as f32;
    }

    /// A request took so long; low, median and high were expected, and `plain` were all builders
    /// to take what they take in the middle.
    pub fn add(&mut self, took_ms: u64, expected: [u64; 3], plain_ms: u64) {
        let [low, median, high] = expected;
        self.requests += 1;
        self.inside += u64::from((low..=high).contains(&took_ms));
        let took = took_ms.max(1);
        let off = took.abs_diff(median).saturating_mul(1000) / took;
        if self.errors.len() >= ERRORS {
            self.errors.remove(0);
        }
        self.errors.push(u32::try_from(off).unwrap_or(u32::MAX));
        let factor = (took as f64 / plain_ms.max(1) as f64).ln();
        self.excess.add((factor + Self::SHIFT).clamp(0.0, 2.0 * Self::SHIFT));
    }

    /// The median of the last relative errors.
    pub fn median_error(&self) -> Option<f64> {
        let mut errors = self.errors.clone();
        errors.sort_unstable();
        errors.get(errors.len() / 2).map(|error| f64::from(*error) / 1000.0)
    }
}

/// The account. Certain predictions are counted apart, since they would flatter it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Requests that were scored.
    pub requests: u64,
    /// Predictions that were neither certain to run nor known to stand.
    pub count: u64,
    /// How many of them ran.
    pub ran: u64,
    /// Sums of squared errors: of what was said.
    said: f64,
    /// Of the frequency of running over all earlier ones.
    base: f64,
    /// Of each task's own frequency.
    task: f64,
    /// The reliability table.
    pub bins: [Bin; BINS],
    /// Those that were said to run certainly.
    pub certain: u64,
    /// How many of these did.
    pub certain_ran: u64,
    /// Expected times.
    pub times: Times,
    /// How often each task ran when it might: (ran, all).
    tasks: BTreeMap<u16, (u16, u16)>,
}

impl Scores {
    /// The cases of one request.
    pub fn add(&mut self, cases: &[Case]) {
        if cases.is_empty() {
            return;
        }
        // What is compared with may know earlier requests only, as the prediction did.
        let base = (self.ran as f64 + 0.5) / (self.count as f64 + 1.0);
        self.requests += 1;
        let frequencies: Vec<f64> = cases.iter().map(|case| self.frequency(case, base)).collect();
        for (case, task) in cases.iter().zip(frequencies) {
            let truth = f64::from(u8::from(case.ran));
            self.said += (case.said - truth).powi(2);
            self.base += (base - truth).powi(2);
            self.task += (task - truth).powi(2);
            self.count += 1;
            self.ran += u64::from(case.ran);
            let bin = ((case.said * BINS as f64) as usize).min(BINS - 1);
            self.bins[bin].count += 1;
            self.bins[bin].said += case.said;
            self.bins[bin].ran += u64::from(case.ran);
            self.remember(case);
        }
    }

    /// How often this task ran when it might, beginning with the base rate.
    fn frequency(&self, case: &Case, base: f64) -> f64 {
        let (ran, all) = self.tasks.get(&case.task.place(PLACES)).copied().unwrap_or_default();
        (f64::from(ran) + base) / (f64::from(all) + 1.0)
    }

    fn remember(&mut self, case: &Case) {
        let (ran, all) = self.tasks.entry(case.task.place(PLACES)).or_default();
        if *all == u16::MAX {
            (*ran, *all) = (*ran / 2, *all / 2);
        }
        *ran += u16::from(case.ran);
        *all += 1;
    }

    /// The mean squared error of what was said (Brier, Monthly Weather Review 1950): 0 is perfect.
    pub fn brier(&self) -> Option<f64> {
        self.mean(self.said)
    }

    /// That of the base rate.
    pub fn base_brier(&self) -> Option<f64> {
        self.mean(self.base)
    }

    /// That of each task's own frequency.
    pub fn task_brier(&self) -> Option<f64> {
        self.mean(self.task)
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        (self.count > 0).then(|| sum / self.count as f64)
    }

    /// Whether the figures can be what they say.
    pub(super) fn is_sound(&self) -> bool {
        let sums = [self.said, self.base, self.task];
        let possible = |sum: &f64| (0.0..=self.count as f64).contains(sum);
        sums.iter().all(possible) && self.ran <= self.count && self.times.scatter.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(said: f64, ran: bool) -> Case {
        Case { task: Key::of_name("one"), said, ran }
    }

    #[test]
    fn squared_errors_are_those_of_forecasts_made_before() {
        let mut scores = Scores::default();
        assert_eq!((scores.brier(), scores.base_brier()), (None, None));
        scores.add(&[]);
        assert_eq!(scores.requests, 0, "nothing was uncertain");
        scores.add(&[case(0.8, true), case(0.4, false)]);
        let near =
            |value: Option<f64>, expected: f64| (value.expect("some") - expected).abs() < 1e-9;
        assert!(near(scores.brier(), (0.04 + 0.16) / 2.0), "{scores:?}");
        assert!(near(scores.base_brier(), 0.25), "nothing was known: {scores:?}");
        scores.add(&[case(1.0, true)]);
        // One of two ran before, and the base rate was worth half an observation.
        assert!(near(scores.base_brier(), (0.25 * 2.0 + 0.25) / 3.0), "{scores:?}");
        assert_eq!((scores.count, scores.ran, scores.requests), (3, 2, 2));
        assert_eq!((scores.bins[8].count, scores.bins[4].count, scores.bins[9].ran), (1, 1, 1));
        assert!(scores.is_sound());
        assert!(!Scores { said: f64::NAN, ..scores.clone() }.is_sound());
        assert!(!Scores { base: 9.0, ..scores }.is_sound());
    }

    #[test]
    fn times_learn_what_requests_take_beyond_their_builders() {
        let mut times = Times::default();
        assert_eq!(times.median_error(), None);
        for _ in 0..100 {
            times.add(1500, [900, 1000, 1100], 1000);
        }
        assert_eq!((times.requests, times.inside), (100, 0));
        assert!((times.median_error().expect("some") - 0.333).abs() < 0.01);
        let excess = times.excess();
        assert!((excess.mean.exp() - 1.5).abs() < 0.02, "{excess:?}");
        times.add(1500, [1000, 1500, 2000], 1000);
        assert_eq!(times.inside, 1);
    }
}
