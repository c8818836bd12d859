//! Archives written and read back, and archives that must be refused.

use std::collections::BTreeMap;
use std::io::Read;

use proptest::prelude::*;

use super::*;
use crate::hash::{Hash, HashAlgo};

#[derive(Debug, Clone, PartialEq)]
enum Tree {
    File(bool, Vec<u8>),
    Link(Vec<u8>),
    Directory(BTreeMap<Vec<u8>, Tree>),
}

fn write(tree: &Tree, writer: &mut Writer<Vec<u8>>) {
    match tree {
        Tree::File(executable, data) => {
            writer.begin_file(*executable, data.len() as u64).unwrap();
            for chunk in data.chunks(7) {
                writer.content(chunk).unwrap();
            }
            writer.end_file().unwrap();
        }
        Tree::Link(target) => writer.symlink(target).unwrap(),
        Tree::Directory(entries) => {
            writer.begin_directory().unwrap();
            for (name, tree) in entries {
                writer.entry(name).unwrap();
                write(tree, writer);
            }
            writer.end_directory().unwrap();
        }
    }
}

fn archive(tree: &Tree) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new()).unwrap();
    write(tree, &mut writer);
    writer.finish().unwrap()
}

fn read(archive: &[u8]) -> Result<Tree, NarError> {
    let mut reader = Reader::new(archive);
    let event = reader.next_event()?.expect("a tree");
    let tree = read_tree(event, &mut reader)?;
    assert_eq!(reader.next_event()?, None);
    reader.expect_end()?;
    Ok(tree)
}

fn read_tree(event: Event, reader: &mut Reader<&[u8]>) -> Result<Tree, NarError> {
    Ok(match event {
        Event::File { executable, .. } => {
            let mut data = Vec::new();
            reader.read_to_end(&mut data)?;
            Tree::File(executable, data)
        }
        Event::Symlink(target) => Tree::Link(target),
        Event::Directory => {
            let mut entries = BTreeMap::new();
            while let Some(Event::Entry(name)) = reader.next_event()? {
                let event = reader.next_event()?.expect("an entry's tree");
                entries.insert(name, read_tree(event, reader)?);
            }
            Tree::Directory(entries)
        }
        Event::Entry(_) | Event::EndDirectory => panic!("no tree starts with {event:?}"),
    })
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (any::<bool>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(x, data)| Tree::File(x, data)),
        prop::collection::vec(1u8.., 1..20).prop_map(Tree::Link),
    ];
    leaf.prop_recursive(4, 30, 6, |inner| {
        let name = prop::collection::vec(prop_oneof![Just(b'a'), Just(0xff), 33u8..46], 3..6);
        prop::collection::btree_map(name, inner, 0..6).prop_map(Tree::Directory)
    })
}

proptest! {
    #[test]
    fn round_trip(tree in trees()) {
        prop_assert_eq!(read(&archive(&tree)).unwrap(), tree);
    }

    #[test]
    fn damage_never_panics(tree in trees(), at: prop::sample::Index, byte: u8) {
        let mut archive = archive(&tree);
        let at = at.index(archive.len());
        archive[at] = byte;
        let _ = read(&archive);
        prop_assert!(read(&archive[..at]).is_err());
    }
}

/// `nix-hash --type sha256 --base32` of a file holding "hello\n".
#[test]
fn known_hash() {
    let file = archive(&Tree::File(false, b"hello\n".to_vec()));
    assert_eq!(
        Hash::of(HashAlgo::Sha256, &file).base32(),
        "04zwf782yjwnh3q6hz5izfd6jyip8kgw6g6yj43fiqhbyhdd0dqw"
    );
}

#[test]
fn content_that_nobody_reads_is_skipped() {
    let entries =
        [(b"a".to_vec(), Tree::File(true, vec![1; 99])), (b"b".to_vec(), Tree::Link(vec![b'x']))];
    let archive = archive(&Tree::Directory(entries.into()));
    let mut reader = Reader::new(&archive[..]);
    let mut events = Vec::new();
    while let Some(event) = reader.next_event().unwrap() {
        events.push(event);
    }
    assert_eq!(
        events,
        [
            Event::Directory,
            Event::Entry(b"a".to_vec()),
            Event::File { executable: true, size: 99 },
            Event::Entry(b"b".to_vec()),
            Event::Symlink(b"x".to_vec()),
            Event::EndDirectory,
        ]
    );
    assert_eq!(reader.position(), archive.len() as u64);
}

