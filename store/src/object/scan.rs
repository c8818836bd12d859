//! Finding references: which of many 32-digit digests occur in a stream of bytes. Nothing is
//! known here of what the digests name.

use std::collections::HashMap;
use std::io;

/// Digits of a store path's digest.
pub const LEN: usize = 32;

/// The digits of a digest, as they stand in paths.
pub type Digits = [u8; LEN];

/// The bytes that may stand in a digest.
const IS_DIGIT: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = floe_core::base32::is_digit(byte as u8);
        byte += 1;
    }
    table
};

/// A set of digests that can be searched for quickly.
#[derive(Debug, Clone)]
pub struct Needles {
    index: HashMap<Digits, usize>,
    /// One bit for every hash of a needle's first eight digits: most windows stop here.
    filter: Box<[u64; 1024]>,
}

impl Needles {
    /// The set of these digests; each is known by its place in the sequence.
    pub fn new(needles: impl IntoIterator<Item = Digits>) -> Needles {
        let mut this = Needles { index: HashMap::new(), filter: Box::new([0; 1024]) };
        for (at, needle) in needles.into_iter().enumerate() {
            let bit = filter_bit(&needle);
            this.filter[bit / 64] |= 1 << (bit % 64);
            this.index.entry(needle).or_insert(at);
        }
        this
    }

    /// Whether there is nothing to search for.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The first occurrence at or after `from`: where it starts, and which needle it is.
    ///
    /// A window that ends in a byte outside the alphabet rules out every window across that
    /// byte, so most of a binary is never looked at.
    pub fn find(&self, data: &[u8], from: usize) -> Option<(usize, usize)> {
        if self.is_empty() {
            return None;
        }
        let mut start = from;
        // How many bytes at the window's start are known to be digits.
        let mut known = 0;
        'windows: while let Some(window) = data.get(start..start + LEN) {
            let mut at = LEN;
            while at > known {
                at -= 1;
                if !IS_DIGIT[usize::from(window[at])] {
                    start += at + 1;
                    known = 0;
                    continue 'windows;
                }
            }
            let digits: &Digits = window.try_into().expect("a window has 32 bytes");
            let bit = filter_bit(digits);
            if self.filter[bit / 64] >> (bit % 64) & 1 == 1
                && let Some(&which) = self.index.get(digits)
            {
                return Some((start, which));
            }
            start += 1;
            known = LEN - 1;
        }
        None
    }
}

fn filter_bit(digits: &Digits) -> usize {
    let head = u64::from_le_bytes(digits[..8].try_into().expect("eight digits"));
    (head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
}

/// Searches a stream that comes in pieces of any size; also an [`io::Write`].
#[derive(Debug)]
pub struct Scanner<'a> {
    needles: &'a Needles,
    found: Vec<bool>,
    /// Needles before this one are counted.
    counted: usize,
    hits: u64,
    /// The last bytes seen, at most 31.
    tail: Vec<u8>,
}

impl<'a> Scanner<'a> {
    /// Nothing found yet; occurrences of the first `counted` needles will be counted.
    pub fn new(needles: &'a Needles, counted: usize) -> Scanner<'a> {
        let found = vec![false; needles.index.values().max().map_or(0, |last| last + 1)];
        Scanner { needles, found, counted, hits: 0, tail: Vec::with_capacity(2 * LEN) }
    }

    /// Searches the next piece.
    pub fn scan(&mut self, data: &[u8]) {
        if self.needles.is_empty() || data.is_empty() {
            return;
        }
        let kept = self.tail.len();
        if kept > 0 {
            // Windows that start in the tail.
            self.tail.extend_from_slice(&data[..data.len().min(LEN - 1)]);
            let mut from = 0;
            while let Some((at, which)) = self.needles.find(&self.tail, from) {
                if at >= kept {
                    break;
                }
                self.hit(which);
                from = at + 1;
            }
            self.tail.truncate(kept);
        }
        let mut from = 0;
        while let Some((at, which)) = self.needles.find(data, from) {
            self.hit(which);
            from = at + 1;
        }
        if data.len() >= LEN - 1 {
            self.tail.clear();
            self.tail.extend_from_slice(&data[data.len() - (LEN - 1)..]);
        } else {
            let surplus = (kept + data.len()).saturating_sub(LEN - 1);
            self.tail.drain(..surplus);
            self.tail.extend_from_slice(data);
        }
    }

    fn hit(&mut self, which: usize) {
        self.found[which] = true;
        self.hits += u64::from(which < self.counted);
    }

    /// Occurrences so far of the needles that are counted.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// For each needle, whether it occurred.
    pub fn found(&self) -> &[bool] {
        &self.found
    }
}

impl io::Write for Scanner<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.scan(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces() -> impl Strategy<Value = (Vec<Digits>, Vec<Vec<u8>>)> {
        // Few digits, so that near misses and overlaps happen.
        let digits = || prop::array::uniform32(prop::sample::select(&b"0ab"[..]));
        prop::collection::vec(digits(), 0..5).prop_flat_map(move |needles| {
            let one = if needles.is_empty() {
                digits().prop_map(Vec::from).boxed()
            } else {
                prop::sample::select(needles.clone()).prop_map(Vec::from).boxed()
            };
            let noise = prop::collection::vec(prop::sample::select(&b"0abeE\0/"[..]), 0..70);
            let near = one.clone().prop_map(|needle| needle[1..].to_vec());
            let part = prop_oneof![one, near, noise];
            (Just(needles), prop::collection::vec(part, 0..8))
        })
    }

    proptest! {
        #[test]
        fn same_as_a_naive_search((needles, parts) in pieces(), cuts: Vec<prop::sample::Index>) {
            let data = parts.concat();
            let set = Needles::new(needles.iter().copied());
            let mut scanner = Scanner::new(&set, usize::MAX);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(data.len() + 1)).collect();
            cuts.extend([0, data.len()]);
            cuts.sort_unstable();
            for pair in cuts.windows(2) {
                scanner.scan(&data[pair[0]..pair[1]]);
            }
            let hits = data.windows(LEN).filter(|window| needles.iter().any(|needle| needle == window));
            prop_assert_eq!(scanner.hits(), hits.count() as u64);
            for needle in &needles {
                let first = needles.iter().position(|other| other == needle).unwrap();
                let expect = data.windows(LEN).any(|window| window == needle);
                prop_assert_eq!(scanner.found()[first], expect);
            }
        }
    }
}
