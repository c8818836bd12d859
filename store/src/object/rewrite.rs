//! Replacing digests in a stream by others of the same length, and hashing a stream *modulo*
//! the digest of the object itself. Bytes in, bytes out: no file is touched here.

use std::io::{self, Write};

use floe_core::hash::{Hash, HashAlgo, Hasher};

use super::scan::{Digits, LEN, Needles};

/// Which digest becomes which.
#[derive(Debug, Clone)]
pub struct Rewrites {
    needles: Needles,
    to: Vec<Digits>,
}

impl Rewrites {
    /// Pairs of old and new digits; the first pair of equal old ones counts.
    pub fn new(pairs: impl IntoIterator<Item = (Digits, Digits)>) -> Rewrites {
        let (from, to): (Vec<_>, Vec<_>) =
            pairs.into_iter().filter(|(from, to)| from != to).unzip();
        Rewrites { needles: Needles::new(from), to }
    }

    /// Whether nothing would be replaced.
    pub fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// The digests searched for.
    pub fn needles(&self) -> &Needles {
        &self.needles
    }

    /// Replaces within one piece, in place, and tells where each occurrence starts.
    fn apply(&self, data: &mut [u8], mut each: impl FnMut(usize, usize)) {
        let mut from = 0;
        while let Some((at, which)) = self.needles.find(data, from) {
            data[at..at + LEN].copy_from_slice(&self.to[which]);
            each(at, which);
            from = at + LEN;
        }
    }

    /// A whole text with its digests replaced.
    pub fn of(&self, text: &[u8]) -> Vec<u8> {
        let mut text = text.to_owned();
        self.apply(&mut text, |_, _| {});
        text
    }
}

/// A stream whose digests are replaced on their way into `W`. End it with
/// [`Rewriter::finish`].
pub struct Rewriter<'a, W> {
    rewrites: &'a Rewrites,
    out: W,
    /// Bytes that may be the start of a digest, at most 31.
    held: Vec<u8>,
    /// Place in the stream of the first byte held.
    at: u64,
    /// Occurrences of the needle that is counted.
    counted: Option<usize>,
    places: Vec<u64>,
}

impl<'a, W: Write> Rewriter<'a, W> {
    /// Rewrites into `out`.
    pub fn new(rewrites: &'a Rewrites, out: W) -> Rewriter<'a, W> {
        Rewriter { rewrites, out, held: Vec::new(), at: 0, counted: None, places: Vec::new() }
    }

    /// Writes what is still held and gives back the stream below.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&self.held)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Rewriter<'_, W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.rewrites.is_empty() {
            self.out.write_all(data)?;
            return Ok(data.len());
        }
        self.held.extend_from_slice(data);
        let (at, counted, places) = (self.at, self.counted, &mut self.places);
        let mut replaced_to = 0;
        self.rewrites.apply(&mut self.held, |place, which| {
            replaced_to = place + LEN;
            if counted == Some(which) {
                places.push(at + place as u64);
            }
        });
        // What was put in must not be taken for the start of another digest.
        let ready = self.held.len().saturating_sub(LEN - 1).max(replaced_to);
        self.out.write_all(&self.held[..ready])?;
        self.held.drain(..ready);
        self.at += ready as u64;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A hash of a stream in which the object's own digest counts as zeros, and its places are
/// hashed after the end; other digests are replaced on the way. Exactly Nix's.
pub struct ModuloHasher<'a>(Rewriter<'a, Hasher>);

/// The rewrites for a [`ModuloHasher`]: the object's own digest to zeros, others as given.
pub fn modulo_rewrites(this: Digits, others: &[(Digits, Digits)]) -> Rewrites {
    Rewrites::new([(this, [0; LEN])].into_iter().chain(others.iter().copied()))
}

impl<'a> ModuloHasher<'a> {
    /// `rewrites` comes from [`modulo_rewrites`].
    pub fn new(rewrites: &'a Rewrites, algo: HashAlgo) -> ModuloHasher<'a> {
        let mut rewriter = Rewriter::new(rewrites, Hasher::new(algo));
        rewriter.counted = Some(0);
        ModuloHasher(rewriter)
    }

    /// The hash of all that was written.
    pub fn finish(mut self) -> io::Result<Hash> {
        let places = std::mem::take(&mut self.0.places);
        let mut hasher = self.0.finish()?;
        for place in places {
            hasher.update(format!("|{place}").as_bytes());
        }
        Ok(hasher.finish())
    }
}

impl Write for ModuloHasher<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SELF: Digits = *b"0123456789abcdfghijklmnpqrsvwxyz";
    const OTHER: Digits = *b"zyxwvsrqpnmlkjihgfdcba9876543210";
    const FINAL: Digits = [b'f'; LEN];

    proptest! {
        #[test]
        fn pieces_change_nothing(parts in prop::collection::vec(0..4usize, 0..9), step in 1..50usize) {
            let choices: [&[u8]; 4] = [&SELF, &OTHER, b"01234", &SELF[..20]];
            let data: Vec<u8> = parts.iter().flat_map(|&part| choices[part]).copied().collect();
            let rewrites = modulo_rewrites(SELF, &[(OTHER, FINAL)]);
            let mut rewriter = Rewriter::new(&rewrites, Vec::new());
            let mut hasher = ModuloHasher::new(&rewrites, HashAlgo::Sha256);
            for chunk in data.chunks(step) {
                rewriter.write_all(chunk).unwrap();
                hasher.write_all(chunk).unwrap();
            }
            let (mut expect, mut places) = (Vec::new(), String::new());
            for part in parts {
                match part {
                    0 => {
                        places += &format!("|{}", expect.len());
                        expect.extend([0; LEN]);
                    }
                    1 => expect.extend(FINAL),
                    other => expect.extend_from_slice(choices[other]),
                }
            }
            prop_assert_eq!(&rewriter.finish().unwrap(), &expect);
            prop_assert_eq!(&rewrites.of(&data), &expect);
            expect.extend(places.into_bytes());
            prop_assert_eq!(hasher.finish().unwrap(), Hash::of(HashAlgo::Sha256, &expect));
        }
    }
}
