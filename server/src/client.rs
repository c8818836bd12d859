//! The client's end: finding the server of a root, starting one where there is none, ending one that
//! is of another build, asking, and asking for the store itself. What is heard is the caller's to
//! show.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::daemon::READY;
use crate::frame::{self, FrameError};
use crate::place::{Place, PlaceError};
use crate::protocol::{Ask, Opening, Purpose, Say, VERSION, identity};

/// How long a server may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(20);

/// So often another server is looked for in the place of one that ended or is of another build.
const TRIES: usize = 6;

/// Why there is no server to ask.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The root is no place for one.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// It did not come up.
    #[error("the server does not start: {why} ({log} may say more)")]
    Start {
        /// Why.
        why: String,
        /// Where it writes what goes wrong.
        log: PathBuf,
    },
    /// It does not answer, or not in a way that makes sense.
    #[error("the server does not answer: {0}; end it with `floe server stop`, or kill it")]
    Mute(FrameError),
    /// Each server that was found ended at once, or was of another build.
    #[error("each server ended before it could be asked; look into {0}")]
    Restless(PathBuf),
}

impl From<FrameError> for ClientError {
    fn from(error: FrameError) -> Self {
        ClientError::Mute(error)
    }
}

/// A connection to a server.
pub struct Client {
    stream: UnixStream,
}

/// How a connection began.
enum Greeting {
    Equal(Client),
    /// It is another build, or was started with other variables.
    Stranger,
    /// It ended meanwhile.
    Gone,
}

impl Client {
    /// Asks the server of this root, which is started if there is none and renewed if it is of
    /// another build.
    ///
    /// # Errors
    /// When there can be no server, or it does not answer.
    pub fn ask(root: &Path, ask: &Ask) -> Result<Client, ClientError> {
        let place = Place::create(root)?;
        for _ in 0..TRIES {
            let stream = match place.connect()? {
                Some(stream) => stream,
                None => match start(&place)? {
                    Some(stream) => stream,
                    None => continue,
                },
            };
            match Client::greet(stream, ask)? {
                Greeting::Equal(client) => return Ok(client),
                Greeting::Stranger => stop(&place)?,
                Greeting::Gone => {}
            }
        }
        Err(ClientError::Restless(place.log_path()))
    }

    /// Asks the server of this root if there is one of this build.
    ///
    /// # Errors
    /// When there is one that does not answer.
    pub fn ask_if_there(root: &Path, ask: &Ask) -> Result<Option<Client>, ClientError> {
        let Some(place) = Place::find(root)? else { return Ok(None) };
        let Some(stream) = place.connect()? else { return Ok(None) };
        Ok(match Client::greet(stream, ask)? {
            Greeting::Equal(client) => Some(client),
            Greeting::Stranger | Greeting::Gone => None,
        })
    }

    /// Opens the conversation and asks, without waiting in between.
    fn greet(mut stream: UnixStream, ask: &Ask) -> Result<Greeting, ClientError> {
        stream.set_read_timeout(Some(PATIENCE)).map_err(FrameError::Io)?;
        let opening = Opening { version: VERSION, purpose: Purpose::Ask, identity: identity() };
        let mut bytes = opening.bytes().to_vec();
        bytes.extend(frame::pack(ask)?);
        // One that ended, or hung up on a stranger, may have said something before.
        let _ = stream.write_all(&bytes);
        let heard = match Opening::receive(&mut stream) {
            Ok(heard) => heard,
            Err(error) if is_end(&error) => return Ok(Greeting::Gone),
            Err(error) => return Err(FrameError::Io(error).into()),
        };
        stream.set_read_timeout(None).map_err(FrameError::Io)?;
        Ok(match heard {
            Some(heard) if heard == opening => Greeting::Equal(Client { stream }),
            _ => Greeting::Stranger,
        })
    }

    /// Asks for the next thing.
    ///
    /// # Errors
    /// When the server is gone.
    pub fn say(&mut self, ask: &Ask) -> Result<(), FrameError> {
        frame::send(&mut self.stream, ask)
    }

