//! The steps that put up a sandbox, as data: built in the parent, where memory may be allocated,
//! and carried out by `child.rs`, where it may not. No system call here;
//! the one `unsafe` is a promise about the array that execve takes.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{SandboxError, SetupError};
use crate::layers::Layer;

/// Where the host's root lies while the private root is being furnished.
pub(crate) const HOST: &str = "/.host";

/// What to do where the processes of a build cannot be limited.
pub(crate) const PIDS_MEND: &str = "a build that root starts can be limited on Linux 6.14 or newer with a private /proc only: start floe as another user, or leave the limit out";

/// One step inside the new namespaces.
#[derive(Debug)]
pub(crate) enum Op {
    /// Die by SIGKILL when the thread that started us ends.
    DieWithParent,
    /// Every signal's default action; the mask stays blocked until the program starts.
    DefaultSignals,
    /// Write to a file that exists.
    Write {
        path: CString,
        content: Vec<u8>,
    },
    /// Cut `/` and all below it off from the host's mount events (`flags`: private or slave).
    Propagation {
        flags: u64,
    },
    /// Mount a new file system.
    Mount {
        kind: CString,
        target: CString,
        flags: u64,
        data: CString,
    },
    /// Make a directory.
    Mkdir {
        path: CString,
        mode: u32,
    },
    /// Make an empty file.
    Touch {
        path: CString,
    },
    /// Make a file with this content.
    File {
        path: CString,
        content: Vec<u8>,
    },
    /// Make a symlink.
    Symlink {
        target: CString,
        path: CString,
    },
    /// Show a tree at a second place, with further mount attributes.
    Bind {
        source: CString,
        target: CString,
        attributes: u64,
    },
    /// Add attributes to a mount, not to those below it.
    Attributes {
        path: CString,
        attributes: u64,
    },
    PivotRoot {
        new: CString,
        old: CString,
    },
    /// Take a mount and those below it away, then the directory it was on.
    Detach {
        path: CString,
    },
    Chdir {
        path: CString,
    },
    HostName,
    /// Bring the loopback device up.
    Loopback,
    /// Tell the parent our process id and wait until it has attached the network.
    Rendezvous {
        ready: RawFd,
        go: RawFd,
    },
    NewSession,
    Umask {
        mask: u32,
    },
    /// Standard input from `/dev/null`, standard output and error to the log.
    Stdio {
        log: RawFd,
    },
    /// Close everything above standard error.
    CloseFds,
    Rlimit {
        resource: u32,
        value: u64,
    },
    /// Bound the process ids of this pid namespace.
    LimitPids {
        most: Vec<u8>,
    },
    /// Addresses are laid out the same in every run.
    Personality,
    DropCapabilities,
    NoNewPrivileges,
    Landlock {
        handled: u64,
        scoped: u64,
        rules: Vec<(CString, u64)>,
    },
    Seccomp {
        program: &'static [libc::sock_filter],
    },
    /// Steps that give a layer; if one fails, `otherwise` is done instead, where it is allowed.
    Layered {
        layer: Layer,
        first: Vec<Op>,
        otherwise: Option<Vec<Op>>,
    },
    /// Become the program: the first of these paths that can be executed.
    Exec {
        candidates: Vec<CString>,
        argv: CStrings,
        envp: CStrings,
    },
    /// End, having proved that everything before works.
    Exit,
}

impl Op {
    /// What the step does and to what, for errors.
    fn describe(&self) -> (&'static str, Option<&CStr>) {
        match self {
            Op::DieWithParent => ("asking to die with the parent", None),
            Op::DefaultSignals => ("resetting signals", None),
            Op::Write { path, .. } => ("writing", Some(path)),
            Op::Propagation { .. } => ("cutting off mount events", None),
            Op::Mount { target, .. } => ("mounting", Some(target)),
            Op::Mkdir { path, .. } => ("making a directory", Some(path)),
            Op::Touch { path } | Op::File { path, .. } => ("making a file", Some(path)),
            Op::Symlink { path, .. } => ("making a symlink", Some(path)),
            Op::Bind { source, .. } => ("binding", Some(source)),
            Op::Attributes { path, .. } => ("setting mount attributes", Some(path)),
            Op::PivotRoot { new, .. } => ("changing the root", Some(new)),
            Op::Detach { path } => ("taking a mount away", Some(path)),
            Op::Chdir { path } => ("changing the directory", Some(path)),
            Op::HostName => ("setting the host name", None),
            Op::Loopback => ("bringing the loopback device up", None),
            Op::Rendezvous { .. } => ("waiting for the network", None),
            Op::NewSession => ("starting a session", None),
            Op::Umask { .. } => ("setting the umask", None),
            Op::Stdio { .. } => ("opening /dev/null and the log", None),
            Op::CloseFds => ("closing descriptors", None),
            Op::Rlimit { .. } => ("setting a resource limit", None),
            Op::LimitPids { .. } => ("limiting the number of processes", None),
            Op::Personality => ("setting the personality", None),
            Op::DropCapabilities => ("dropping capabilities", None),
            Op::NoNewPrivileges => ("forbidding new privileges", None),
            Op::Landlock { .. } => ("applying landlock", None),
            Op::Seccomp { .. } => ("applying the seccomp filter", None),
            Op::Layered { layer, .. } => (layer.name(), None),
            Op::Exec { candidates, .. } => {
                ("executing", candidates.first().map(|path| path.as_c_str()))
            }
            Op::Exit => ("ending", None),
        }
    }

