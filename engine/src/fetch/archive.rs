//! Unpacking a tape archive that a stranger wrote: nothing is written outside the directory given,
//! nothing is read through a link, and size and number of entries have bounds. What becomes of the
//! tree is the caller's affair.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

/// Most of what an archive may hold.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of all files together, unpacked.
    pub bytes: u64,
    /// Files, directories and links.
    pub entries: u64,
    /// Directories within directories.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 64 << 30, entries: 5_000_000, depth: 1000 }
    }
}

/// An archive that was unpacked.
#[derive(Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// The tree: the only directory at the top, if there is nothing beside it.
    pub root: PathBuf,
    /// When the youngest entry was changed, in seconds since 1970.
    pub last_modified: i64,
}

/// Why an archive was refused.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file that no archive may hold here.
    #[error("the archive holds '{entry}', {why}")]
    Entry {
        /// The entry's name.
        entry: String,
        /// What is wrong with it.
        why: String,
    },
    /// It is too large.
    #[error("the archive holds more than {limit} {what}; unpack it by hand and use the directory")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// A compression that nobody here undoes.
    #[error(
        "{0} archives cannot be unpacked; repack it as .tar, .tar.gz, .tar.xz, .tar.bz2 or .tar.zst"
    )]
    Unknown(&'static str),
}

/// Unpacks the archive in `file` into `into`, an empty directory.
///
/// # Errors
/// When it is damaged, too large or holds what it must not.
pub fn unpack(file: &Path, into: &Path, limits: Limits) -> Result<Unpacked, ArchiveError> {
    let mut source = File::open(file).map_err(at("read", file))?;
    let mut magic = [0; 6];
    let known = read_some(&mut source, &mut magic).map_err(at("read", file))?;
    source.rewind().map_err(at("read", file))?;
    let source = BufReader::with_capacity(128 << 10, source);
    let stream: Box<dyn Read> = match &magic[..known] {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(source)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            Box::new(lzma_rust2::XzReader::new_mem_limit(source, true, DICTIONARY_KIB))
        }
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(source)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(Zstd::new(source)),
        [b'P', b'K', 3, 4, ..] => return Err(ArchiveError::Unknown("zip")),
        [b'7', b'z', 0xbc, 0xaf, ..] => return Err(ArchiveError::Unknown("7z")),
        [b'R', b'a', b'r', b'!', ..] => return Err(ArchiveError::Unknown("rar")),
        _ => Box::new(source),
    };
    let mut unpacking = Unpacking {
        file,
        into,
        limits,
        kinds: HashMap::new(),
        bytes: 0,
        entries: 0,
        last_modified: 0,
    };
    let mut archive = tar::Archive::new(stream);
    for entry in archive.entries().map_err(at("unpack", file))? {
        unpacking.entry(entry.map_err(at("unpack", file))?)?;
    }
    Ok(Unpacked { root: unpacking.top()?, last_modified: unpacking.last_modified })
}

/// What a decoder may take for an .xz dictionary: what `xz -9` uses, several times over.
const DICTIONARY_KIB: u32 = 512 << 10;

fn read_some(source: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Zstandard frames, one after the other.
struct Zstd<R: io::BufRead> {
    state: Option<Frame<R>>,
}

enum Frame<R: io::BufRead> {
    Between(R),
    Within(Box<ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>),
}

impl<R: io::BufRead> Zstd<R> {
    fn new(source: R) -> Self {
        Zstd { state: Some(Frame::Between(source)) }
    }
}

impl<R: io::BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.state.take() {
                None => return Ok(0),
                Some(Frame::Between(mut source)) => {
                    if source.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    let decoder = ruzstd::decoding::StreamingDecoder::new(source)
                        .map_err(io::Error::other)?;
                    self.state = Some(Frame::Within(Box::new(decoder)));
                }
                Some(Frame::Within(mut decoder)) => {
                    let read = decoder.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        self.state = Some(Frame::Within(decoder));
                        return Ok(read);
                    }
                    self.state = Some(Frame::Between(decoder.into_inner()));
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
    Link,
}

struct Unpacking<'a> {
    file: &'a Path,
    into: &'a Path,
    limits: Limits,
    /// What was made so far, by path: what is in the file system is never asked.
    kinds: HashMap<PathBuf, Kind>,
    bytes: u64,
    entries: u64,
    last_modified: i64,
}

