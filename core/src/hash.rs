//! Digests of bytes in the algorithms that Nix knows, and every text form of them that Nix
//! reads or writes. No file is read here: callers feed a [`Hasher`].

use std::fmt;
use std::io;

use md5::Digest as _;
use serde::{Deserialize, Serialize};

use crate::base32;

/// A hash algorithm that Nix knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HashAlgo {
    /// MD5; only to check what others publish.
    Md5,
    /// SHA-1; only to check what others publish.
    Sha1,
    /// SHA-256, which names store paths.
    Sha256,
    /// SHA-512.
    Sha512,
    /// BLAKE3, 32 bytes.
    Blake3,
}

impl HashAlgo {
    /// Every algorithm.
    pub const ALL: [HashAlgo; 5] =
        [HashAlgo::Md5, HashAlgo::Sha1, HashAlgo::Sha256, HashAlgo::Sha512, HashAlgo::Blake3];

    /// Length of a digest in bytes.
    pub const fn size(self) -> usize {
        match self {
            HashAlgo::Md5 => 16,
            HashAlgo::Sha1 => 20,
            HashAlgo::Sha256 | HashAlgo::Blake3 => 32,
            HashAlgo::Sha512 => 64,
        }
    }

    /// Nix's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            HashAlgo::Md5 => "md5",
            HashAlgo::Sha1 => "sha1",
            HashAlgo::Sha256 => "sha256",
            HashAlgo::Sha512 => "sha512",
            HashAlgo::Blake3 => "blake3",
        }
    }

    /// The algorithm of that name.
    pub fn parse(name: &str) -> Result<HashAlgo, HashError> {
        HashAlgo::ALL
            .into_iter()
            .find(|algo| algo.name() == name)
            .ok_or_else(|| HashError::Algo { name: name.to_owned() })
    }
}

impl fmt::Display for HashAlgo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is no hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// An algorithm that Nix does not know.
    #[error(
        "unknown hash algorithm '{name}', expect 'blake3', 'md5', 'sha1', 'sha256' or 'sha512'"
    )]
    Algo {
        /// The name found.
        name: String,
    },
    /// Neither the text nor the context says which algorithm it is.
    #[error("hash '{text}' does not include a type, nor is the type otherwise known from context")]
    NoAlgo {
        /// The whole text.
        text: String,
    },
    /// The text says another algorithm than the context wants.
    #[error("hash '{text}' should have type '{expected}'")]
    OtherAlgo {
        /// The whole text.
        text: String,
        /// What the context wants.
        expected: HashAlgo,
    },
    /// Not as long as a digest of this algorithm is in any of the encodings.
    #[error("hash '{text}' has wrong length for hash algorithm '{algo}'")]
    Length {
        /// The digits.
        text: String,
        /// The algorithm.
        algo: HashAlgo,
    },
    /// A character that is no digit of the encoding which the length suggests.
    #[error("hash '{text}' is not valid {encoding}")]
    Digits {
        /// The digits.
        text: String,
        /// The encoding's name.
        encoding: &'static str,
    },
}

/// A digest with its algorithm.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash {
    algo: HashAlgo,
    bytes: [u8; 64],
}

impl Hash {
    /// The digest of `data`.
    pub fn of(algo: HashAlgo, data: &[u8]) -> Hash {
        let mut hasher = Hasher::new(algo);
        hasher.update(data);
        hasher.finish()
    }

    /// A digest computed elsewhere; `None` when the length is not the algorithm's.
    pub fn from_bytes(algo: HashAlgo, digest: &[u8]) -> Option<Hash> {
        if digest.len() != algo.size() {
            return None;
        }
        Some(Hash::copy_of(algo, digest))
    }

    /// The digest of all zeros: what Nix assumes for an empty hash.
    pub const fn zero(algo: HashAlgo) -> Hash {
        Hash { algo, bytes: [0; 64] }
    }

    fn copy_of(algo: HashAlgo, digest: &[u8]) -> Hash {
        let mut bytes = [0; 64];
        bytes[..digest.len()].copy_from_slice(digest);
        Hash { algo, bytes }
    }

    /// Which algorithm it is of.
    pub const fn algo(&self) -> HashAlgo {
        self.algo
    }

