//! The server's process: it takes its root's lock, listens, gives each client a thread, and ends
//! when it is asked to, when nobody has needed it for a while, or when its root is not where it was.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::connection::serve;
use crate::place::{Listening, Place, PlaceError};
use crate::protocol::identity;
use crate::work::{Ears, ShowError, Work};

/// How often it looks around when nothing happens.
const ROUND: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// After so many of them in which all that goes on is wanted by nobody, it ends.
const MAX_ABANDONED: usize = 10;

/// More clients at a time are turned away.
const MAX_CLIENTS: usize = 256;

/// What a server is told to do.
pub struct Orders {
    /// The store root.
    pub root: PathBuf,
    /// End after so long without a request or a client.
    pub idle: Duration,
    /// Let go of the store, and of what memory can be spared, after so long without a request.
    pub linger: Duration,
    /// How evaluation errors are shown.
    pub show: ShowError,
}

/// What is written to whoever started a server when it listens.
pub const READY: &[u8] = b"ready\n";

/// Runs until there is no more reason to; `ready` hears when clients may come, `stop` is set by
/// whoever wants it to end.
///
/// # Errors
/// When it cannot listen.
pub fn run(
    orders: &Orders,
    ready: impl FnOnce(&[u8]),
    stop: &AtomicBool,
) -> Result<(), PlaceError> {
    let place = Place::create(&orders.root)?;
    let Some(_lock) = place.lock(true)? else { return Ok(()) };
    let listening = place.listen()?;
    let ears = Ears::default();
    let work = Work::new(&orders.root, &ears, orders.show);
    let work = Arc::new(work.map_err(|source| PlaceError::Io {
        action: "prepare to serve",
        path: orders.root.clone(),
        source,
    })?);
    ready(READY);
    let clients = Arc::new(AtomicUsize::new(0));
    let identity = identity();
    let mut abandoned = 0;
    while !stop.load(Ordering::SeqCst) && has_reason(&place, &listening, &work, &clients, orders) {
        let mut ends = [
            PollFd::new(&listening.listener, PollFlags::IN),
            PollFd::new(work.ending(), PollFlags::IN),
        ];
        if !matches!(poll(&mut ends, Some(&ROUND)), Ok(1..)) {
            work.close_if_idle(orders.linger);
            work.rest_if_idle(orders.linger);
            abandoned = if work.is_abandoned() { abandoned + 1 } else { 0 };
            if abandoned > MAX_ABANDONED {
                // An evaluation cannot be stopped, but nobody needs this process.
                place.close(&listening);
                return Ok(());
            }
            continue;
        }
        let Ok((stream, _)) = listening.listener.accept() else { continue };
        // Whoever came to a root that was moved here is not to work on the place it was at.
        if !place.is_in_place() || !place.holds(&listening) {
            break;
        }
        if clients.load(Ordering::SeqCst) >= MAX_CLIENTS || place.check_peer(&stream).is_err() {
            continue;
        }
        let client = Client::count(&clients);
        let (work, ears) = (Arc::clone(&work), Arc::clone(&ears));
        let thread = std::thread::Builder::new().name("floe-client".into());
        // A client that gets no thread sees its connection end.
        let _ = thread.spawn(move || {
            let _client = client;
            if is_blocking(&stream) {
                serve(stream, &work, identity, &ears);
            }
        });
    }
    place.close(&listening);
    drop(listening);
    if !work.is_stopping() {
        // Nobody asked for it who would wait.
        work.cancel();
    }
    work.stop();
    Ok(())
}

/// Whether there is any reason to go on.
fn has_reason(
    place: &Place,
    listening: &Listening,
    work: &Work,
    clients: &AtomicUsize,
    orders: &Orders,
) -> bool {
    let is_idle = clients.load(Ordering::SeqCst) == 0
        && work.idle().is_some_and(|since| since >= orders.idle);
    !is_idle && !work.is_stopping() && place.is_in_place() && place.holds(listening)
}

/// A stream that was accepted does not block, as its listener did not, on some systems.
fn is_blocking(stream: &UnixStream) -> bool {
    stream.set_nonblocking(false).is_ok()
}

/// One client that is counted.
struct Client(Arc<AtomicUsize>);

impl Client {
    fn count(clients: &Arc<AtomicUsize>) -> Client {
        clients.fetch_add(1, Ordering::SeqCst);
        Client(Arc::clone(clients))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Makes this process one of its own: it outlives the terminal that it was started from, and keeps
/// no directory from being removed.
///
/// # Errors
/// When there is no root directory.
pub fn detach() -> io::Result<()> {
    // It fails in a process that leads a group already, which a terminal does not end either.
    let _ = rustix::process::setsid();
    // It was started by a path that says nothing; failing costs the name.
    let _ = rustix::thread::set_name(c"floe-server");
    std::env::set_current_dir(Path::new("/"))
}

/// Gives up standard output, which whoever started this process reads to its end.
///
/// # Errors
/// When there is no null device.
pub fn fall_silent() -> io::Result<()> {
    let nothing = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(nothing)?)
}