/// Words in the archive's own form.
fn raw(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in words {
        bytes.extend_from_slice(&(word.len() as u64).to_le_bytes());
        bytes.extend_from_slice(word);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    bytes
}

fn directory_of(names: &[&[u8]]) -> Vec<u8> {
    let mut words: Vec<&[u8]> = vec![MAGIC, b"(", b"type", b"directory"];
    for name in names {
        words.extend([&b"entry"[..], b"(", b"name", name, b"node"]);
        words.extend([&b"("[..], b"type", b"symlink", b"target", b"t", b")", b")"]);
    }
    words.push(b")");
    raw(&words)
}

#[test]
fn bad_names_are_refused() {
    assert!(read(&directory_of(&[b"a", b"b"])).is_ok());
    let long = [b'x'; 256];
    for name in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0", b"../x"] {
        assert!(matches!(read(&directory_of(&[name])), Err(NarError::Name { .. })), "{name:?}");
    }
    assert!(matches!(read(&directory_of(&[&long])), Err(NarError::Long { .. })));
    for names in [[&b"a"[..], b"a"], [b"b", b"a"]] {
        assert!(matches!(read(&directory_of(&names)), Err(NarError::Unsorted { .. })));
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| {
        let mut words: Vec<&[u8]> = vec![MAGIC];
        for _ in 0..depth {
            words.extend([
                &b"("[..],
                b"type",
                b"directory",
                b"entry",
                b"(",
                b"name",
                b"d",
                b"node",
            ]);
        }
        words.extend([&b"("[..], b"type", b"directory", b")"]);
        for _ in 0..depth {
            words.extend([&b")"[..], b")"]);
        }
        raw(&words)
    };
    assert!(read(&nested(MAX_DEPTH - 1)).is_ok());
    assert!(matches!(read(&nested(MAX_DEPTH)), Err(NarError::Depth)));
    assert!(matches!(read(&nested(100_000)), Err(NarError::Depth)));
    let tree = read(&nested(MAX_DEPTH - 1)).unwrap();
    assert_eq!(archive(&tree), nested(MAX_DEPTH - 1));
    let mut writer = Writer::new(Vec::new()).unwrap();
    for _ in 0..MAX_DEPTH - 1 {
        writer.begin_directory().unwrap();
        writer.entry(b"d").unwrap();
    }
    writer.begin_directory().unwrap();
    assert!(matches!(writer.entry(b"d"), Err(NarError::Depth)));
}

#[test]
fn other_damage_is_refused() {
    assert!(matches!(read(b""), Err(NarError::Magic)));
    assert!(matches!(read(b"PK\x03\x04 and so on"), Err(NarError::Magic)));
    let link = |target: &[u8]| raw(&[MAGIC, b"(", b"type", b"symlink", b"target", target, b")"]);
    assert!(matches!(read(&link(b"")), Err(NarError::Target { .. })));
    assert!(matches!(read(&link(b"a\0b")), Err(NarError::Target { .. })));
    assert!(matches!(read(&link(&[b'x'; 4096])), Err(NarError::Long { .. })));
    let mut padded = link(b"abc");
    let last = padded.len() - 17;
    padded[last] = 1;
    assert!(matches!(read(&padded), Err(NarError::Padding { .. })));
    let mut rest = link(b"abc");
    rest.push(0);
    assert!(matches!(read(&rest), Err(NarError::Rest { .. })));
    assert!(matches!(
        read(&raw(&[MAGIC, b"(", b"type", b"fifo", b")"])),
        Err(NarError::Word { .. })
    ));
    let mut huge = raw(&[MAGIC, b"(", b"type", b"regular", b"contents"]);
    huge.extend_from_slice(&u64::MAX.to_le_bytes());
    huge.extend_from_slice(b"short");
    assert!(matches!(read(&huge), Err(NarError::Io(_))));
}

#[test]
fn a_file_that_changes_its_length_is_an_error() {
    let mut writer = Writer::new(Vec::new()).unwrap();
    writer.begin_file(false, 3).unwrap();
    writer.content(b"ab").unwrap();
    assert!(matches!(writer.end_file(), Err(NarError::Size { announced: 3, found: 2 })));
    assert!(matches!(writer.content(b"cd"), Err(NarError::Size { announced: 3, found: 4 })));
}