    /// The digest's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.algo.size()]
    }

    /// Hexadecimal digits, without the algorithm.
    pub fn base16(&self) -> String {
        base16_encode(self.bytes())
    }

    /// Nix's base 32, without the algorithm.
    pub fn base32(&self) -> String {
        base32::encode(self.bytes())
    }

    /// Base 64 with padding, without the algorithm.
    pub fn base64(&self) -> String {
        base64_encode(self.bytes())
    }

    /// The form of subresource integrity, `sha256-<base64>`.
    pub fn sri(&self) -> String {
        format!("{}-{}", self.algo, self.base64())
    }

    /// The digest folded to `size` bytes by exclusive or, as Nix does for store paths.
    pub fn fold<const SIZE: usize>(&self) -> [u8; SIZE] {
        let mut folded = [0; SIZE];
        for (at, byte) in self.bytes().iter().enumerate() {
            folded[at % SIZE] ^= byte;
        }
        folded
    }

    /// Reads any of Nix's forms: `algo:digits` (base 16, 32 or 64, told apart by length),
    /// `algo-base64`, or bare digits where `algo` is known.
    pub fn parse(text: &str, algo: Option<HashAlgo>) -> Result<Hash, HashError> {
        let (named, digits, sri) = match text.split_once(':') {
            Some((name, digits)) => (Some(HashAlgo::parse(name)?), digits, false),
            None => match text.split_once('-') {
                Some((name, digits)) => (Some(HashAlgo::parse(name)?), digits, true),
                None => (None, text, false),
            },
        };
        let algo = match (named, algo) {
            (None, None) => {
                return Err(HashError::NoAlgo { text: text.to_owned() });
            }
            (Some(named), Some(expected)) if named != expected => {
                return Err(HashError::OtherAlgo { text: text.to_owned(), expected });
            }
            (Some(algo), _) | (None, Some(algo)) => algo,
        };
        if sri { Hash::parse_base64(digits, algo) } else { Hash::parse_digits(digits, algo) }
    }

    /// Reads bare digits; their number tells the encoding.
    pub fn parse_digits(digits: &str, algo: HashAlgo) -> Result<Hash, HashError> {
        let size = algo.size();
        let wrong = |encoding| HashError::Digits { text: digits.to_owned(), encoding };
        if digits.len() == size * 2 {
            let bytes = base16_decode(digits).ok_or_else(|| wrong("base 16"))?;
            Ok(Hash::copy_of(algo, &bytes))
        } else if digits.len() == base32::encoded_len(size) {
            let bytes = base32::decode(digits).map_err(|_| wrong("base 32 of Nix"))?;
            Ok(Hash::copy_of(algo, &bytes))
        } else if digits.len() == size.div_ceil(3) * 4 {
            Hash::parse_base64(digits, algo)
        } else {
            Err(HashError::Length { text: digits.to_owned(), algo })
        }
    }

    fn parse_base64(digits: &str, algo: HashAlgo) -> Result<Hash, HashError> {
        let bytes = base64_decode(digits)
            .ok_or_else(|| HashError::Digits { text: digits.to_owned(), encoding: "base 64" })?;
        Hash::from_bytes(algo, &bytes)
            .ok_or_else(|| HashError::Length { text: digits.to_owned(), algo })
    }
}

/// `algo:base32`, Nix's usual form.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algo, self.base32())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(deserializer)?;
        Hash::parse(&text, None).map_err(serde::de::Error::custom)
    }
}

/// A digest in the making; also an [`io::Write`] that never fails.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// The digest of nothing yet.
    pub fn new(algo: HashAlgo) -> Hasher {
        Hasher(match algo {
            HashAlgo::Md5 => State::Md5(md5::Md5::new()),
            HashAlgo::Sha1 => State::Sha1(sha1::Sha1::new()),
            HashAlgo::Sha256 => State::Sha256(sha2::Sha256::new()),
            HashAlgo::Sha512 => State::Sha512(sha2::Sha512::new()),
            HashAlgo::Blake3 => State::Blake3(Box::default()),
        })
    }

    /// Takes in the next bytes.
    #[inline]
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Md5(state) => state.update(data),
            State::Sha1(state) => state.update(data),
            State::Sha256(state) => state.update(data),
            State::Sha512(state) => state.update(data),
            State::Blake3(state) => {
                state.update(data);
            }
        }
    }

    /// The digest of all that was taken in.
    pub fn finish(self) -> Hash {
        match self.0 {
            State::Md5(state) => Hash::copy_of(HashAlgo::Md5, &state.finalize()),
            State::Sha1(state) => Hash::copy_of(HashAlgo::Sha1, &state.finalize()),
            State::Sha256(state) => Hash::copy_of(HashAlgo::Sha256, &state.finalize()),
            State::Sha512(state) => Hash::copy_of(HashAlgo::Sha512, &state.finalize()),
            State::Blake3(state) => Hash::copy_of(HashAlgo::Blake3, state.finalize().as_bytes()),
        }
    }
}

