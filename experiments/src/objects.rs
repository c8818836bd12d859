//! Two store objects side by side: which files differ, at which byte, and whether anything is left of it when the digests
//! in the names of store paths are taken for each other. Knows files, and no tool, derivation or study.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Where two objects differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Those that differ, in order.
    pub files: Vec<FileDifference>,
    /// How many files and links do not.
    pub same: usize,
}

/// A file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDifference {
    /// Relative to the object; empty where the object is a file itself.
    pub file: String,
    /// In what.
    pub how: How,
    /// The first byte that differs, of files and links that are in both.
    pub byte: Option<u64>,
    /// The first that differs beyond the digests of store paths; none where they are all there is.
    pub real_byte: Option<u64>,
}

/// In what a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// In nothing but the digests of store paths, each of which stands for one other throughout the object.
    Names,
    /// In its bytes.
    Content,
    /// In whether it may be executed.
    Mode,
    /// In where the link leads.
    Link,
    /// One is a file, the other a directory or a link.
    Type,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

impl How {
    /// As rows call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Content => "content",
            Self::Mode => "mode",
            Self::Link => "link",
            Self::Type => "type",
            Self::Added => "added",
            Self::Removed => "removed",
        }
    }
}

impl Comparison {
    /// Every byte of every file is the same.
    pub fn identical(&self) -> bool {
        self.files.is_empty()
    }

    /// Every byte is the same once digests of store paths are masked.
    pub fn identical_masked(&self) -> bool {
        self.files.iter().all(|file| file.how == How::Names)
    }

    /// The files in which they differ in more than digests.
    pub fn real(&self) -> impl Iterator<Item = &FileDifference> {
        self.files.iter().filter(|file| file.how != How::Names)
    }
}

/// How two objects compare as wholes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sameness {
    /// Every byte of every file is the same.
    Identical,
    /// They are, once the digests in names of store paths are masked.
    Renamed,
    /// They are not.
    Different,
}

impl From<&Comparison> for Sameness {
    fn from(found: &Comparison) -> Self {
        match () {
            () if found.identical() => Self::Identical,
            () if found.identical_masked() => Self::Renamed,
            () => Self::Different,
        }
    }
}

/// Sets two objects side by side.
///
/// # Errors
/// One of them cannot be read.
pub fn compare(old: &Path, new: &Path) -> Result<Comparison> {
    let mut found = Comparison::default();
    let mut renamed = Renamed::default();
    side_by_side(old, new, "", &mut renamed, &mut found)?;
    Ok(found)
}

fn side_by_side(
    old: &Path,
    new: &Path,
    file: &str,
    renamed: &mut Renamed,
    found: &mut Comparison,
) -> Result<()> {
    let (before, now) = (kind(old)?, kind(new)?);
    let mut differs = |how, byte, real_byte| {
        found.files.push(FileDifference { file: file.to_owned(), how, byte, real_byte });
    };
    match (before, now) {
        (Kind::Absent, Kind::Absent) => {}
        (Kind::Absent, _) => differs(How::Added, None, None),
        (_, Kind::Absent) => differs(How::Removed, None, None),
        (Kind::Directory, Kind::Directory) => {
            let names: BTreeSet<String> = names(old)?.union(&names(new)?).cloned().collect();
            for name in names {
                let below = if file.is_empty() { name.clone() } else { format!("{file}/{name}") };
                side_by_side(&old.join(&name), &new.join(&name), &below, renamed, found)?;
            }
        }
        (Kind::Link, Kind::Link) => {
            let target = |link: &Path| fs::read_link(link).with_context(|| unreadable(link));
            let (a, b) = (target(old)?, target(new)?);
            match renamed.differ(a.as_os_str().as_bytes(), b.as_os_str().as_bytes()) {
                None => found.same += 1,
                Some((byte, None)) => differs(How::Names, Some(byte), None),
                Some((byte, real)) => differs(How::Link, Some(byte), real),
            }
        }
        (Kind::File { executable: was }, Kind::File { executable: is }) => {
            let bytes = |path: &Path| fs::read(path).with_context(|| unreadable(path));
            let (a, b) = (bytes(old)?, bytes(new)?);
            match (renamed.differ(&a, &b), was == is) {
                (None, true) => found.same += 1,
                (None | Some((_, None)), false) => differs(How::Mode, None, None),
                (Some((byte, None)), true) => differs(How::Names, Some(byte), None),
                (Some((byte, real)), _) => differs(How::Content, Some(byte), real),
            }
        }
        _ => differs(How::Type, None, None),
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Absent,
    Directory,
    Link,
    File { executable: bool },
}

fn kind(path: &Path) -> Result<Kind> {
    let of = |metadata: &Metadata| match () {
        () if metadata.is_symlink() => Kind::Link,
        () if metadata.is_dir() => Kind::Directory,
        () => Kind::File { executable: metadata.permissions().mode() & 0o111 != 0 },
    };
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(of(&metadata)),
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => Ok(Kind::Absent),
        Err(fault) => Err(fault).with_context(|| unreadable(path)),
    }
}