impl Unpacking<'_> {
    fn entry(&mut self, mut entry: tar::Entry<'_, Box<dyn Read>>) -> Result<(), ArchiveError> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(ArchiveError::TooLarge { what: "entries", limit: self.limits.entries });
        }
        let name = entry.path_bytes().into_owned();
        let place = self.place(&name, &name)?;
        let modified = self.modified(&mut entry)?;
        self.last_modified = self.last_modified.max(modified);
        match kind {
            EntryType::Directory => self.directory(&place, &name),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                // Old archives mark a directory by the slash alone.
                if kind == EntryType::Regular && name.ends_with(b"/") {
                    return self.directory(&place, &name);
                }
                self.make_way(&place, &name)?;
                let target = self.into.join(&place);
                let mode = entry.header().mode().map_err(at("unpack", self.file))?;
                self.regular(&mut entry, &target, mode & 0o100 != 0)?;
                self.kinds.insert(place, Kind::File);
                Ok(())
            }
            EntryType::Symlink => {
                let to = self.link(&entry, &name)?;
                self.make_way(&place, &name)?;
                let target = self.into.join(&place);
                symlink(OsStr::from_bytes(&to), &target).map_err(at("write", &target))?;
                self.kinds.insert(place, Kind::Link);
                Ok(())
            }
            EntryType::Link => {
                let to = self.link(&entry, &name)?;
                let to = self.place(&to, &name)?;
                if self.kinds.get(&to) != Some(&Kind::File) {
                    return Err(refused(&name, "a hard link to what is no file of the archive"));
                }
                if to == place {
                    return Ok(());
                }
                self.make_way(&place, &name)?;
                let (from, target) = (self.into.join(to), self.into.join(&place));
                fs::hard_link(from, &target).map_err(at("write", &target))?;
                self.kinds.insert(place, Kind::File);
                Ok(())
            }
            _ => Err(refused(&name, "which is neither a file, a directory nor a link")),
        }
    }

    fn modified(&self, entry: &mut tar::Entry<'_, Box<dyn Read>>) -> Result<i64, ArchiveError> {
        if let Some(extensions) = entry.pax_extensions().map_err(at("unpack", self.file))? {
            for extension in extensions {
                let extension = extension.map_err(at("unpack", self.file))?;
                if extension.key_bytes() == b"mtime"
                    && let Ok(text) = extension.value()
                    && let Ok(seconds) = text.split('.').next().unwrap_or_default().parse()
                {
                    return Ok(seconds);
                }
            }
        }
        let seconds = entry.header().mtime().map_err(at("unpack", self.file))?;
        Ok(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    fn link(
        &self,
        entry: &tar::Entry<'_, Box<dyn Read>>,
        name: &[u8],
    ) -> Result<Vec<u8>, ArchiveError> {
        match entry.link_name_bytes() {
            Some(to) if !to.contains(&0) && !to.is_empty() => Ok(to.into_owned()),
            _ => Err(refused(name, "a link to nothing")),
        }
    }

    /// A name as a path below the target.
    fn place(&self, path: &[u8], entry: &[u8]) -> Result<PathBuf, ArchiveError> {
        if path.contains(&0) {
            return Err(refused(entry, "whose name has a NUL byte"));
        }
        let mut place = PathBuf::new();
        for component in Path::new(OsStr::from_bytes(path)).components() {
            match component {
                Component::Normal(name) => place.push(name),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
                Component::ParentDir => {
                    return Err(refused(entry, "whose name leads out of the archive"));
                }
            }
        }
        if place.components().count() > self.limits.depth || place.as_os_str().len() > 4000 {
            return Err(refused(entry, "which lies too deep"));
        }
        Ok(place)
    }

    fn directory(&mut self, place: &Path, name: &[u8]) -> Result<(), ArchiveError> {
        if place.as_os_str().is_empty() || self.kinds.get(place) == Some(&Kind::Directory) {
            return Ok(());
        }
        self.make_way(place, name)?;
        let target = self.into.join(place);
        fs::create_dir(&target).map_err(at("write", &target))?;
        self.kinds.insert(place.to_path_buf(), Kind::Directory);
        Ok(())
    }

    /// Makes the directories above `place`, and removes what an earlier entry left at it.
    fn make_way(&mut self, place: &Path, name: &[u8]) -> Result<(), ArchiveError> {
        if place.as_os_str().is_empty() {
            return Err(refused(name, "which takes the place of the whole tree"));
        }
        let mut above = PathBuf::new();
        for component in place.parent().unwrap_or(Path::new("")).components() {
            above.push(component);
            match self.kinds.get(&above) {
                Some(Kind::Directory) => {}
                Some(Kind::File | Kind::Link) => {
                    return Err(refused(name, "which lies below what is no directory"));
                }
                None => {
                    let target = self.into.join(&above);
                    fs::create_dir(&target).map_err(at("write", &target))?;
                    self.kinds.insert(above.clone(), Kind::Directory);
                }
            }
        }
        match self.kinds.get(place) {
            None => Ok(()),
            Some(Kind::Directory) => Err(refused(name, "which takes the place of a directory")),
            Some(Kind::File | Kind::Link) => {
                let target = self.into.join(place);
                self.kinds.remove(place);
                fs::remove_file(&target).map_err(at("replace", &target))
            }
        }
    }

    fn regular(
        &mut self,
        source: &mut impl Read,
        target: &Path,
        executable: bool,
    ) -> Result<(), ArchiveError> {
        let mut file = File::create_new(target).map_err(at("write", target))?;
        let left = self.limits.bytes - self.bytes;
        let written = io::copy(&mut source.take(left.saturating_add(1)), &mut file)
            .map_err(at("unpack", self.file))?;
        if written > left {
            return Err(ArchiveError::TooLarge { what: "bytes", limit: self.limits.bytes });
        }
        self.bytes += written;
        let mode = if executable { 0o755 } else { 0o644 };
        file.set_permissions(PermissionsExt::from_mode(mode)).map_err(at("write", target))
    }

    /// The only directory at the top, if there is nothing beside it; else the whole.
    fn top(&self) -> Result<PathBuf, ArchiveError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.into).map_err(at("read", self.into))? {
            names.push(entry.map_err(at("read", self.into))?.file_name());
        }
        Ok(match names.as_slice() {
            [only] if self.is_directory(only) => self.into.join(only),
            _ => self.into.to_path_buf(),
        })
    }

    fn is_directory(&self, name: &OsString) -> bool {
        self.kinds.get(Path::new(name)) == Some(&Kind::Directory)
    }
}

fn refused(entry: &[u8], why: &str) -> ArchiveError {
    ArchiveError::Entry { entry: String::from_utf8_lossy(entry).into_owned(), why: why.to_owned() }
}

fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArchiveError + use<> {
    let path = path.to_path_buf();
    move |source| ArchiveError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
