//! Archives as a stranger might write them. Each is made byte by byte where `tar` itself would
//! refuse to make it.

use super::*;

/// An entry: its type, name, mode, link target and content.
type Made<'a> = (EntryType, &'a str, u32, &'a str, &'a str);

fn file<'a>(name: &'a str, text: &'a str) -> Made<'a> {
    (EntryType::Regular, name, 0o644, "", text)
}

fn link<'a>(name: &'a str, to: &'a str) -> Made<'a> {
    (EntryType::Symlink, name, 0o777, to, "")
}

fn archive(entries: &[Made<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, name, mode, to, text) in entries {
        let mut header = tar::Header::new_gnu();
        let bytes = header.as_mut_bytes();
        // Set as they are: the crate's own setters refuse what is tried here.
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        bytes[157..157 + to.len()].copy_from_slice(to.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_mtime(7);
        header.set_size(text.len() as u64);
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(text.as_bytes());
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn unpacked(bytes: &[u8], limits: Limits) -> (tempfile::TempDir, Result<Unpacked, ArchiveError>) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("archive");
    fs::write(&file, bytes).expect("ours");
    let into = dir.path().join("into");
    fs::create_dir(&into).expect("ours");
    let result = unpack(&file, &into, limits);
    (dir, result)
}

#[track_caller]
fn check_refused(entries: &[Made<'_>], says: &str) {
    let (dir, result) = unpacked(&archive(entries), Limits::default());
    let error = result.expect_err("it must be refused").to_string();
    assert!(error.contains(says), "{error:?} does not say {says:?}");
    let outside: Vec<_> = fs::read_dir(dir.path())
        .expect("ours")
        .map(|entry| entry.expect("ours").file_name())
        .filter(|name| name != "archive" && name != "into")
        .collect();
    assert!(outside.is_empty(), "something was written outside: {outside:?}");
}

#[test]
fn nothing_leaves_the_target() {
    check_refused(&[file("../out", "x")], "leads out");
    check_refused(&[file("a/../../out", "x")], "leads out");
    check_refused(&[link("a", ".."), file("a/out", "x")], "no directory");
    check_refused(&[link("a", "/"), file("a/tmp/out", "x")], "no directory");
    check_refused(
        &[link("a", "../archive"), (EntryType::Link, "b", 0o644, "a", "")],
        "no file of the archive",
    );
    check_refused(&[(EntryType::Link, "b", 0o644, "/etc/passwd", "")], "no file of the archive");
    check_refused(&[(EntryType::Link, "b", 0o644, "../archive", "")], "leads out");
    check_refused(&[(EntryType::Char, "null", 0o644, "", "")], "neither a file");
    check_refused(&[(EntryType::Fifo, "pipe", 0o644, "", "")], "neither a file");
    check_refused(&[file(".", "x")], "place of the whole tree");
    check_refused(&[file("d/f", ""), file("d", "x")], "place of a directory");
    check_refused(&[file("d", ""), file("d/f", "x")], "no directory");
}

#[test]
fn an_absolute_name_lies_below() {
    let (_dir, result) =
        unpacked(&archive(&[file("/top/a", "1"), file("b", "2")]), Limits::default());
    let unpacked = result.expect("unpacks");
    assert_eq!(fs::read_to_string(unpacked.root.join("top/a")).unwrap(), "1");
    assert_eq!(unpacked.last_modified, 7);
}

#[test]
fn a_link_that_is_written_over_is_not_followed() {
    let entries = [link("d/a", "../../archive"), file("d/a", "new"), file("d/b", "")];
    let (dir, result) = unpacked(&archive(&entries), Limits::default());
    let root = result.expect("unpacks").root;
    assert!(root.ends_with("into/d"), "the only directory is the tree");
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "new");
    assert_ne!(fs::read(dir.path().join("archive")).unwrap(), b"new");
}

#[test]
fn size_number_and_depth_are_bounded() {
    let limits = Limits { bytes: 3, entries: 2, depth: 2 };
    let check = |entries: &[Made<'_>], says: &str| {
        let (_dir, result) = unpacked(&archive(entries), limits);
        let error = result.expect_err("it must be refused").to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    };
    check(&[file("a", "12"), file("b", "34")], "more than 3 bytes");
    check(&[file("a", ""), file("b", ""), file("c", "")], "more than 2 entries");
    check(&[file("a/b/c", "")], "too deep");
}

#[test]
fn damage_is_an_error() {
    let whole = archive(&[file("a", &"x".repeat(2000))]);
    for cut in [1, 511, 513, 1500] {
        let (_dir, result) = unpacked(&whole[..cut], Limits::default());
        assert!(result.is_err(), "cut after {cut} bytes");
    }
    let (_dir, result) = unpacked(b"PK\x03\x04rest", Limits::default());
    assert!(result.expect_err("refused").to_string().contains("zip archives"));
    let (_dir, result) = unpacked(b"\x1f\x8bnothing", Limits::default());
    assert!(result.is_err());
}
