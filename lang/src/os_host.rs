//! A host with files and an environment, but no store: it computes store paths and stores
//! nothing. For tests and read-only evaluation.

use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use floe_core::ca::{self, ContentAddress, Method, Refs};
use floe_core::drv::Derivation;
use floe_core::hash::{Hash, HashAlgo, Hasher};
use floe_core::path::StorePath;

use crate::graph::{DrvGraph, DrvId};
use crate::host::{FetchRequest, Fetched, FileKind, Host, HostError, MessageKind, Origin, Source};

/// The system's files and environment, without a store.
#[derive(Debug, Default)]
pub struct OsHost {
    messages: Mutex<Vec<(MessageKind, String)>>,
    quiet: bool,
}

impl OsHost {
    /// Writes messages to standard error.
    pub fn new() -> OsHost {
        OsHost::default()
    }

    /// Keeps messages for [`OsHost::messages`] instead of writing them.
    pub fn quiet() -> OsHost {
        OsHost { quiet: true, ..OsHost::default() }
    }

    /// The messages kept so far.
    pub fn messages(&self) -> Vec<(MessageKind, String)> {
        self.messages.lock().expect("nothing panics while it is held").clone()
    }
}

/// The largest file that evaluation reads: its content becomes one value in memory.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// The whole content of a file. What may never end or never begin is refused, a device or a named
/// pipe, and what is larger than [`MAX_FILE_BYTES`].
///
/// # Errors
/// The system's reason, or which of these it is.
pub fn read_whole(path: &Path) -> std::io::Result<Vec<u8>> {
    let refuse = |reason: String| std::io::Error::new(std::io::ErrorKind::InvalidInput, reason);
    // Looked at before it is opened: opening a pipe can wait for ever, and some devices act on it.
    let found = fs::metadata(path)?;
    let kind = found.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        // Which is empty, and so means what it says.
        return match path.as_os_str().as_bytes() {
            b"/dev/null" => Ok(Vec::new()),
            _ => Err(refuse(
                "it is a device, which has no content of its own; name a regular file".to_owned(),
            )),
        };
    }
    if kind.is_socket() {
        return Err(refuse(
            "it is a socket, which has no content of its own; name a regular file".to_owned(),
        ));
    }
    // Those that a shell passes by number (`<(command)`) have somebody at the other end.
    let numbered = ["/dev/fd", "/dev/stdin", "/proc"].iter().any(|place| path.starts_with(place));
    if kind.is_fifo() && !numbered {
        return Err(refuse(
            "it is a named pipe, which may never end; name a regular file".to_owned(),
        ));
    }
    let too_large =
        || refuse(format!("it is larger than {} MiB, the most that is read", MAX_FILE_BYTES >> 20));
    let mut file = fs::File::open(path)?;
    let size = found.len();
    if size > MAX_FILE_BYTES {
        return Err(too_large());
    }
    let mut content = Vec::with_capacity(size as usize + 1);
    // A file that is as long as was said has been read; those of /proc have more.
    let read = file.by_ref().take(size + 1).read_to_end(&mut content)?;
    if read as u64 > size || size == 0 {
        file.take(MAX_FILE_BYTES + 1 - read as u64).read_to_end(&mut content)?;
    }
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(too_large());
    }
    Ok(content)
}

fn io<T>(action: &'static str, path: &Path, result: std::io::Result<T>) -> Result<T, HostError> {
    result.map_err(|source| HostError::Io { action, path: path.to_path_buf(), source })
}

/// What kind of thing the system says that something is.
pub fn kind_of(kind: fs::FileType) -> FileKind {
    if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_symlink() {
        FileKind::Symlink
    } else if kind.is_file() {
        FileKind::Regular
    } else {
        FileKind::Unknown
    }
}

fn no_store(what: &str) -> HostError {
    let why = "this evaluation is read-only and has no store".to_owned();
    HostError::Unsupported { what: what.to_owned(), why }
}

impl Host for OsHost {
    fn read_file(&self, path: &Path) -> Result<Vec<u8>, HostError> {
        io("opening file", path, read_whole(path))
    }

    fn read_dir(&self, path: &Path) -> Result<Vec<(Vec<u8>, FileKind)>, HostError> {
        let mut entries = Vec::new();
        for entry in io("reading directory", path, fs::read_dir(path))? {
            let entry = io("reading directory", path, entry)?;
            let kind = io("getting status of", path, entry.file_type())?;
            entries.push((entry.file_name().into_vec(), kind_of(kind)));
        }
        Ok(entries)
    }

