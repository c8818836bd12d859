//! Where a store root's server is found: a socket and two locks in the root itself. The root is
//! reached through a handle, so that its path may be as long as it likes and may be moved.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, chmodat, fstat, openat, statat, unlinkat};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};

/// The socket's name in the root.
const SOCKET: &str = "server.sock";
/// Held by the server for its life.
const LOCK: &str = "server.lock";
/// Held by whoever starts one, until it answers.
const START: &str = "server.start";
/// What the server has to say besides: faults of its own.
const LOG: &str = "server.log";

/// How many clients may wait to be accepted.
const BACKLOG: i32 = 128;

/// Why a root cannot have a server.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The system said no.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Somebody else could listen, or take the socket away.
    #[error("{path} belongs to another user, or others may write to it (chmod go-w)")]
    Open {
        /// The root.
        path: PathBuf,
    },
    /// The other end is not the user's own.
    #[error("the server at {path} runs as user {found}, not as {user}")]
    Foreign {
        /// The root.
        path: PathBuf,
        /// Whose it is.
        found: u32,
        /// Who we are.
        user: u32,
    },
}

/// A store root as a place to meet.
pub struct Place {
    root: PathBuf,
    dir: OwnedFd,
}

impl Place {
    /// The root, if there is one.
    ///
    /// # Errors
    /// When it cannot be opened, or others could pretend to be its server.
    pub fn find(root: &Path) -> Result<Option<Place>, PlaceError> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::PATH;
        let dir = match openat(CWD, root, flags, Mode::empty()) {
            Ok(dir) => dir,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed("open the directory", root)(error.into())),
        };
        let stat = fstat(&dir).map_err(|error| failed("inspect", root)(error.into()))?;
        if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o022 != 0 {
            return Err(PlaceError::Open { path: root.to_path_buf() });
        }
        Ok(Some(Place { root: root.to_path_buf(), dir }))
    }

    /// The root, made if need be.
    ///
    /// # Errors
    /// As [`Place::find`], or when it cannot be made.
    pub fn create(root: &Path) -> Result<Place, PlaceError> {
        loop {
            if let Some(place) = Place::find(root)? {
                return Ok(place);
            }
            let mut maker = std::fs::DirBuilder::new();
            maker.recursive(true).mode(0o755);
            maker.create(root).map_err(failed("create the directory", root))?;
        }
    }

    /// The root's path, as it was given.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Something in the root, by a short path.
    fn inside(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.dir.as_raw_fd()))
    }

    /// Connects to the server; `None` when there is none.
    ///
    /// # Errors
    /// When the socket cannot be used, or another user listens.
    pub fn connect(&self) -> Result<Option<UnixStream>, PlaceError> {
        let stream = match UnixStream::connect(self.inside(SOCKET)) {
            Ok(stream) => stream,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                    _ => Err(failed("connect to", &self.root.join(SOCKET))(error)),
                };
            }
        };
        self.check_peer(&stream)?;
        Ok(Some(stream))
    }

    /// Refuses the other end unless it is the user's own.
    ///
    /// # Errors
    /// When it is not, or cannot be told.
    pub fn check_peer(&self, stream: &UnixStream) -> Result<(), PlaceError> {
        let peer = rustix::net::sockopt::socket_peercred(stream).map_err(|error| {
            failed("inspect the other end of", &self.root.join(SOCKET))(error.into())
        })?;
        let (found, user) = (peer.uid.as_raw(), rustix::process::geteuid().as_raw());
        match found == user {
            true => Ok(()),
            false => Err(PlaceError::Foreign { path: self.root.clone(), found, user }),
        }
    }

    /// Listens, in the place of a server that died. The caller holds the server's lock.
    ///
    /// # Errors
    /// When there can be no socket.
    pub fn listen(&self) -> Result<Listening, PlaceError> {
        let listener = self.make_socket().map_err(|error| {
            failed("listen at", &self.root.join(SOCKET))(io::Error::from(error))
        })?;
        let seen = self.socket().ok_or_else(|| {
            failed("listen at", &self.root.join(SOCKET))(io::ErrorKind::NotFound.into())
        })?;
        Ok(Listening { listener, socket: seen })
    }

    fn make_socket(&self) -> rustix::io::Result<UnixListener> {
        match unlinkat(&self.dir, SOCKET, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error),
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        bind(&socket, &SocketAddrUnix::new(self.inside(SOCKET))?)?;
        // Nobody connects before it listens.
        chmodat(&self.dir, SOCKET, Mode::RUSR | Mode::WUSR, AtFlags::empty())?;
        listen(&socket, BACKLOG)?;
        Ok(UnixListener::from(socket))
    }

    /// Which socket lies in the root now.
    fn socket(&self) -> Option<(u64, u64)> {
        let stat = statat(&self.dir, SOCKET, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((stat.st_dev, stat.st_ino))
    }

    /// Whether the root's path still leads to this directory.
    pub fn is_in_place(&self) -> bool {
        match (fstat(&self.dir), std::fs::metadata(&self.root)) {
            (Ok(own), Ok(there)) => (own.st_dev, own.st_ino) == (there.dev(), there.ino()),
            _ => false,
        }
    }

    /// Whether this socket still lies in the root.
    pub fn holds(&self, listening: &Listening) -> bool {
        self.socket() == Some(listening.socket)
    }

    /// Takes the socket away, if it is this one.
    pub fn close(&self, listening: &Listening) {
        if self.holds(listening) {
            // What stays is refused, and the next server takes it away.
            let _ = unlinkat(&self.dir, SOCKET, AtFlags::empty());
        }
    }

    /// The server's lock; waits for another holder if asked, and says nothing to him.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub fn lock(&self, wait: bool) -> Result<Option<File>, PlaceError> {
        let file = self.open(LOCK, true)?;
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if !wait => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(failed("lock", &self.root.join(LOCK))(error));
            }
        }
        file.lock().map_err(failed("lock", &self.root.join(LOCK)))?;
        Ok(Some(file))
    }

    /// The right to start a server: one at a time has it.
    ///
    /// # Errors
    /// When it cannot be taken.
    pub fn starting(&self) -> Result<File, PlaceError> {
        let file = self.open(START, true)?;
        file.lock().map_err(failed("lock", &self.root.join(START)))?;
        Ok(file)
    }

    /// The file for what the server has to say.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn log(&self) -> Result<File, PlaceError> {
        let file = self.open(LOG, false)?;
        file.set_len(0).map_err(failed("empty", &self.root.join(LOG)))?;
        Ok(file)
    }

    /// Where that file lies.
    pub fn log_path(&self) -> PathBuf {
        self.root.join(LOG)
    }

    fn open(&self, name: &str, lock: bool) -> Result<File, PlaceError> {
        let mut options = OpenOptions::new();
        options.read(lock).write(lock).append(!lock).create(true).truncate(false).mode(0o600);
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
        options.open(self.inside(name)).map_err(failed("open", &self.root.join(name)))
    }
}

/// A socket that is listened at.
pub struct Listening {
    /// The listener; it does not block.
    pub listener: UnixListener,
    /// Device and number of its file.
    socket: (u64, u64),
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PlaceError + use<> {
    let path = path.to_path_buf();
    move |source| PlaceError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_path_has_a_socket_and_a_stale_one_is_none() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let root = dir.path().join("long".repeat(40));
        assert!(Place::find(&root).expect("nothing is wrong").is_none());
        let place = Place::create(&root).expect("is made");
        assert!(place.connect().expect("nothing is wrong").is_none());
        let listening = place.listen().expect("listens");
        assert!(place.connect().expect("connects").is_some());
        assert!(place.holds(&listening));
        drop(listening);
        assert!(place.connect().expect("nothing is wrong").is_none(), "nobody listens");
        let again = place.listen().expect("takes the place of the dead");
        assert!(place.connect().expect("connects").is_some());
        assert!(place.is_in_place());
        std::fs::rename(&root, dir.path().join("elsewhere")).expect("ours");
        assert!(!place.is_in_place());
        place.close(&again);
    }

    #[test]
    fn a_root_that_others_may_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).expect("ours");
        assert!(matches!(Place::find(dir.path()), Err(PlaceError::Open { .. })));
    }
}
