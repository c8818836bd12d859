//! Equal files share one inode: `links/<blake3>-<x or ->` is a hard link to a file of that
//! content and permission, and further ones are linked to it.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use floe_core::hash::Digest;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, linkat, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::walk::StagedFile;
use super::{ObjectError, handle, show};

/// The directory of shared files.
#[derive(Debug)]
pub struct Links {
    dir: OwnedFd,
    /// Files that were found there.
    shared: AtomicU64,
    shared_bytes: AtomicU64,
    /// Makes names of temporary links unique.
    next: AtomicU64,
}

/// What sharing saved since the directory was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Files that became links to earlier ones.
    pub files: u64,
    /// Their content's bytes.
    pub bytes: u64,
}

/// The name in `links/` of a file.
pub fn link_name(digest: &Digest, executable: bool) -> OsString {
    OsString::from(format!("{digest}-{}", if executable { 'x' } else { '-' }))
}

impl Links {
    /// Opens the directory, which exists.
    pub fn open(path: &Path) -> Result<Links, ObjectError> {
        let shown = path.as_os_str().as_bytes();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir =
            openat(CWD, path, flags, Mode::empty()).map_err(ObjectError::io("open", shown))?;
        let zero = || AtomicU64::new(0);
        Ok(Links { dir, shared: zero(), shared_bytes: zero(), next: zero() })
    }

    /// What was saved.
    pub fn saved(&self) -> Saved {
        Saved {
            files: self.shared.load(Ordering::Relaxed),
            bytes: self.shared_bytes.load(Ordering::Relaxed),
        }
    }

    /// Shares the files of the object called `name` in `dir`, which are canonical and whose
    /// directories can still be written.
    pub fn share(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        files: &[StagedFile],
    ) -> Result<(), ObjectError> {
        // The directories down to the last file, which are mostly those of the next one too.
        let mut open: Vec<(Vec<u8>, OwnedFd)> = Vec::new();
        for file in files {
            let path = if file.path.is_empty() {
                name.to_owned()
            } else {
                [name, b"/", &file.path].concat()
            };
            let mut parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
            let Some(last) = parts.pop() else { continue };
            let same =
                open.iter().zip(&parts).take_while(|((name, _), part)| name == *part).count();
            open.truncate(same);
            for part in &parts[same..] {
                let parent = open.last().map_or(dir, |(_, fd)| fd.as_fd());
                let fd = handle::open_dir(parent, part).map_err(ObjectError::io("open", &path))?;
                open.push((part.to_vec(), fd));
            }
            let parent = open.last().map_or(dir, |(_, fd)| fd.as_fd());
            self.share_file(parent, last, file).map_err(ObjectError::io("share", &path))?;
        }
        Ok(())
    }

    fn share_file(&self, dir: BorrowedFd<'_>, name: &[u8], file: &StagedFile) -> Result<(), Errno> {
        let link = link_name(&file.digest, file.executable);
        match linkat(dir, name, &self.dir, &link, AtFlags::empty()) {
            Ok(()) => return Ok(()),
            // No more names for this inode, or no hard links here: keep the copy.
            Err(Errno::MLINK | Errno::PERM | Errno::NOTSUP | Errno::XDEV) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let shared = handle::stat(self.dir.as_fd(), link.as_bytes())?;
        let ours = handle::stat(dir, name)?;
        if shared.st_ino == ours.st_ino && shared.st_dev == ours.st_dev {
            return Ok(());
        }
        if shared.st_size != ours.st_size || shared.st_mode != ours.st_mode {
            // Damaged: ours takes its place.
            return self.replace_link(dir, name, &link.into_vec());
        }
        // Under another name first, so that the file is there at every moment.
        let temporary = self.temporary();
        match linkat(&self.dir, &link, dir, &temporary, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::MLINK) => return self.replace_link(dir, name, &link.into_vec()),
            Err(errno) => return Err(errno),
        }
        if let Err(errno) = renameat(dir, &temporary, dir, name) {
            let _ = unlinkat(dir, &temporary, AtFlags::empty());
            return Err(errno);
        }
        self.shared.fetch_add(1, Ordering::Relaxed);
        self.shared_bytes.fetch_add(file.size, Ordering::Relaxed);
        Ok(())
    }

    /// Lets later files be linked to this one.
    fn replace_link(&self, dir: BorrowedFd<'_>, name: &[u8], link: &[u8]) -> Result<(), Errno> {
        let temporary = self.temporary();
        linkat(dir, name, &self.dir, &temporary, AtFlags::empty())?;
        renameat(&self.dir, &temporary, &self.dir, link)
    }

    fn temporary(&self) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!(".floe-tmp-{}-{number}", std::process::id()).into_bytes()
    }

    /// Removes shared files that no object has any more, and what a crash left; returns their
    /// number and bytes.
    pub fn sweep(&self) -> Result<Saved, ObjectError> {
        let mut saved = Saved { files: 0, bytes: 0 };
        let io = |action| ObjectError::io(action, b"links");
        for (name, _) in handle::entries(self.dir.as_fd()).map_err(io("list"))? {
            let stat = match handle::stat(self.dir.as_fd(), &name) {
                Err(Errno::NOENT) => continue,
                result => result.map_err(ObjectError::io("look at", &name))?,
            };
            let unused = handle::kind(&stat) == FileType::RegularFile && stat.st_nlink == 1;
            if unused || name.starts_with(b".floe-tmp-") {
                match unlinkat(&self.dir, &name, AtFlags::empty()) {
                    Err(Errno::NOENT) => continue,
                    result => result.map_err(ObjectError::io("remove", &name))?,
                }
                saved.files += 1;
                saved.bytes += stat.st_size as u64;
            }
        }
        Ok(saved)
    }

    /// Checks that a shared file still has the content that its name says.
    pub fn check(&self, digest: &Digest, executable: bool) -> Result<(), ObjectError> {
        let name = link_name(digest, executable);
        let name = name.as_bytes();
        let file = handle::open(self.dir.as_fd(), name, OFlags::RDONLY)
            .map_err(ObjectError::io("open", name))?;
        let stat = fstat(&file).map_err(ObjectError::io("look at", name))?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(std::fs::File::from(file)).map_err(|source| ObjectError::Io {
            action: "read",
            path: show(name),
            source,
        })?;
        let mode = if executable { 0o555 } else { 0o444 };
        if Digest::from(hasher.finalize()) != *digest || handle::permissions(&stat) != mode {
            return Err(ObjectError::DamagedLink { digest: *digest });
        }
        Ok(())
    }
}
