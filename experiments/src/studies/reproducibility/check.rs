//! What `floe build --check` says of derivations that came out otherwise. Reads text; runs nothing.

/// A derivation that floe found not to be deterministic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// The first file that differs, relative to the output; empty where the output is that file.
    pub file: String,
}

/// Everything that floe found, in its order.
pub fn found(said: &str) -> Vec<Found> {
    said.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Found> {
    let (_, rest) = line.split_once("error: '")?;
    let (name, rest) = rest.split_once("' is not deterministic: ")?;
    let (_, place) = rest.split_once(", first")?;
    let file = place.strip_prefix(" in ").unwrap_or_default();
    let file = file.rsplit_once(" at byte ").map_or(file, |(file, _)| file);
    Some(Found { name: name.to_owned(), file: file.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_read() {
        let said = "floe: building\n\
            error: 'specimen-date' is not deterministic: made again from the same inputs, its output 'out' differs from \
            /nix/store/0c1-specimen-date, first in date.o at byte 64\n  before: /a\n  now: /b\n\
            error: 'x' is not deterministic: made again from the same inputs, its output 'out' differs from /nix/store/y, first at byte 3\n\
            error: something else\n";
        let told: Vec<(String, String)> =
            found(said).into_iter().map(|of| (of.name, of.file)).collect();
        assert_eq!(
            told,
            [("specimen-date".to_owned(), "date.o".to_owned()), ("x".to_owned(), String::new())]
        );
    }
}