    /// What the server says next.
    ///
    /// # Errors
    /// When it is gone.
    pub fn hear(&mut self) -> Result<Say, FrameError> {
        frame::receive(&mut self.stream)
    }

    /// Something that asks the server to stop working on the request.
    ///
    /// # Errors
    /// When there can be no more open files.
    pub fn canceller(&self) -> io::Result<impl Fn() + Send + Sync + use<>> {
        let stream = self.stream.try_clone()?;
        Ok(move || {
            // One that is gone has stopped.
            let _ = frame::send(&mut &stream, &Ask::Cancel);
        })
    }

    /// Something that ends the conversation.
    ///
    /// # Errors
    /// When there can be no more open files.
    pub fn closer(&self) -> io::Result<impl FnOnce() + Send + use<>> {
        let stream = self.stream.try_clone()?;
        Ok(move || {
            let _ = stream.shutdown(Shutdown::Both);
        })
    }
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}

/// How many arenas the C library's allocator has. What a server keeps is made by several threads among
/// much that they free; spread over an arena each, up to a third of its memory was holes.
const ARENAS: &str = "MALLOC_ARENA_MAX";

/// Starts a server and connects to it; one at a time does, the others find it there. `None` if it
/// ended meanwhile.
fn start(place: &Place) -> Result<Option<UnixStream>, ClientError> {
    let _right = place.starting()?;
    if let Some(stream) = place.connect()? {
        return Ok(Some(stream));
    }
    let log = place.log()?;
    let failed = |why: String| ClientError::Start { why, log: place.log_path() };
    // This very program, also if another one lies at its path by now.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("floe").args(["server", "run", "--detach", "--root"]).arg(place.root());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::from(log));
    if std::env::var_os(ARENAS).is_none() {
        command.env(ARENAS, "1");
    }
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let mut said = Vec::new();
    let stdout = child.stdout.take().expect("it is piped");
    let mut stdout = stdout.take(READY.len() as u64);
    stdout.read_to_end(&mut said).map_err(|error| failed(error.to_string()))?;
    if said != READY {
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        return Err(failed(format!("it ended with {status}")));
    }
    Ok(place.connect()?)
}

/// Ends the server of a root and waits until it has ended, so that its root is free.
fn stop(place: &Place) -> Result<(), ClientError> {
    let Some(mut stream) = place.connect()? else { return Ok(()) };
    let opening = Opening { version: VERSION, purpose: Purpose::Stop, identity: identity() };
    if opening.send(&mut stream).is_ok() {
        // It says who it is, and nothing more until it ends; one that crashes has ended too.
        let _ = io::copy(&mut stream, &mut io::sink());
    }
    Ok(())
}

/// Ends the server of a root, if there is one; whether there was.
///
/// # Errors
/// When it cannot be reached.
pub fn end(root: &Path) -> Result<bool, ClientError> {
    let Some(place) = Place::find(root)? else { return Ok(false) };
    let is_there = place.connect()?.is_some();
    stop(&place)?;
    if is_there {
        // Its last breath is after its socket's.
        drop(place.lock(true)?);
    }
    Ok(is_there)
}

/// The store, as far as the server has it to give: as long as this lives, the server lets go of it
/// whenever it does not need it.
pub struct Lease {
    _stream: UnixStream,
}

/// Asks the server of a root, if there is one, to let go of the store for this process. What does
/// not work is no fault: whoever then opens the store waits as for any other process.
pub fn release(root: &Path) -> Option<Lease> {
    let place = Place::find(root).ok()??;
    let mut stream = place.connect().ok()??;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let opening = Opening { version: VERSION, purpose: Purpose::Release, identity: identity() };
    opening.send(&mut stream).ok()?;
    Opening::receive(&mut stream).ok()??;
    // Whether it is free: if not, whoever opens the store says for whom he waits.
    stream.read_exact(&mut [0]).ok()?;
    Some(Lease { _stream: stream })
}
