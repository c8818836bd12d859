//! Any bytes as an archive to unpack: within the bounds, and nowhere but where it may write.

#![no_main]

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;

// The engine itself links RocksDB; this part of it needs nothing of the rest.
#[path = "../../engine/src/fetch/archive.rs"]
mod archive;

use archive::{Limits, unpack};

const LIMITS: Limits = Limits { bytes: 1 << 20, entries: 200, depth: 20 };

fuzz_target!(|data: &[u8]| {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (file, into) = (dir.path().join("archive"), dir.path().join("into"));
    fs::write(&file, data).expect("a file of ours");
    fs::create_dir(&into).expect("a directory of ours");
    if let Ok(unpacked) = unpack(&file, &into, LIMITS) {
        assert!(unpacked.root.starts_with(&into) && unpacked.root.is_dir());
        let _ = unpacked.last_modified;
    }
    let beside = fs::read_dir(dir.path()).expect("a directory of ours").count();
    assert_eq!(beside, 2, "something was written beside the directory");
    assert_eq!(fs::read(&file).expect("a file of ours"), data);
    let (files, bytes) = measure(&into);
    // Directories on the way to a file are no entries of the archive.
    assert!(files <= LIMITS.entries && bytes <= LIMITS.bytes + 1, "{files} files, {bytes} bytes");
});

/// Files and links below a directory, and the bytes of files.
fn measure(dir: &Path) -> (u64, u64) {
    let mut sum = (0, 0);
    for entry in fs::read_dir(dir).expect("a directory of ours") {
        let entry = entry.expect("a directory of ours");
        let about = entry.path().symlink_metadata().expect("a file of ours");
        let below = match about.is_dir() {
            true => measure(&entry.path()),
            false => (1, if about.is_file() { about.len() } else { 0 }),
        };
        sum = (sum.0 + below.0, sum.1 + below.1);
    }
    sum
}
