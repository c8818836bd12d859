//! Every parser of this crate against bytes that nobody vouches for: random ones, and well-formed ones cut, repeated
//! and changed. No panic, no overflow of the stack, no allocation that the input does not pay for, bounded time.

use std::time::{Duration, Instant};

use floe_core::ca::{ContentAddress, Method};
use floe_core::drv::Derivation;
use floe_core::hash::{Digest, Hash, HashAlgo};
use floe_core::nar::Reader;
use floe_core::path::{OutputName, StorePath};
use floe_core::{base32, placeholder};

/// A small generator of its own, so that a failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Bytes made from a sample: changed, cut out, repeated, spliced with words of the format.
    fn damage(&mut self, samples: &[&[u8]], words: &[&[u8]]) -> Vec<u8> {
        let mut bytes = samples[self.below(samples.len())].to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            let to = (at + self.below(40)).min(bytes.len());
            match self.below(6) {
                0 if at < bytes.len() => bytes[at] = self.next() as u8,
                1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                2 => drop(bytes.drain(at..to)),
                3 => {
                    let piece = bytes[at..to].repeat(1 + self.below(50));
                    bytes.splice(at..at, piece);
                }
                4 => bytes.truncate(at),
                _ => {
                    let word = words[self.below(words.len())];
                    bytes.splice(at..at, word.iter().copied());
                }
            }
        }
        bytes
    }
}

/// Feeds many damaged inputs to a parser; none may take long.
fn torture(samples: &[&[u8]], words: &[&[u8]], parse: impl Fn(&[u8])) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..20_000 {
        let bytes = random.damage(samples, words);
        let started = Instant::now();
        parse(&bytes);
        let took = started.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?} for {} bytes", bytes.len());
    }
}

const PATH: &str = "/nix/store/0c5b8vw40dy178xlpddw65q9gf1h2186-name-1.0";

#[test]
fn derivations() {
    let sample = format!(
        "Derive([(\"out\",\"{PATH}\",\"r:sha256\",\"\"),(\"dev\",\"\",\"\",\"\")],[(\"{PATH}.drv\",[\"out\",\"dev\"])],[\"{PATH}\"],\
         \"x86_64-linux\",\"/bin/sh\",[\"-c\",\"a\\\\n\\\"b\"],[(\"k\",\"v\"),(\"out\",\"{PATH}\")])"
    );
    let words: [&[u8]; 8] =
        [b"Derive(", b"[(", b")]", b"\"", b"\\", b",", b"\xff\xc3", b"r:sha256"];
    torture(&[sample.as_bytes(), b"Derive([],[],[],\"\",\"\",[],[])"], &words, |bytes| {
        drop(Derivation::parse_aterm("random", bytes));
    });
    for open in ["Derive([", "Derive([(", "Derive([],[(\"", "["] {
        drop(Derivation::parse_aterm("deep", open.repeat(1_000_000).as_bytes()));
    }
}

fn word(text: &[u8]) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn archive(words: &[&[u8]]) -> Vec<u8> {
    words.iter().flat_map(|text| word(text)).collect()
}

/// Reads an archive to its end or its fault, content too.
fn read(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    let mut events = 0;
    loop {
        match reader.next_event() {
            Ok(Some(_)) => events += 1,
            Ok(None) => return true,
            Err(_) => return false,
        }
        assert!(events <= bytes.len(), "more events than bytes");
        drop(std::io::copy(&mut std::io::Read::take(&mut reader, 1 << 20), &mut std::io::sink()));
    }
}

#[test]
fn archives() {
    let file = archive(&[b"nix-archive-1", b"(", b"type", b"regular", b"contents", b"hello", b")"]);
    let tree = archive(&[
        b"nix-archive-1",
        b"(",
        b"type",
        b"directory",
        b"entry",
        b"(",
        b"name",
        b"a",
        b"node",
        b"(",
        b"type",
        b"symlink",
        b"target",
        b"/etc",
        b")",
        b")",
        b"entry",
        b"(",
        b"name",
        b"b",
        b"node",
        b"(",
        b"type",
        b"regular",
        b"executable",
        b"",
        b"contents",
        b"x",
        b")",
        b")",
        b")",
    ]);
    assert!(read(&file) && read(&tree));
    let huge = u64::MAX.to_le_bytes();
    let large = (1_u64 << 40).to_le_bytes();
    let (entry, node) = (word(b"entry"), word(b"node"));
    let words: [&[u8]; 6] = [&huge, &large, &entry, &node, b"\0\0\0\0\0\0\0\0", b"\xff"];
    torture(&[&file, &tree], &words, |bytes| drop(read(bytes)));
    // A length that is not there must not be allocated.
    for length in [u64::MAX, 1 << 62, 1 << 40] {
        let mut lie = archive(&[b"nix-archive-1", b"(", b"type", b"regular", b"contents"]);
        lie.extend_from_slice(&length.to_le_bytes());
        assert!(!read(&lie));
        let mut lie = archive(&[b"nix-archive-1", b"(", b"type", b"symlink", b"target"]);
        lie.extend_from_slice(&length.to_le_bytes());
        assert!(!read(&lie));
    }
}

#[test]
fn texts() {
    let samples: [&[u8]; 8] = [
        PATH.as_bytes(),
        b"0c5b8vw40dy178xlpddw65q9gf1h2186-x",
        b"sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s",
        b"sha256-Q0copBCnj1b8G1iZw1k0NuYasMcx6QctleltspAgXlM=",
        b"fixed:r:sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s",
        b"text:sha256:1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s",
        b"434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53",
        b"md5:d41d8cd98f00b204e9800998ecf8427e",
    ];
    let words: [&[u8]; 8] =
        ["é".as_bytes(), "🧊".as_bytes(), b"-", b":", b"=", b"/", b"..", "\u{0}".as_bytes()];
    torture(&samples, &words, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        drop(StorePath::parse(&text));
        drop(StorePath::from_base_name(&text));
        drop(StorePath::parse_prefix(&text));
        drop(ContentAddress::parse(&text));
        drop(Method::parse_with_algo(&text));
        drop(base32::decode(&text));
        drop(OutputName::new(&text));
        drop(placeholder::output(&text));
        let _ = Digest::parse(&text);
        for algo in [None, Some(HashAlgo::Md5), Some(HashAlgo::Sha512), Some(HashAlgo::Blake3)] {
            let _ = Hash::parse(&text, algo);
        }
        let _ = Hash::parse_digits(&text, HashAlgo::Sha256);
    });
}
