//! Times and counts in words, alike in every form for people.

use std::time::Duration;

use super::scene::Counts;

/// How many names are told of many.
const TOLD: usize = 5;

/// A time that something took: `0.4 s`, `75.0 s`.
pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// A time in whole units, as short as can be: `4 s`, `1 min 5 s`, `2 h 3 min`.
pub fn rough(time: Duration) -> String {
    let s = time.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s / 60 % 60),
    }
}

/// A few of many names.
pub fn some<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let count = names.len();
    let told = names.take(TOLD).collect::<Vec<_>>().join(", ");
    match count.saturating_sub(TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// What became of a request, in one line.
pub fn summary(counts: Counts, time: Duration) -> String {
    let Counts { built, failed, cut_off, reused } = counts;
    let part = |count: usize, what: &str| match count {
        0 => String::new(),
        count => format!(", {count} {what}"),
    };
    let (failed, cut_off) = (part(failed, "failed"), part(cut_off, "cut off"));
    let reused = part(reused, "reused");
    format!("floe: {built} built{failed}{cut_off}{reused} in {}", seconds(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_names_are_short() {
        let rough = |s| rough(Duration::from_secs(s));
        assert_eq!((rough(0), rough(59)), ("0 s".to_owned(), "59 s".to_owned()));
        assert_eq!((rough(65), rough(7400)), ("1 min 5 s".to_owned(), "2 h 3 min".to_owned()));
        assert_eq!(some(["a", "b"].into_iter()), "a, b");
        assert_eq!(some(["x"; 9].into_iter()), "x, x, x, x, x and 4 more");
    }
}