    fn file_kind(&self, path: &Path) -> Result<Option<FileKind>, HostError> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(kind_of(metadata.file_type()))),
            Err(error) => match error.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Ok(None),
                _ => io("getting status of", path, Err(error)),
            },
        }
    }

    fn read_link(&self, path: &Path) -> Result<PathBuf, HostError> {
        io("reading symbolic link", path, fs::read_link(path))
    }

    fn env_var(&self, name: &str) -> Option<Vec<u8>> {
        std::env::var_os(name).map(OsStringExt::into_vec)
    }

    fn current_time(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs() as i64)
    }

    fn current_system(&self) -> String {
        format!("{}-linux", std::env::consts::ARCH)
    }

    fn search_path(&self, _name: &str) -> Result<Option<PathBuf>, HostError> {
        Ok(None)
    }

    fn source_path(&self, source: &Source) -> Result<StorePath, HostError> {
        let failed = |error: &dyn std::fmt::Display| HostError::Failed(error.to_string());
        let ca = match &source.origin {
            Origin::Text(bytes, refs) => {
                let refs = refs.iter().cloned().collect();
                return ca::text_path(&source.name, bytes, &refs).map_err(|error| failed(&error));
            }
            Origin::Tree(path) => self.address(path, None, source.method)?,
            Origin::Filtered(path, kept) => self.address(path, Some(kept), source.method)?,
        };
        if let Some(expected) = &source.expected
            && **expected != ca.hash
        {
            let text = format!(
                "store path mismatch in (possibly filtered) path added as '{}': expected hash {}, got {}",
                source.name,
                expected.sri(),
                ca.hash.sri()
            );
            return Err(HostError::Failed(text));
        }
        ca::fixed_path(&source.name, &ca, &Refs::default()).map_err(|error| failed(&error))
    }

    fn add_source(&self, source: &Source, path: &StorePath) -> Result<StorePath, HostError> {
        match source.origin {
            // What lies under its own path can be read from there.
            Origin::Tree(_) => Ok(path.clone()),
            _ => Err(no_store("adding a file to the store")),
        }
    }

    fn write_derivation(&self, path: &StorePath, _drv: &Derivation) -> Result<(), HostError> {
        Err(no_store(&format!("writing '{path}'")))
    }

    fn realise(
        &self,
        graph: &Arc<DrvGraph>,
        wanted: &[(DrvId, usize)],
    ) -> Result<Vec<StorePath>, HostError> {
        let names: Vec<_> = wanted.iter().map(|(id, _)| &*graph.node(*id).name).collect();
        Err(no_store(&format!("building '{}'", names.join("', '"))))
    }

    fn ensure_path(&self, _path: &StorePath) -> Result<(), HostError> {
        Ok(())
    }

    fn fetch(&self, request: &FetchRequest) -> Result<Fetched, HostError> {
        Err(no_store(&request.kind))
    }

    fn message(&self, kind: MessageKind, text: &[u8]) {
        if self.quiet {
            let text = String::from_utf8_lossy(text).into_owned();
            self.messages.lock().expect("nothing panics while it is held").push((kind, text));
        } else {
            eprintln!("{}", kind.line(text));
        }
    }
}

impl OsHost {
    fn address(
        &self,
        path: &Path,
        kept: Option<&[PathBuf]>,
        method: Method,
    ) -> Result<ContentAddress, HostError> {
        let hash = match method {
            Method::Nar => {
                let mut hasher = Hasher::new(HashAlgo::Sha256);
                text(&mut hasher, b"nix-archive-1");
                self.node(&mut hasher, path, path, kept)?;
                hasher.finish()
            }
            Method::Flat | Method::Text => Hash::of(HashAlgo::Sha256, &self.read_file(path)?),
        };
        Ok(ContentAddress { method, hash })
    }

    fn node(
        &self,
        out: &mut Hasher,
        root: &Path,
        path: &Path,
        kept: Option<&[PathBuf]>,
    ) -> Result<(), HostError> {
        text(out, b"(");
        text(out, b"type");
        match self.file_kind(path)? {
            Some(FileKind::Regular) => {
                text(out, b"regular");
                let metadata = io("getting status of", path, fs::metadata(path))?;
                if metadata.permissions().mode() & 0o100 != 0 {
                    text(out, b"executable");
                    text(out, b"");
                }
                text(out, b"contents");
                text(out, &self.read_file(path)?);
            }
            Some(FileKind::Symlink) => {
                text(out, b"symlink");
                text(out, b"target");
                text(out, self.read_link(path)?.as_os_str().as_bytes());
            }
            Some(FileKind::Directory) => {
                text(out, b"directory");
                let mut names: Vec<_> =
                    self.read_dir(path)?.into_iter().map(|(name, _)| name).collect();
                names.sort();
                for name in names {
                    let child = path.join(std::ffi::OsStr::from_bytes(&name));
                    let inside = child.strip_prefix(root).unwrap_or(&child);
                    if kept.is_some_and(|kept| {
                        kept.binary_search_by(|k| k.as_path().cmp(inside)).is_err()
                    }) {
                        continue;
                    }
                    text(out, b"entry");
                    text(out, b"(");
                    text(out, b"name");
                    text(out, &name);
                    text(out, b"node");
                    self.node(out, root, &child, kept)?;
                    text(out, b")");
                }
            }
            _ => {
                let message =
                    format!("file '{}' has an unsupported type or is missing", path.display());
                return Err(HostError::Failed(message));
            }
        }
        text(out, b")");
        Ok(())
    }
}

/// A string of a NAR: length, bytes, padding.
fn text(out: &mut Hasher, bytes: &[u8]) {
    out.update(&(bytes.len() as u64).to_le_bytes());
    out.update(bytes);
    out.update(&[0; 8][..bytes.len().next_multiple_of(8) - bytes.len()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(path: &Path, reason: &str) {
        let error = read_whole(path).expect_err("refused").to_string();
        assert!(error.contains(reason), "{}: {error}", path.display());
    }

    #[test]
    fn files_that_may_never_end_are_refused() {
        for path in ["/dev/zero", "/dev/urandom", "/dev/tty", "/dev/full"] {
            refused(Path::new(path), "device");
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        let sparse = dir.path().join("sparse");
        let file = fs::File::create(&sparse).expect("a file");
        file.set_len(MAX_FILE_BYTES + 1).expect("its size");
        refused(&sparse, "larger than 1024 MiB");
        let socket = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        refused(&socket, "socket");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).expect("a link");
        refused(&link, "device");
    }

    #[test]
    fn files_that_end_are_read_whatever_their_size_says() {
        assert_eq!(read_whole(Path::new("/dev/null")).expect("read"), b"");
        assert!(!read_whole(Path::new("/proc/self/status")).expect("read").is_empty());
    }
}
