//! What the benchmarks share: objects, trees and graphs made up for measuring. No measuring here.

pub mod generated;

use std::path::Path;

use floe_core::hash::{Digest, Hash, HashAlgo};
use floe_core::path::StorePath;
use floe_store::{NewObject, Store};

/// An empty object with a made-up path, its file in place and not yet registered.
pub fn empty_object(store: &Store, number: u64) -> NewObject {
    let digest = Digest::of(&number.to_le_bytes()).0;
    let digest: &[u8; 20] = digest.first_chunk().expect("32 bytes hold 20");
    let path = StorePath::new(digest, &format!("package-{number}")).expect("a valid name");
    std::fs::write(store.physical(&path), b"").expect("the store's directory is ours");
    NewObject {
        path,
        nar_hash: Hash::of(HashAlgo::Sha256, &number.to_le_bytes()),
        nar_size: 1000,
        tree: Digest::of(b""),
        refs: Default::default(),
        deriver: None,
        ca: None,
    }
}

/// Fills `dir` with `files` files of `size` bytes each, all different, in directories of 32.
pub fn fill(dir: &Path, files: usize, size: usize) -> std::io::Result<()> {
    for number in 0..files {
        let inner = dir.join(format!("d{}", number / 32));
        std::fs::create_dir_all(&inner)?;
        let mut random = Random(number as u64 + 1);
        let bytes: Vec<u8> = std::iter::repeat_with(|| random.next() as u8).take(size).collect();
        std::fs::write(inner.join(format!("f{number}")), bytes)?;
    }
    Ok(())
}

/// Knuth's linear congruential generator: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }
}
