//! Figures of repeated measurements: the median and an interval for it. Knows no study.

use std::fmt;

/// The median of several measurements and where it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// The least value of the interval.
    pub low: f64,
    /// The greatest.
    pub high: f64,
    /// How many were measured.
    pub runs: usize,
}

/// The median, and the interval that holds the true one with at least 95 %: between two of the sorted values, whichever
/// distribution they are from (the binomial argument of Conover, Practical Nonparametric Statistics, section 3.2). Fewer
/// than six values cannot give one; then it is all that was seen. `None` of no values.
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    let runs = sorted.len();
    let median = f64::midpoint(sorted[(runs - 1) / 2], sorted[runs / 2]);
    let (low, high) = match outer(runs) {
        Some(at) => (sorted[at], sorted[runs - 1 - at]),
        None => (first, last),
    };
    Some(Estimate { median, low, high, runs })
}

/// How many values may be left out at either end, so that the rest holds the median with 95 %: the largest k for which a
/// fair coin shows at most k heads of `runs` with at most 2.5 %, less what must stay.
fn outer(runs: usize) -> Option<usize> {
    let mut term = 0.5f64.powi(i32::try_from(runs).ok()?);
    let mut sum = 0.0;
    let mut fits = None;
    for k in 0..runs {
        sum += term;
        if sum > 0.025 {
            break;
        }
        fits = Some(k);
        term *= (runs - k) as f64 / (k + 1) as f64;
    }
    fits
}

/// Wilson's interval for a share, with 95 %: `of` trials, `hits` of which did (Wilson 1927).
pub fn share(hits: usize, of: usize) -> Option<(f64, f64)> {
    if of == 0 {
        return None;
    }
    let (n, p, z) = (of as f64, hits as f64 / of as f64, 1.96f64);
    let middle = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + z * z / n;
    Some((((middle - half) / whole).max(0.0), ((middle + half) / whole).min(1.0)))
}

/// The geometric mean of ratios; `None` of none, or when one is not above zero.
pub fn geometric_mean(ratios: &[f64]) -> Option<f64> {
    let logs: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (!ratios.is_empty() && logs.is_finite()).then(|| (logs / ratios.len() as f64).exp())
}

/// Milliseconds as a reader wants them.
pub fn duration(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms if ms < 10_000.0 => format!("{:.2} s", ms / 1e3),
        ms if ms < 120_000.0 => format!("{:.1} s", ms / 1e3),
        ms => format!("{:.1} min", ms / 60e3),
    }
}

/// A whole number with its thousands told apart.
pub fn whole(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = if number < 0.0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Estimate {
    /// As a duration: the median, and the interval where there is more than one run.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.runs {
            1 => write!(out, "{}", duration(self.median)),
            _ => write!(
                out,
                "{} ({} to {})",
                duration(self.median),
                duration(self.low),
                duration(self.high)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        // n, and how many are left out at either end for 95 %: the sign test's critical values.
        for (runs, out) in [
            (5, None),
            (6, Some(0)),
            (8, Some(0)),
            (9, Some(1)),
            (12, Some(2)),
            (20, Some(5)),
            (30, Some(9)),
        ] {
            assert_eq!(outer(runs), out, "{runs}");
        }
    }

    #[test]
    fn few_values_give_their_range() {
        let of = estimate(&[3.0, 1.0, 2.0]).expect("three");
        assert_eq!(of, Estimate { median: 2.0, low: 1.0, high: 3.0, runs: 3 });
        assert_eq!(estimate(&[]), None);
        assert_eq!(of.to_string(), "2.0 ms (1.0 ms to 3.0 ms)");
    }

    #[test]
    fn shares_have_wilsons_interval() {
        let (low, high) = share(9, 10).expect("ten");
        assert!((low - 0.596).abs() < 0.001 && (high - 0.982).abs() < 0.001, "{low} {high}");
        assert_eq!(share(0, 0), None);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(whole(1_234_567.0), "1,234,567");
        assert_eq!(whole(-12.0), "-12");
        assert_eq!(
            [duration(3.21), duration(321.0), duration(3_210.0), duration(600e3)],
            ["3.2 ms", "321 ms", "3.21 s", "10.0 min"]
        );
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_median(values in prop::collection::vec(0.0..1e6f64, 1..60)) {
            let of = estimate(&values).expect("some");
            prop_assert!(of.low <= of.median && of.median <= of.high);
            let below = values.iter().filter(|&&value| value < of.low).count();
            let above = values.iter().filter(|&&value| value > of.high).count();
            prop_assert!(2 * below < values.len() && 2 * above < values.len());
        }
    }
}
