//! One walk over a tree that reads every byte once and feeds everyone who wants it: the hash
//! of the NAR, the tree's digest, the search for references, and a copy. Staging, adding
//! sources, rewriting and dumping are this walk with different [`Action`]s.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use floe_core::hash::{Digest, Hash, HashAlgo, Hasher};
use floe_core::nar::{NarError, Writer};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, chownat, fchmod, fstat, mkdirat,
    readlinkat, renameat, renameat_with, symlinkat, unlinkat, utimensat,
};

use super::handle::{self, TIMES};
use super::rewrite::{Rewriter, Rewrites};
use super::scan::{Needles, Scanner};
use super::{ObjectError, merkle, show};

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// What a file in a source tree is, for its filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// What cannot be in the store.
    Unknown,
}

/// Answers whether a file belongs to a source.
pub type Filter<'a> = dyn FnMut(&Path, FileKind) -> Result<bool, BoxError> + 'a;
/// Any error of a filter.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A regular file of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedFile {
    /// Its path below the object; empty for the object itself.
    pub path: Vec<u8>,
    /// Whether it may be executed.
    pub executable: bool,
    /// Length in bytes.
    pub size: u64,
    /// BLAKE3 of its content.
    pub digest: Digest,
    /// Whether a digest that may have to be rewritten occurs in it.
    pub(super) marked: bool,
}

/// What one walk found out.
#[derive(Debug, Clone)]
pub struct Contents {
    /// SHA-256 of the NAR.
    pub nar_hash: Hash,
    /// Length of the NAR in bytes.
    pub nar_size: u64,
    /// The root of the tree, see [`merkle`].
    pub tree: Digest,
    /// Every regular file, in the order of the NAR.
    pub files: Vec<StagedFile>,
    /// Which of the needles occurred.
    pub(super) found: Vec<bool>,
    /// How often one that was to be counted did.
    pub(super) hits: u64,
    /// The hash in another algorithm, where one was wanted.
    pub(super) other_hash: Option<Hash>,
}

/// What the walk does besides reading.
pub(super) enum Action<'a> {
    /// Nothing.
    Read,
    /// Makes every file what it must be in the store; directories stay writable.
    Canonicalise,
    /// Replaces digests in contents, targets and names. The files are those of an earlier
    /// walk: only the marked ones are written.
    Rewrite(&'a Rewrites, &'a [StagedFile]),
}

/// Which other hash a walk is to compute.
#[derive(Debug, Clone, Copy)]
pub(super) enum Other {
    None,
    /// Of the NAR.
    Nar(HashAlgo),
    /// Of the content of the one file.
    Flat(HashAlgo),
}

/// All that a walk can be asked for.
pub(super) struct Plan<'a> {
    pub(super) action: Action<'a>,
    pub(super) needles: &'a Needles,
    /// How many needles count as marks.
    pub(super) counted: usize,
    pub(super) other: Other,
    /// Takes the NAR.
    pub(super) out: Option<&'a mut dyn Write>,
    pub(super) filter: Option<&'a mut Filter<'a>>,
    /// Where a copy goes: directory and name.
    pub(super) copy: Option<(BorrowedFd<'a>, &'a [u8])>,
    /// Whether files count as not executable.
    pub(super) plain: bool,
}

impl<'a> Plan<'a> {
    pub(super) fn new(action: Action<'a>, needles: &'a Needles) -> Plan<'a> {
        Plan {
            action,
            needles,
            counted: 0,
            other: Other::None,
            out: None,
            filter: None,
            copy: None,
            plain: false,
        }
    }
}

