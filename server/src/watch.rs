//! Which reads of an evaluation may have another answer now, told by inotify. The kernel queues an
//! event before the call that changed the file returns, and whoever asks here takes all that is
//! queued: nothing that happened before a request is missed, and nobody waits for a cookie. An event
//! only raises a doubt; whether a read has another answer is found out by asking again.
//!
//! What is watched: of each path that was read the directory that holds it, the place of each
//! symbolic link on the way, and by its own events each directory on the way; of a source every
//! directory in it. What cannot be watched (another machine's files, a full table of the kernel's)
//! is doubted always. A change that no event tells of: a file system mounted over a path on the way.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{Hash, Hasher};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use floe_lang::host::{FetchAttr, Origin};
use floe_lang::track::{Read, ReadId};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::statfs;
use rustix::io::Errno;

/// Symbolic links followed on the way to one path, as many as the system does.
const MAX_LINKS: usize = 40;

/// Bytes of events taken at a time.
const BUFFER: usize = 64 << 10;

/// What to ask again.
#[derive(Debug, PartialEq, Eq)]
pub enum Doubt {
    /// These reads.
    Reads(Vec<ReadId>),
    /// Everything: events were lost, or a directory on the way to something moved.
    All,
}

/// The reads of one evaluation, watched.
pub struct Watch {
    /// None when there can be no more of them.
    inotify: Option<OwnedFd>,
    /// By what names evaluation knows each watched directory, whose entries all count.
    dirs: FxHashMap<i32, Vec<PathBuf>>,
    /// What to doubt when one entry of a directory changes.
    names: FxHashMap<(i32, OsString), Vec<PathBuf>>,
    /// Directories, as evaluation knows them, whose entries are watched.
    known: FxHashSet<PathBuf>,
    /// Directories on the way to something.
    ways: FxHashSet<PathBuf>,
    /// File systems by device, and whether events tell of all their changes.
    telling: FxHashMap<u64, bool>,
    /// Reads by a hash of their path; sorted when `is_sorted`.
    index: Vec<(u32, ReadId)>,
    is_sorted: bool,
    /// Reads that are doubted always.
    always: Vec<ReadId>,
    lost: bool,
}

/// Why a path cannot be watched.
struct Unwatchable;

impl Default for Watch {
    fn default() -> Self {
        Watch::new()
    }
}

impl Watch {
    /// Nothing is watched yet.
    pub fn new() -> Watch {
        Watch {
            inotify: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok(),
            dirs: FxHashMap::default(),
            names: FxHashMap::default(),
            known: FxHashSet::default(),
            ways: FxHashSet::default(),
            telling: FxHashMap::default(),
            index: Vec::new(),
            is_sorted: true,
            always: Vec::new(),
            lost: false,
        }
    }