impl io::Write for Hasher {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.update(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A BLAKE3 digest: floe's own key for files, trees and resolved derivations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of `data`.
    pub fn of(data: &[u8]) -> Digest {
        Digest(*blake3::hash(data).as_bytes())
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Hexadecimal digits.
    pub fn base16(&self) -> String {
        base16_encode(&self.0)
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Digest> {
        base16_decode(text)?.try_into().ok().map(Digest)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base16())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base16())
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Digest {
        Digest(*hash.as_bytes())
    }
}

fn base16_encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn base16_decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    digits.chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            if at <= chunk.len() {
                text.push(char::from(BASE64[(word >> (18 - 6 * at) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// Like Nix: the padding may be missing, and what follows it is ignored.
fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut word, mut bits) = (0u32, 0);
    for digit in text.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'\n' => continue,
            b'=' => break,
            _ => return None,
        };
        word = (word << 6 | u32::from(value)) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `nix-hash --flat --type T` of a file holding "hello\n", in the three encodings.
    #[test]
    fn known_values() {
        let cases = [
            (HashAlgo::Md5, "b1946ac92492d2347c6235b4d2611184"),
            (HashAlgo::Sha1, "f572d396fae9206628714fb2ce00f72e94f2258f"),
            (HashAlgo::Sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"),
        ];
        for (algo, base16) in cases {
            assert_eq!(Hash::of(algo, b"hello\n").base16(), base16);
        }
        let hash = Hash::of(HashAlgo::Sha256, b"hello\n");
        assert_eq!(hash.base32(), "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq");
        assert_eq!(hash.sri(), "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=");
        assert_eq!(
            Hash::of(HashAlgo::Blake3, b"").base16(),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }

    #[test]
    fn wrong_texts_say_why() {
        let check = |text: &str, algo, expect: &str| {
            assert_eq!(Hash::parse(text, algo).unwrap_err().to_string(), expect);
        };
        check(
            "abc",
            None,
            "hash 'abc' does not include a type, nor is the type otherwise known from context",
        );
        check(
            "md6:abc",
            None,
            "unknown hash algorithm 'md6', expect 'blake3', 'md5', 'sha1', 'sha256' or 'sha512'",
        );
        check("md5:abc", None, "hash 'abc' has wrong length for hash algorithm 'md5'");
        check("sha256-abcd", None, "hash 'abcd' has wrong length for hash algorithm 'sha256'");
        check(
            "md5:b1946ac92492d2347c6235b4d2611184",
            Some(HashAlgo::Sha1),
            "hash 'md5:b1946ac92492d2347c6235b4d2611184' should have type 'sha1'",
        );
        check(
            "md5:b1946ac92492d2347c6235b4d261118x",
            None,
            "hash 'b1946ac92492d2347c6235b4d261118x' is not valid base 16",
        );
    }

    #[test]
    fn upper_case_base16_and_unpadded_sri_are_read() {
        let hash = Hash::of(HashAlgo::Sha256, b"hello\n");
        assert_eq!(Hash::parse(&hash.base16().to_uppercase(), Some(HashAlgo::Sha256)), Ok(hash));
        assert_eq!(Hash::parse(hash.sri().trim_end_matches('='), None), Ok(hash));
    }

    proptest! {
        #[test]
        fn every_form_reads_back(data: Vec<u8>, which in 0..5usize) {
            let algo = HashAlgo::ALL[which];
            let hash = Hash::of(algo, &data);
            for digits in [hash.base16(), hash.base32(), hash.base64()] {
                prop_assert_eq!(Hash::parse(&digits, Some(algo)), Ok(hash));
                prop_assert_eq!(Hash::parse(&format!("{algo}:{digits}"), None), Ok(hash));
            }
            prop_assert_eq!(Hash::parse(&hash.sri(), Some(algo)), Ok(hash));
            prop_assert_eq!(Hash::parse(&hash.to_string(), None), Ok(hash));
        }

        #[test]
        fn parse_never_panics(text in "(md5|sha256|)[:-]?\\PC{0,70}") {
            let _ = Hash::parse(&text, None);
            let _ = Hash::parse(&text, Some(HashAlgo::Sha256));
        }

        #[test]
        fn pieces_hash_like_the_whole(a: Vec<u8>, b: Vec<u8>, which in 0..5usize) {
            let algo = HashAlgo::ALL[which];
            let mut hasher = Hasher::new(algo);
            hasher.update(&a);
            hasher.update(&b);
            prop_assert_eq!(hasher.finish(), Hash::of(algo, &[a, b].concat()));
        }
    }
}