/// Walks the tree called `name` in `dir`; messages call it `shown`.
pub(super) fn walk(
    dir: BorrowedFd<'_>,
    name: &[u8],
    shown: &[u8],
    plan: Plan<'_>,
) -> Result<Contents, ObjectError> {
    let (nar_other, flat) = match plan.other {
        Other::None => (None, None),
        Other::Nar(algo) => (Some(Hasher::new(algo)), None),
        Other::Flat(algo) => (None, Some(Hasher::new(algo))),
    };
    let sink = Sink {
        sha256: Hasher::new(HashAlgo::Sha256),
        size: 0,
        scanner: Scanner::new(plan.needles, plan.counted),
        other: nar_other,
        out: plan.out,
    };
    let in_nar = |source| ObjectError::Nar { path: show(shown), source };
    let mut walk = Walk {
        nar: Writer::new(sink).map_err(in_nar)?,
        flat,
        action: plan.action,
        filter: plan.filter,
        plain: plan.plain,
        shown: shown.to_owned(),
        base: shown.len(),
        files: Vec::new(),
        buffer: Vec::new(),
    };
    let tree = walk.node(dir, name, plan.copy)?;
    let Walk { nar, flat, files, .. } = walk;
    let sink = nar.finish().map_err(in_nar)?;
    Ok(Contents {
        nar_hash: sink.sha256.finish(),
        nar_size: sink.size,
        tree,
        files,
        found: sink.scanner.found().to_owned(),
        hits: sink.scanner.hits(),
        other_hash: sink.other.or(flat).map(Hasher::finish),
    })
}

/// Everyone who wants the NAR.
struct Sink<'a> {
    sha256: Hasher,
    size: u64,
    scanner: Scanner<'a>,
    other: Option<Hasher>,
    out: Option<&'a mut dyn Write>,
}

impl Write for Sink<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.sha256.update(data);
        self.size += data.len() as u64;
        self.scanner.scan(data);
        if let Some(other) = &mut self.other {
            other.update(data);
        }
        if let Some(out) = &mut self.out {
            out.write_all(data)?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Walk<'a> {
    nar: Writer<Sink<'a>>,
    flat: Option<Hasher>,
    action: Action<'a>,
    filter: Option<&'a mut Filter<'a>>,
    plain: bool,
    /// The current file, for messages.
    shown: Vec<u8>,
    /// Length of the part of it that is the object.
    base: usize,
    files: Vec<StagedFile>,
    /// As large as the largest file so far, up to [`CHUNK`].
    buffer: Vec<u8>,
}

/// Where the copy of a file goes.
type Copy<'b> = Option<(BorrowedFd<'b>, &'b [u8])>;