    /// What becomes readable when something changes; none if that cannot be told of everything
    /// that was read.
    pub fn alarm(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// The reads that no event tells of: they are to be asked again whenever it matters.
    pub fn unwatched(&self) -> &[ReadId] {
        &self.always
    }

    /// Watches these reads, the first of which has this number. What changed before this returns
    /// may have been missed, and must be asked once more.
    pub fn add(&mut self, reads: &[Read], first: usize) {
        for (read, at) in reads.iter().zip(first as u32..) {
            self.add_read(read, ReadId(at));
        }
    }

    /// The same for one that is watched already, and of which new directories may have come.
    pub fn add_again(&mut self, read: &Read) {
        if let Some(path) = path_of(read) {
            // What cannot be watched now is doubted from now on with the next overflow.
            if self.watch(read, path).is_err() {
                self.lost = true;
            }
        }
    }

    fn add_read(&mut self, read: &Read, id: ReadId) {
        let Some(path) = path_of(read) else {
            if !is_pinned(read) {
                self.always.push(id);
            }
            return;
        };
        match self.watch(read, path) {
            Ok(()) => {
                self.index.push((hash(path), id));
                self.is_sorted = false;
            }
            Err(Unwatchable) => self.always.push(id),
        }
    }

    fn watch(&mut self, read: &Read, path: &Path) -> Result<(), Unwatchable> {
        self.watch_path(path)?;
        match read {
            Read::Directory(dir) => self.watch_entries(dir),
            Read::Source(source) => match &source.origin {
                Origin::Tree(root) => self.watch_tree(root),
                Origin::Filtered(root, kept) => {
                    self.watch_entries(root)?;
                    let below = kept.iter().map(|relative| root.join(relative));
                    below
                        .filter(|path| is_real_dir(path))
                        .try_for_each(|dir| self.watch_entries(&dir))
                }
                Origin::Text(..) => Ok(()),
            },
            Read::File(_) => self.watch_file(path),
            _ => Ok(()),
        }
    }

    /// Watches for another thing at the path, and for its content if it is a file.
    fn watch_path(&mut self, path: &Path) -> Result<(), Unwatchable> {
        if let (Some(parent), Some(_)) = (path.parent(), path.file_name())
            && self.known.contains(parent)
            && !fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink())
        {
            return Ok(());
        }
        let mut links = 0;
        let mut here = PathBuf::from("/");
        let mut rest: Vec<OsString> = components(path);
        while let Some(name) = rest.pop() {
            if name == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&name);
            let meta = fs::symlink_metadata(&next);
            let is_last = rest.is_empty();
            match meta {
                Ok(meta) if meta.is_symlink() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Ok(());
                    }
                    self.watch_name(&here, &name, path)?;
                    let Ok(target) = fs::read_link(&next) else { continue };
                    rest.extend(components(&target));
                    if target.is_absolute() {
                        here = PathBuf::from("/");
                    }
                }
                Ok(meta) if meta.is_dir() && !is_last => {
                    self.watch_way(&next)?;
                    here = next;
                }
                Ok(_) if is_last && Some(&*here) == path.parent() => {
                    return self.watch_entries(&here);
                }
                // There is nothing, or a file where a directory should be.
                _ => return self.watch_name(&here, &name, path),
            }
        }
        Ok(())
    }

    /// A file with several names changes under any of them.
    fn watch_file(&mut self, path: &Path) -> Result<(), Unwatchable> {
        match fs::metadata(path) {
            Ok(meta) if meta.is_file() && meta.nlink() > 1 => {
                let flags = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE | WatchFlags::ATTRIB;
                let wd = self.add_watch(path, flags)?;
                self.names.entry((wd, OsString::new())).or_default().push(path.to_path_buf());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Watches a directory and all below it.
    fn watch_tree(&mut self, root: &Path) -> Result<(), Unwatchable> {
        if !is_real_dir(root) {
            return self.watch_file(root);
        }
        let mut open = vec![root.to_path_buf()];
        while let Some(dir) = open.pop() {
            // Before it is listed: what comes after is told.
            self.watch_entries(&dir)?;
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => open.push(entry.path()),
                    Ok(kind) if kind.is_file() => self.watch_file(&entry.path())?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Watches what happens to the entries of a directory.
    fn watch_entries(&mut self, dir: &Path) -> Result<(), Unwatchable> {
        if self.known.contains(dir) {
            return Ok(());
        }
        let wd = self.add_watch(dir, entry_flags() | own_flags())?;
        let aliases = self.dirs.entry(wd).or_default();
        if !aliases.iter().any(|alias| alias == dir) {
            aliases.push(dir.to_path_buf());
        }
        self.known.insert(dir.to_path_buf());
        Ok(())
    }

    /// Watches what happens to one entry of a directory, on behalf of a path.
    fn watch_name(&mut self, dir: &Path, name: &OsStr, path: &Path) -> Result<(), Unwatchable> {
        let wd = self.add_watch(dir, entry_flags() | own_flags())?;
        let paths = self.names.entry((wd, name.to_owned())).or_default();
        if !paths.iter().any(|known| known == path) {
            paths.push(path.to_path_buf());
        }
        Ok(())
    }

    /// Watches that a directory stays where it is.
    fn watch_way(&mut self, dir: &Path) -> Result<(), Unwatchable> {
        if !self.ways.contains(dir) {
            self.add_watch(dir, own_flags())?;
            self.ways.insert(dir.to_path_buf());
        }
        Ok(())
    }

    fn add_watch(&mut self, path: &Path, flags: WatchFlags) -> Result<i32, Unwatchable> {
        let meta = fs::metadata(path).map_err(|_| Unwatchable)?;
        if !self.is_told(&meta) && !self.tells(path, meta.dev()) {
            return Err(Unwatchable);
        }
        let inotify = self.inotify.as_ref().ok_or(Unwatchable)?;
        inotify::add_watch(inotify, path, flags | WatchFlags::MASK_ADD).map_err(|_| Unwatchable)
    }

    fn is_told(&self, meta: &fs::Metadata) -> bool {
        self.telling.get(&meta.dev()).copied().unwrap_or(false)
    }

    /// Whether the kernel sees every change to the file system at this path: only this machine
    /// changes it.
    fn tells(&mut self, path: &Path, dev: u64) -> bool {
        /// ext, xfs, btrfs, tmpfs, overlay, f2fs, zfs, bcachefs, squashfs, erofs, ramfs.
        const LOCAL: [u64; 11] = [
            0xEF53,
            0x5846_5342,
            0x9123_683E,
            0x0102_1994,
            0x794C_7630,
            0xF2F5_2010,
            0x2FC1_2FC1,
            0xCA45_1A4E,
            0x7371_7368,
            0xE0F5_E1E2,
            0x8584_58F6,
        ];
        let told = statfs(path).is_ok_and(|stat| LOCAL.contains(&(stat.f_type as u64)));
        self.telling.insert(dev, told);
        told
    }

    /// Takes every event that is queued and tells what to ask again, besides what is not watched.
    pub fn doubts(&mut self) -> Doubt {
        let mut paths = FxHashSet::default();
        self.take_events(&mut paths);
        if std::mem::take(&mut self.lost) {
            return Doubt::All;
        }
        let mut ids = Vec::new();
        if !paths.is_empty() {
            if !self.is_sorted {
                self.index.sort_unstable();
                self.is_sorted = true;
            }
            for path in &paths {
                // Whatever is above may be a directory that was listed, or a source.
                for place in path.ancestors() {
                    let wanted = hash(place);
                    let start = self.index.partition_point(|(hash, _)| *hash < wanted);
                    let own = self.index[start..].iter().take_while(|(hash, _)| *hash == wanted);
                    ids.extend(own.map(|(_, id)| *id));
                }
            }
            ids.sort_unstable();
            ids.dedup();
        }
        Doubt::Reads(ids)
    }

    fn take_events(&mut self, paths: &mut FxHashSet<PathBuf>) {
        let Some(inotify) = &self.inotify else {
            return;
        };
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(inotify, &mut buffer);
        let ends = ReadFlags::QUEUE_OVERFLOW
            | ReadFlags::UNMOUNT
            | ReadFlags::IGNORED
            | ReadFlags::DELETE_SELF
            | ReadFlags::MOVE_SELF;
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.lost = true;
                    return;
                }
            };
            if event.events().intersects(ends) {
                self.lost = true;
                continue;
            }
            let name = event.file_name().map_or(&b""[..], |name| name.to_bytes());
            let name = OsStr::from_bytes(name);
            let is_known = self.dirs.get(&event.wd());
            // The directory's own attributes: what is in it may not be readable any more.
            self.lost |= name.is_empty() && is_known.is_some();
            let aliases = is_known.into_iter().flatten();
            paths.extend(aliases.map(|dir| dir.join(name)));
            let named = self.names.get(&(event.wd(), name.to_owned()));
            paths.extend(named.into_iter().flatten().cloned());
        }
    }
}

/// What happens to entries.
fn entry_flags() -> WatchFlags {
    WatchFlags::MODIFY
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::ATTRIB
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
}

/// What happens to a directory itself.
fn own_flags() -> WatchFlags {
    WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF
}

/// The path that a read is about, if it is about one.
fn path_of(read: &Read) -> Option<&Path> {
    match read {
        Read::File(path) | Read::Directory(path) | Read::Kind(path) | Read::Link(path) => {
            Some(path)
        }
        Read::Source(source) => match &source.origin {
            Origin::Tree(path) | Origin::Filtered(path, _) => Some(path),
            Origin::Text(..) => None,
        },
        Read::Variable(_) | Read::Clock | Read::Fetch(_) => None,
    }
}

/// Whether the answer of something fetched is fixed by what was asked for.
fn is_pinned(read: &Read) -> bool {
    let Read::Fetch(request) = read else {
        return matches!(read, Read::Source(_));
    };
    let pins = ["sha256", "narHash", "rev"];
    let is_pin = |(name, value): &(String, FetchAttr)| {
        pins.contains(&name.as_str()) && matches!(value, FetchAttr::Str(_))
    };
    request.attrs.iter().any(is_pin)
}

/// The parts of a path in reverse: the first is the last.
fn components(path: &Path) -> Vec<OsString> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().rev().filter_map(part).collect()
}

fn is_real_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// Two paths of one hash cost a question too many, no more.
fn hash(path: &Path) -> u32 {
    let mut hasher = FxHasher::default();
    path.as_os_str().hash(&mut hasher);
    // The upper half is the better one.
    (hasher.finish() >> 32) as u32
}

#[cfg(test)]
mod tests;
