//! Whether a read would be answered as before, told from the file system's stats where they can
//! tell it: a stamp that holds spares reading a file again.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use floe_core::hash::Digest;
use floe_lang::host::{FetchAttr, Host, Origin, Source};
use floe_lang::track::Read;
use floe_store::FileStat;

use crate::digests::Snapshot;
use crate::ledger::Short;

/// Time stamps are this coarse; what changed so shortly before may change again unseen.
const COARSE: Duration = Duration::from_millis(50);

/// What a read's answer is known by.
#[derive(Clone, Copy)]
pub(super) enum Stamp {
    /// Nothing short of asking again tells.
    Ask,
    /// What is at the path: a digest of its stats.
    Stat(Short),
    /// There is nothing at the path.
    Absent,
    /// A source: a digest of the stats of all its files.
    Tree(Short),
    /// It is pinned.
    Never,
}

/// What the stats of paths are in one pass: several reads ask for the same.
#[derive(Default)]
pub(super) struct Looked(HashMap<PathBuf, Option<FileStat>>);

impl Looked {
    fn at(&mut self, path: &Path) -> Option<FileStat> {
        if let Some(stat) = self.0.get(path) {
            return *stat;
        }
        let stat = fs::symlink_metadata(path).ok().map(|meta| FileStat::of(&meta));
        self.0.insert(path.to_path_buf(), stat);
        stat
    }
}

impl Stamp {
    /// The stamp of a read that was answered after `started`.
    pub(super) fn of(read: &Read, host: &dyn Host, started: SystemTime) -> Stamp {
        let path = match read {
            Read::File(path) | Read::Directory(path) | Read::Kind(path) | Read::Link(path) => path,
            Read::Variable(_) | Read::Clock => return Stamp::Ask,
            Read::Source(source) => {
                return match snapshot(source, host) {
                    Some(snapshot) if snapshot.changed_ns() < settled(started) => {
                        Stamp::Tree(snapshot.digest().into())
                    }
                    _ => Stamp::Ask,
                };
            }
            Read::Fetch(request) => {
                let pins = ["sha256", "narHash", "rev"];
                let is_pin = |(name, value): &(String, FetchAttr)| {
                    pins.contains(&name.as_str()) && matches!(value, FetchAttr::Str(_))
                };
                return if request.attrs.iter().any(is_pin) { Stamp::Never } else { Stamp::Ask };
            }
        };
        let Ok(meta) = fs::symlink_metadata(host.physical(path)) else {
            return if matches!(read, Read::Kind(_)) { Stamp::Absent } else { Stamp::Ask };
        };
        let stat = FileStat::of(&meta);
        // What a link leads to has stats of its own.
        let follows = matches!(read, Read::File(_) | Read::Directory(_)) && meta.is_symlink();
        if follows || stat.mtime_ns.max(stat.ctime_ns) >= settled(started) {
            return Stamp::Ask;
        }
        Stamp::Stat(short(&stat))
    }

    /// What stands for the answer of a source.
    pub(super) fn tree(&self) -> Option<Short> {
        match self {
            Stamp::Tree(digest) => Some(*digest),
            _ => None,
        }
    }

    /// Whether the answer is surely as before.
    pub(super) fn still_holds(&self, read: &Read, host: &dyn Host, looked: &mut Looked) -> bool {
        let path = match read {
            Read::File(path) | Read::Directory(path) | Read::Kind(path) | Read::Link(path) => path,
            Read::Source(source) => {
                return match self {
                    Stamp::Tree(known) => snapshot(source, host)
                        .is_some_and(|snapshot| Short::from(snapshot.digest()) == *known),
                    _ => false,
                };
            }
            Read::Variable(_) | Read::Clock | Read::Fetch(_) => {
                return matches!(self, Stamp::Never);
            }
        };
        match self {
            Stamp::Stat(known) => {
                looked.at(&host.physical(path)).is_some_and(|stat| short(&stat) == *known)
            }
            Stamp::Absent => looked.at(&host.physical(path)).is_none(),
            _ => false,
        }
    }
}

fn short(stat: &FileStat) -> Short {
    let FileStat { dev, ino, size, mtime_ns, ctime_ns } = *stat;
    let numbers = [dev, ino, size, mtime_ns as u64, ctime_ns as u64];
    Digest::of(numbers.map(u64::to_le_bytes).as_flattened()).into()
}

/// What changed before this time, in nanoseconds since 1970, shows in the stats if it changes again.
fn settled(started: SystemTime) -> i64 {
    let since = started.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(COARSE);
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn snapshot(source: &Source, host: &dyn Host) -> Option<Snapshot> {
    let snapshot = match &source.origin {
        Origin::Tree(path) => Snapshot::of_tree(&host.physical(path)),
        Origin::Filtered(path, kept) => Snapshot::of_entries(&host.physical(path), kept),
        Origin::Text(..) => return None,
    };
    snapshot.ok()?
}