impl Walk<'_> {
    fn io<T>(&self, action: &'static str, result: rustix::io::Result<T>) -> Result<T, ObjectError> {
        result.map_err(ObjectError::io(action, &self.shown))
    }

    fn nar<T>(&self, result: Result<T, NarError>) -> Result<T, ObjectError> {
        result.map_err(|source| match source {
            NarError::Io(source) => {
                ObjectError::Io { action: "process", path: show(&self.shown), source }
            }
            source => ObjectError::Nar { path: show(&self.shown), source },
        })
    }

    fn wrong_kind(&self, kind: FileType) -> ObjectError {
        ObjectError::Kind { path: show(&self.shown), kind: handle::kind_name(kind) }
    }

    fn canonicalises(&self) -> bool {
        matches!(self.action, Action::Canonicalise)
    }

    // The depth of this recursion is bounded by the NAR writer's.
    fn node(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        copy: Copy<'_>,
    ) -> Result<Digest, ObjectError> {
        let stat = self.io("look at", handle::stat(dir, name))?;
        match handle::kind(&stat) {
            FileType::RegularFile => self.file(dir, name, copy),
            FileType::Symlink => self.symlink(dir, name, &stat, copy),
            FileType::Directory => self.directory(dir, name, copy),
            kind => Err(self.wrong_kind(kind)),
        }
    }

    fn file(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        copy: Copy<'_>,
    ) -> Result<Digest, ObjectError> {
        let mut file = File::from(self.io("open", handle::open(dir, name, OFlags::RDONLY))?);
        let stat = self.io("look at", fstat(&file))?;
        if handle::kind(&stat) != FileType::RegularFile {
            return Err(self.wrong_kind(handle::kind(&stat)));
        }
        let mode = handle::permissions(&stat);
        if self.canonicalises() && mode & 0o6000 != 0 {
            return Err(ObjectError::SetId { path: show(&self.shown), mode });
        }
        let executable = mode & 0o100 != 0 && !self.plain;
        let rewrites = match self.action {
            Action::Rewrite(rewrites, files) => {
                files.get(self.files.len()).filter(|file| file.marked).map(|_| rewrites)
            }
            _ => None,
        };
        // A file with several names is replaced by one of its own: who holds another name
        // must not reach what will be in the store.
        let replace = rewrites.is_some() || (self.canonicalises() && stat.st_nlink > 1);
        let mut temporary = None;
        let target = if replace {
            let (file, name) = self.io("create a file beside", handle::create_temporary(dir))?;
            temporary = Some(name);
            Some(File::from(file))
        } else if let Some((dir, name)) = copy {
            Some(File::from(self.io("create the copy of", handle::create(dir, name))?))
        } else {
            None
        };

        let size = stat.st_size as u64;
        // Most sources are small: no more is cleared than is filled.
        let room = CHUNK.min(usize::try_from(size).unwrap_or(CHUNK).max(1));
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let hits = self.nar.get_ref().scanner.hits();
        let begun = self.nar.begin_file(executable, size);
        self.nar(begun)?;
        let digest = self.content(&file, target.as_ref(), rewrites)?;
        let ended = self.nar.end_file();
        self.nar(ended)?;
        let marked = self.nar.get_ref().scanner.hits() > hits;

        if let Some(temporary) = temporary {
            self.io("replace", renameat(dir, &temporary, dir, name))?;
        } else if self.canonicalises() {
            self.io("take ownership of", handle::take_ownership(file.as_fd(), &stat))?;
            self.io("remove attributes of", handle::remove_xattrs(file.as_fd()))?;
        }
        if let Some(target) = target {
            file = target;
        }
        if self.canonicalises() || replace || copy.is_some() {
            self.io("set mode and time of", handle::finish(file.as_fd(), executable))?;
        }
        let path = self.shown[self.base..].strip_prefix(b"/").unwrap_or_default().to_owned();
        self.files.push(StagedFile { path, executable, size, digest, marked });
        Ok(merkle::file(executable, &digest))
    }

    /// Reads a file to its end, and gives every byte to all who want it.
    fn content(
        &mut self,
        file: &File,
        target: Option<&File>,
        rewrites: Option<&Rewrites>,
    ) -> Result<Digest, ObjectError> {
        let mut blake3 = blake3::Hasher::new();
        let mut tee =
            Tee { nar: &mut self.nar, blake3: &mut blake3, flat: self.flat.as_mut(), target };
        let copied = match rewrites {
            None => pump(file, &mut self.buffer, &mut tee),
            Some(rewrites) => {
                let mut rewriter = Rewriter::new(rewrites, &mut tee);
                pump(file, &mut self.buffer, &mut rewriter)
                    .and_then(|()| rewriter.finish().map(drop))
            }
        };
        match copied {
            Ok(()) => Ok(blake3.finalize().into()),
            Err(error) => match error.downcast::<NarError>() {
                Ok(source) => self.nar(Err(source)),
                Err(source) => {
                    Err(ObjectError::Io { action: "copy", path: show(&self.shown), source })
                }
            },
        }
    }

    fn symlink(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        stat: &Stat,
        copy: Copy<'_>,
    ) -> Result<Digest, ObjectError> {
        let target = self.io("read the link", readlinkat(dir, name, Vec::new()))?.into_bytes();
        let target = match self.action {
            Action::Rewrite(rewrites, _) => {
                let rewritten = rewrites.of(&target);
                if rewritten != target {
                    self.io("replace", unlinkat(dir, name, AtFlags::empty()))?;
                    self.make_symlink(&rewritten, dir, name)?;
                }
                rewritten
            }
            _ => target,
        };
        if self.canonicalises() {
            let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
            if stat.st_uid != user.as_raw() {
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                self.io("take ownership of", chownat(dir, name, Some(user), Some(group), flags))?;
            }
            self.io("set the time of", utimensat(dir, name, &TIMES, AtFlags::SYMLINK_NOFOLLOW))?;
        }
        if let Some((dir, name)) = copy {
            self.make_symlink(&target, dir, name)?;
        }
        let written = self.nar.symlink(&target);
        self.nar(written)?;
        Ok(merkle::symlink(&target))
    }

    fn make_symlink(
        &self,
        target: &[u8],
        dir: BorrowedFd<'_>,
        name: &[u8],
    ) -> Result<(), ObjectError> {
        self.io("create the link", symlinkat(target, dir, name))?;
        self.io("set the time of", utimensat(dir, name, &TIMES, AtFlags::SYMLINK_NOFOLLOW))
    }

    fn directory(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        copy: Copy<'_>,
    ) -> Result<Digest, ObjectError> {
        let this = self.io("open", handle::open_dir(dir, name))?;
        if self.canonicalises() {
            let stat = self.io("look at", fstat(&this))?;
            self.io("take ownership of", handle::take_ownership(this.as_fd(), &stat))?;
            self.io("remove attributes of", handle::remove_xattrs(this.as_fd()))?;
            self.io("set the mode of", fchmod(&this, Mode::RWXU))?;
        }
        let target: Option<OwnedFd> = match copy {
            Some((dir, name)) => {
                self.io("create the copy of", mkdirat(dir, name, Mode::RWXU))?;
                Some(self.io("open the copy of", handle::open_dir(dir, name))?)
            }
            None => None,
        };
        let names = self.io("list", handle::entries(this.as_fd()))?;
        let begun = self.nar.begin_directory();
        self.nar(begun)?;
        let mut entries = Vec::with_capacity(names.len());
        let shown = self.shown.len();
        for (name, _) in names {
            self.shown.push(b'/');
            self.shown.extend_from_slice(&name);
            if self.wants(this.as_fd(), &name)? {
                let name = self.rename(this.as_fd(), name)?;
                let entry = self.nar.entry(&name);
                self.nar(entry)?;
                let copy = target.as_ref().map(|target| (target.as_fd(), &name[..]));
                let digest = self.node(this.as_fd(), &name, copy)?;
                entries.push((name, digest));
            }
            self.shown.truncate(shown);
        }
        let ended = self.nar.end_directory();
        self.nar(ended)?;
        if let Some(target) = target {
            self.io("set mode and time of", handle::finish(target.as_fd(), true))?;
        }
        Ok(merkle::directory(entries.iter().map(|(name, digest)| (&name[..], *digest))))
    }

    /// Asks the filter.
    fn wants(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<bool, ObjectError> {
        if self.filter.is_none() {
            return Ok(true);
        }
        let stat = self.io("look at", handle::stat(dir, name))?;
        let kind = match handle::kind(&stat) {
            FileType::RegularFile => FileKind::Regular,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            _ => FileKind::Unknown,
        };
        let path = Path::new(std::ffi::OsStr::from_bytes(&self.shown));
        match &mut self.filter {
            Some(filter) => filter(path, kind)
                .map_err(|source| ObjectError::Filter { path: show(&self.shown), source }),
            None => Ok(true),
        }
    }

    /// Replaces digests in a name.
    fn rename(&self, dir: BorrowedFd<'_>, name: Vec<u8>) -> Result<Vec<u8>, ObjectError> {
        let Action::Rewrite(rewrites, _) = self.action else {
            return Ok(name);
        };
        let rewritten = rewrites.of(&name);
        if rewritten != name {
            let renamed = renameat_with(dir, &name, dir, &rewritten, RenameFlags::NOREPLACE);
            self.io("rename", renamed)?;
        }
        Ok(rewritten)
    }
}

/// Everyone who wants the content of a file.
struct Tee<'w, 'a> {
    nar: &'w mut Writer<Sink<'a>>,
    blake3: &'w mut blake3::Hasher,
    flat: Option<&'w mut Hasher>,
    target: Option<&'w File>,
}

impl Write for Tee<'_, '_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.nar.content(data).map_err(io::Error::other)?;
        self.blake3.update(data);
        if let Some(flat) = &mut self.flat {
            flat.update(data);
        }
        if let Some(mut target) = self.target {
            target.write_all(data)?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pump(mut file: &File, buffer: &mut [u8], out: &mut impl Write) -> io::Result<()> {
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => out.write_all(&buffer[..len])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