    /// What a user can do about a failure of this step.
    fn mend(&self, errno: i32) -> &'static str {
        match (self, errno) {
            (_, libc::ENOMEM | libc::ENOSPC | libc::EMFILE | libc::ENFILE) => {
                "the host is out of memory, space, descriptors or mounts (fs.mount-max): free some and build again"
            }
            (
                Op::Write { .. } | Op::Mount { .. } | Op::Propagation { .. },
                libc::EPERM | libc::EACCES,
            ) => {
                "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; in a container, an unmasked /proc and a seccomp profile that permits mount), and ask `floe doctor`"
            }
            (
                Op::Mkdir { .. } | Op::Touch { .. } | Op::Symlink { .. } | Op::File { .. },
                libc::EEXIST,
            ) => "give every build a fresh, empty scratch store and name each input once",
            (
                Op::Bind { .. } | Op::Mkdir { .. } | Op::Touch { .. },
                libc::ENOENT | libc::ENOTDIR,
            ) => "see that the path exists and was not removed meanwhile",
            (Op::Bind { .. } | Op::Mkdir { .. } | Op::Touch { .. }, libc::EACCES | libc::EROFS) => {
                "see that you may search every directory on the way and write where the build writes"
            }
            (Op::LimitPids { .. }, _) => PIDS_MEND,
            (Op::PivotRoot { .. }, libc::EINVAL) => {
                "the host's root is an initial ramdisk, which cannot be exchanged: start floe from a mounted root"
            }
            _ => "ask `floe doctor` which layers this host gives",
        }
    }

    /// The error for this step having failed.
    pub(crate) fn error(&self, errno: i32) -> SandboxError {
        let source = io::Error::from_raw_os_error(errno);
        let (step, path) = self.describe();
        if let Op::Exec { candidates, .. } = self {
            return SandboxError::Exec {
                builder: candidates
                    .first()
                    .map(|path| path.to_string_lossy().into_owned())
                    .unwrap_or_default(),
                source,
            };
        }
        SetupError { step, path: path.map(host_path), source, mend: self.mend(errno) }.into()
    }
}

/// The path as the user knows it: without the place where the host's root lay for a moment.
fn host_path(path: &CStr) -> PathBuf {
    let bytes = path.to_bytes();
    PathBuf::from(OsStr::from_bytes(bytes.strip_prefix(HOST.as_bytes()).unwrap_or(bytes)))
}

/// A null-terminated array of strings, as execve takes it.
#[derive(Debug)]
pub(crate) struct CStrings {
    /// The owners of what `pointers` points to; a CString's bytes do not move with it.
    _strings: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

// SAFETY: the pointers lead into the heap blocks of `_strings`, which the same value owns and
// nobody changes, so both may go to another thread together.
unsafe impl Send for CStrings {}

impl CStrings {
    /// The array of these strings.
    pub(crate) fn new(strings: Vec<CString>) -> CStrings {
        let pointers =
            strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect();
        CStrings { _strings: strings, pointers }
    }

    /// The array's address.
    pub(crate) fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

/// Bytes as a C string; `field` names where they come from.
pub(crate) fn c_string(
    field: &'static str,
    bytes: impl Into<Vec<u8>>,
) -> Result<CString, SandboxError> {
    CString::new(bytes).map_err(|error| SandboxError::BadSpec {
        field,
        reason: format!("{:?} holds a zero byte", String::from_utf8_lossy(&error.into_vec())),
    })
}

/// A path as a C string.
pub(crate) fn c_path(path: &Path) -> Result<CString, SandboxError> {
    c_string("path", path.as_os_str().as_bytes())
}

/// A literal without zero bytes as a C string.
pub(crate) fn c_literal(text: &str) -> CString {
    CString::new(text).expect("literals hold no zero byte")
}

/// A canonical host path as it is reached while the host's root lies at [`HOST`].
pub(crate) fn behind(path: &Path) -> PathBuf {
    let mut bytes = HOST.as_bytes().to_vec();
    bytes.extend_from_slice(path.as_os_str().as_bytes());
    PathBuf::from(OsStr::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_host_paths() {
        let op = Op::Bind {
            source: c_literal("/.host/srv/x"),
            target: c_literal("/nix/store/x"),
            attributes: 0,
        };
        let text = op.error(libc::ENOENT).to_string();
        assert!(text.contains("binding on /srv/x"), "{text}");
        assert!(text.contains("was not removed"), "{text}");
    }

    #[test]
    fn zero_bytes_are_refused() {
        let error = c_string("args", *b"a\0b").unwrap_err().to_string();
        assert!(error.contains("args"), "{error}");
    }
}
