//! Files by directory handle and one name: nothing here follows a symbolic link or walks a
//! path that somebody else could change meanwhile.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, Timespec, Timestamps, chmod, fchmod, fchown,
    flistxattr, fremovexattr, fstat, futimens, openat, statat,
};
use rustix::io::Errno;

/// Access and modification time of everything in the store: one second after the epoch.
pub(super) const TIMES: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 1, tv_nsec: 0 },
    last_modification: Timespec { tv_sec: 1, tv_nsec: 0 },
};

/// Attributes that belong to the host's administration and cannot be removed.
const KEPT_XATTRS: [&[u8]; 2] = [b"security.selinux", b"system.nfs4_acl"];

/// What a file of that mode is.
pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The mode's permission and special bits.
pub(super) fn permissions(stat: &Stat) -> u32 {
    stat.st_mode & 0o7777
}

/// The word for what may not be in the store.
pub(super) fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::RegularFile => "regular file",
        FileType::Unknown => "file of unknown kind",
    }
}

/// The file's own status.
pub(super) fn stat(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Stat, Errno> {
    statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Opens for reading; where the mode forbids it to its owner, makes it the owner's first.
pub(super) fn open(dir: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    // Without blocking: it could have become a fifo since it was looked at.
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match openat(dir, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::ACCESS) => {
            let handle = openat(
                dir,
                name,
                OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            if !matches!(kind(&fstat(&handle)?), FileType::RegularFile | FileType::Directory) {
                return Err(Errno::ACCESS);
            }
            // This names the very file that the handle holds, whatever happens to the name.
            let by_handle = format!("/proc/self/fd/{}", handle.as_raw_fd());
            chmod(&by_handle, Mode::RWXU)?;
            openat(CWD, &by_handle, flags, Mode::empty())
        }
        result => result,
    }
}

/// Opens a directory.
pub(super) fn open_dir(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    open(dir, name, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// A new file, for the owner alone.
pub(super) fn create(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::RUSR | Mode::WUSR)
}

/// A new file under a name that nothing else has.
pub(super) fn create_temporary(dir: BorrowedFd<'_>) -> Result<(OwnedFd, Vec<u8>), Errno> {
    for number in 0..u32::MAX {
        let name = format!(".floe-tmp-{number}").into_bytes();
        match create(dir, &name) {
            Err(Errno::EXIST) => {}
            result => return result.map(|file| (file, name)),
        }
    }
    Err(Errno::EXIST)
}

/// The names in a directory, ascending, each with its kind as far as the file system tells.
pub(super) fn entries(dir: BorrowedFd<'_>) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
    let mut entries = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            entries.push((name.to_owned(), entry.file_type()));
        }
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}

/// Gives a file that another user owns to us.
pub(super) fn take_ownership(file: BorrowedFd<'_>, stat: &Stat) -> Result<(), Errno> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    if stat.st_uid != user.as_raw() || stat.st_gid != group.as_raw() {
        match fchown(file, Some(user), Some(group)) {
            // Without privilege a group that the builder chose may stay.
            Err(Errno::PERM) if stat.st_uid == user.as_raw() => {}
            result => result?,
        }
    }
    Ok(())
}

/// Removes extended attributes, access control lists among them.
pub(super) fn remove_xattrs(file: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut list = [0u8; 4096];
    let len = match flistxattr(file, &mut list[..]) {
        Ok(0) | Err(Errno::NOTSUP) => return Ok(()),
        result => result?,
    };
    for name in list[..len].split(|&byte| byte == 0) {
        if !name.is_empty() && !KEPT_XATTRS.contains(&name) {
            fremovexattr(file, name)?;
        }
    }
    Ok(())
}

/// The mode and times that a file has in the store.
pub(super) fn finish(file: BorrowedFd<'_>, executable: bool) -> Result<(), Errno> {
    let mode = if executable { 0o555 } else { 0o444 };
    fchmod(file, Mode::from_raw_mode(mode))?;
    futimens(file, &TIMES)
}
