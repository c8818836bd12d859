//! What stands around a byte of a file, as far as it is text. Knows files and no builds.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// How many bytes before and after are looked at.
const AROUND: usize = 40;

/// Whether a time of day stands around a byte of both files; never where there is no such byte.
///
/// # Errors
/// A file cannot be read.
pub fn time_at(files: [&Path; 2], byte: Option<u64>) -> Result<bool> {
    let Some(byte) = byte else { return Ok(false) };
    for file in files {
        if file.is_symlink() {
            return Ok(false);
        }
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let at = usize::try_from(byte)?.min(bytes.len());
        let around = &bytes[at.saturating_sub(AROUND)..bytes.len().min(at + AROUND)];
        if !holds_time(around) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether hours, minutes and seconds stand there with colons between.
fn holds_time(text: &[u8]) -> bool {
    text.windows(8).any(|of| {
        of.iter().enumerate().all(|(at, byte)| match at {
            2 | 5 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_seen_where_it_stands() {
        let place = tempfile::tempdir().expect("a directory");
        let told = |texts: [&str; 2], byte| {
            let files = [place.path().join("a"), place.path().join("b")];
            for (file, text) in files.iter().zip(texts) {
                fs::write(file, text).expect("written");
            }
            time_at([&files[0], &files[1]], byte).expect("read")
        };
        let built = ["built on: Fri Nov 27 20:12:25 2026", "built on: Fri Nov 27 20:13:02 2026"];
        assert!(told(built, Some(25)));
        assert!(!told(built, None));
        assert!(!told(["20:12:25", "20:1"], Some(4)));
        assert!(!told(["1:2:3 and 12:34", "12345678"], Some(0)));
    }
}