fn names(folder: &Path) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(folder).with_context(|| unreadable(folder))?;
    entries
        .map(|entry| {
            let name = entry.with_context(|| unreadable(folder))?.file_name();
            name.into_string().map_err(|name| {
                anyhow::anyhow!("{} holds {}, which is no text", folder.display(), name.display())
            })
        })
        .collect()
}

fn unreadable(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

/// What stands before a digest, and the digest's length.
const BEFORE: &[u8] = b"/nix/store/";
const DIGEST: usize = 32;

/// Which digest stands for which; the same throughout an object.
#[derive(Debug, Default)]
struct Renamed {
    to: BTreeMap<Vec<u8>, Vec<u8>>,
    from: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Renamed {
    /// The first byte in which two texts differ, and the first beyond the digests of store paths.
    fn differ(&mut self, old: &[u8], new: &[u8]) -> Option<(u64, Option<u64>)> {
        let mut first = None;
        let mut at = 0;
        loop {
            let apart = old[at..].iter().zip(&new[at..]).position(|(a, b)| a != b);
            let here = match apart {
                Some(more) => at + more,
                None if old.len() == new.len() => return first.map(|first| (first, None)),
                None => old.len().min(new.len()),
            };
            let byte = *first.get_or_insert(here as u64);
            match digest_around(old, here).filter(|start| digest_around(new, here) == Some(*start))
            {
                Some(start) if self.stands(&old[start..][..DIGEST], &new[start..][..DIGEST]) => {
                    at = start + DIGEST;
                }
                _ => return Some((byte, Some(here as u64))),
            }
        }
    }

    /// Whether the one stands for the other, as far as is known; from now on it does.
    fn stands(&mut self, old: &[u8], new: &[u8]) -> bool {
        let to = self.to.entry(old.to_vec()).or_insert_with(|| new.to_vec());
        let from = self.from.entry(new.to_vec()).or_insert_with(|| old.to_vec());
        to == new && from == old
    }
}

/// Where the digest of a store path begins that holds the byte at `at`.
fn digest_around(text: &[u8], at: usize) -> Option<usize> {
    let least = (at + 1).saturating_sub(DIGEST).max(BEFORE.len());
    (least..=at).find(|&start| {
        text[..start].ends_with(BEFORE)
            && text.get(start..start + DIGEST).is_some_and(|digest| digest.iter().all(is_letter))
            && text.get(start + DIGEST) == Some(&b'-')
    })
}

fn is_letter(byte: &u8) -> bool {
    b"0123456789abcdfghijklmnpqrsvwxyz".contains(byte)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;

    use super::*;

    fn path(letter: char) -> String {
        format!("/nix/store/{}-zlib", letter.to_string().repeat(DIGEST))
    }

    /// Two folders of these files.
    fn check(old: &[(&str, String)], new: &[(&str, String)]) -> Comparison {
        let place = tempfile::tempdir().expect("a directory");
        for (side, files) in [("old", old), ("new", new)] {
            for (name, text) in files {
                let file = place.path().join(side).join(name);
                fs::create_dir_all(file.parent().expect("below")).expect("made");
                match text.strip_prefix("-> ") {
                    Some(target) => symlink(target, &file).expect("linked"),
                    None => fs::write(&file, text).expect("written"),
                }
            }
        }
        compare(&place.path().join("old"), &place.path().join("new")).expect("compared")
    }

    fn told(found: &Comparison) -> Vec<(&str, &str, Option<u64>, Option<u64>)> {
        found
            .files
            .iter()
            .map(|of| (of.file.as_str(), of.how.name(), of.byte, of.real_byte))
            .collect()
    }

    #[test]
    fn files_are_told_apart() {
        let found = check(
            &[
                ("a", "same".into()),
                ("b/c", "one".into()),
                ("gone", String::new()),
                ("d", "-> x".into()),
            ],
            &[
                ("a", "same".into()),
                ("b/c", "one more".into()),
                ("d", "-> y".into()),
                ("new", "n".into()),
            ],
        );
        assert_eq!(
            told(&found),
            [
                ("b/c", "content", Some(3), Some(3)),
                ("d", "link", Some(0), Some(0)),
                ("gone", "removed", None, None),
                ("new", "added", None, None),
            ]
        );
        assert_eq!((found.same, found.identical(), found.identical_masked()), (1, false, false));
    }

    #[test]
    fn digests_stand_for_each_other() {
        let found = check(
            &[
                ("a", format!("x {} y {}", path('a'), path('b'))),
                ("l", format!("-> {}", path('a'))),
            ],
            &[
                ("a", format!("x {} y {}", path('c'), path('d'))),
                ("l", format!("-> {}", path('c'))),
            ],
        );
        assert_eq!(told(&found), [("a", "names", Some(13), None), ("l", "names", Some(11), None)]);
        assert!(found.identical_masked() && !found.identical());
    }

    #[test]
    fn a_digest_stands_for_one_other_only() {
        let found = check(
            &[("a", path('a')), ("b", path('a')), ("c", path('b'))],
            &[("a", path('c')), ("b", path('d')), ("c", path('c'))],
        );
        let real: Vec<&str> = found.real().map(|of| of.file.as_str()).collect();
        assert_eq!(real, ["b", "c"]);
    }

    #[test]
    fn what_only_looks_like_a_digest_is_content() {
        let found = check(&[("a", format!("{}e", path('a')))], &[("a", format!("{}f", path('b')))]);
        assert_eq!(told(&found), [("a", "content", Some(11), Some(48))]);
        let short = |letter: char| path(letter).replace("-zlib", "");
        let found = check(&[("a", short('a'))], &[("a", short('b'))]);
        assert_eq!(told(&found), [("a", "content", Some(11), Some(11))]);
    }

    proptest! {
        /// Held against masking both texts and comparing what is left.
        #[test]
        fn agrees_with_masking(
            texts in prop::collection::vec(
                (prop::sample::select(vec!["a", "/nix/store/", "-", "xyz"]), prop::bool::ANY, prop::bool::ANY), 0..12),
        ) {
            let mut sides = [String::new(), String::new()];
            for (text, is_path, is_other) in &texts {
                for (at, side) in sides.iter_mut().enumerate() {
                    side.push_str(text);
                    if *is_path {
                        side.push_str(&path(if at == 0 { 'a' } else { 'b' }));
                    } else if *is_other && at == 1 {
                        side.push('!');
                    }
                }
            }
            let found = Renamed::default().differ(sides[0].as_bytes(), sides[1].as_bytes());
            let masked: Vec<String> =
                sides.iter().map(|side| side.replace(&path('a'), "M").replace(&path('b'), "M")).collect();
            prop_assert_eq!(found.is_none(), sides[0] == sides[1]);
            prop_assert_eq!(matches!(found, None | Some((_, None))), masked[0] == masked[1]);
        }
    }
}
