//! "Did you mean": names close to one that is missing. By edit distance, as C++ Nix does.

const MAX_SUGGESTIONS: usize = 5;
const MAX_DISTANCE: usize = 2;
/// Nobody mistypes a longer name, and comparing takes the square of the length.
const MAX_LEN: usize = 256;

/// The hint to append to a message, or nothing.
pub(crate) fn did_you_mean<'a>(name: &[u8], candidates: impl Iterator<Item = &'a [u8]>) -> String {
    within(MAX_DISTANCE, name, candidates)
}

/// The same among so many names that only those count of which half is right.
pub(crate) fn did_you_mean_half<'a>(
    name: &[u8],
    candidates: impl Iterator<Item = &'a [u8]>,
) -> String {
    within(MAX_DISTANCE.min(name.len() / 2), name, candidates)
}

fn within<'a>(max: usize, name: &[u8], candidates: impl Iterator<Item = &'a [u8]>) -> String {
    if name.len() > MAX_LEN {
        return String::new();
    }
    let mut close: Vec<(usize, &[u8])> = candidates
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= max)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= max)
        .collect();
    close.sort_unstable();
    close.truncate(MAX_SUGGESTIONS);
    let close: Vec<_> = close.iter().map(|(_, name)| String::from_utf8_lossy(name)).collect();
    match &close[..] {
        [] => String::new(),
        [one] => format!("\nDid you mean {one}?"),
        [before @ .., last] => format!("\nDid you mean one of {} or {last}?", before.join(", ")),
    }
}

fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names() {
        let names = ["foo", "bar", "foot"].map(str::as_bytes);
        assert_eq!(did_you_mean(b"fop", names.into_iter()), "\nDid you mean one of foo or foot?");
        assert_eq!(did_you_mean(b"zzzzzz", names.into_iter()), "");
    }
}
