//! One client's connection: its opening, then what it asks for, one thing after another. A client
//! that says nothing, says rubbish or goes away costs its own connection and nobody else's.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use floe_core::hash::Digest;
use floe_engine::cancel::Cancel;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::frame;
use crate::outlet::Outlet;
use crate::protocol::{Ask, Build, Opening, Purpose, Say, VERSION};
use crate::work::{Ears, Work};

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// After a change, so long nothing more must change before it is told: whoever saves a file may be
/// saving several.
const CALM: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// What a server answers to who asks for the store: it is free.
pub(crate) const FREE: u8 = b'f';
/// It is in use, and will be let go of.
pub(crate) const BUSY: u8 = b'b';

/// Hears a client out.
pub(crate) fn serve(stream: UnixStream, work: &Work, identity: Digest, ears: &Ears) {
    if let Some(purpose) = greet(&stream, identity) {
        match purpose {
            Purpose::Ask => answer(stream, work, ears),
            Purpose::Stop => {
                work.stop();
                // The connection ends with the process: that is the answer.
                std::mem::forget(stream);
            }
            Purpose::Release => release(stream, work),
        }
    }
}

/// What the client is here for, if it is one of us.
fn greet(stream: &UnixStream, identity: Digest) -> Option<Purpose> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let opening = Opening::receive(&mut &*stream).ok()??;
    let own = Opening { version: VERSION, purpose: opening.purpose, identity };
    own.send(&mut &*stream).ok()?;
    let is_equal = opening.version == VERSION && opening.identity == identity;
    (is_equal || opening.purpose != Purpose::Ask).then_some(opening.purpose)
}

fn release(mut stream: UnixStream, work: &Work) {
    let _asker = work.release(|is_free| {
        let _ = stream.write_all(&[if is_free { FREE } else { BUSY }]);
    });
    // Until it ends.
    let _ = stream.set_read_timeout(None);
    while stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
}

fn answer(stream: UnixStream, work: &Work, ears: &Ears) {
    let Ok(mut next) = frame::receive::<Ask>(&mut &stream) else { return };
    let (Ok(reader), Ok(other)) = (stream.try_clone(), stream.try_clone()) else { return };
    let Ok(outlet) = Outlet::new(other) else { return };
    let current: Arc<Mutex<Option<Cancel>>> = Arc::default();
    let cancelled = Arc::clone(&current);
    let (sender, asks) = channel();
    let thread = std::thread::Builder::new().name("floe-hear".into()).spawn(move || {
        // Its end, or what cannot be understood, ends all that the client asked for.
        let _ = reader.set_read_timeout(None);
        while let Ok(ask) = frame::receive::<Ask>(&mut &reader) {
            match ask {
                Ask::Cancel => cancel(&cancelled),
                ask => drop(sender.send(ask)),
            }
        }
        drop(sender);
        let _ = reader.shutdown(std::net::Shutdown::Both);
        cancel(&cancelled);
    });
    if thread.is_err() {
        return;
    }
    let mut last = None;
    loop {
        let is_heard = match next {
            Ask::Build(build) => {
                let stop = Cancel::default();
                *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(stop.clone());
                listen(ears, &outlet);
                let built = work.build(&build, &outlet, &stop);
                *current.lock().unwrap_or_else(PoisonError::into_inner) = None;
                last = Some(build);
                outlet.say(&Say::Built(built))
            }
            Ask::Status => outlet.say(&Say::Status(work.status())),
            Ask::Change => match last.as_deref() {
                Some(build) => wait_for_change(&stream, work, build, &outlet),
                None => outlet.say(&Say::Unwatched),
            },
            Ask::Cancel => true,
        };
        match asks_next(&asks) {
            Some(ask) if is_heard => next = ask,
            _ => return,
        }
    }
}

fn asks_next(asks: &Receiver<Ask>) -> Option<Ask> {
    asks.recv().ok()
}

fn cancel(current: &Mutex<Option<Cancel>>) {
    let cancel = current.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(cancel) = cancel {
        cancel.cancel();
    }
}

/// Lets this client hear what is told to all, and forgets those who are gone.
fn listen(ears: &Ears, outlet: &Arc<Outlet>) {
    let mut ears = ears.lock().unwrap_or_else(PoisonError::into_inner);
    ears.retain(|ear| ear.strong_count() > 0);
    if !ears.iter().any(|ear| std::ptr::eq(ear.as_ptr(), Arc::as_ptr(outlet))) {
        ears.push(Arc::downgrade(outlet));
    }
}

/// Tells the client when something changes; whether it is still there.
fn wait_for_change(stream: &UnixStream, work: &Work, build: &Build, outlet: &Outlet) -> bool {
    let Some(alarm) = work.alarm(build) else { return outlet.say(&Say::Unwatched) };
    if !wakes(stream.as_fd(), &alarm) {
        return false;
    }
    outlet.say(&Say::Changed)
}

/// Waits for the alarm and then until it is calm; false if the client goes away before.
fn wakes(client: BorrowedFd<'_>, alarm: &OwnedFd) -> bool {
    let mut ends =
        [PollFd::new(alarm, PollFlags::IN), PollFd::from_borrowed_fd(client, PollFlags::RDHUP)];
    loop {
        match poll(&mut ends, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) if !ends[1].revents().is_empty() => return false,
            Ok(_) => break,
        }
    }
    // Nothing is taken out of the queue: that is the next request's affair.
    let mut client = [PollFd::from_borrowed_fd(client, PollFlags::RDHUP)];
    !matches!(poll(&mut client, Some(&CALM)), Ok(1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(
        _: &floe_lang::EvalError,
        _: &dyn Fn(&std::path::Path) -> Option<Vec<u8>>,
        _: bool,
        _: bool,
    ) -> Vec<u8> {
        Vec::new()
    }

    /// What a server says to these bytes, until it hangs up.
    fn said(bytes: &[u8]) -> Vec<u8> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ears = Ears::default();
        let work = Work::new(&dir.path().join("root"), &ears, nothing).expect("is made");
        let (mut client, server) = UnixStream::pair().expect("a pair");
        client.write_all(bytes).expect("is sent");
        client.shutdown(std::net::Shutdown::Write).expect("is ours");
        serve(server, &work, Digest([1; 32]), &ears);
        let mut heard = Vec::new();
        // What it did not read makes its hanging up a reset.
        let _ = client.read_to_end(&mut heard);
        heard
    }

    fn opening(identity: u8, version: u32) -> Vec<u8> {
        let identity = Digest([identity; 32]);
        Opening { version, purpose: Purpose::Ask, identity }.bytes().to_vec()
    }

    #[test]
    fn rubbish_costs_the_connection_and_no_more() {
        assert_eq!(said(b""), b"");
        assert_eq!(said(b"GET / HTTP/1.1\r\n\r\n"), b"");
        assert_eq!(said(&[0xff; 4096]), b"");
        let own = opening(1, VERSION);
        assert_eq!(said(&own), own, "an opening and nothing more");
        for rubbish in [&[0xff; 64][..], &[3, 0, 0, 0, 9, 9, 9], &[0, 0, 0, 0]] {
            assert_eq!(said(&[own.as_slice(), rubbish].concat()), own);
        }
    }

    #[test]
    fn another_build_of_floe_hears_who_it_is_and_no_more() {
        let ask = frame::pack(&Ask::Status).expect("packs");
        for stranger in [opening(2, VERSION), opening(1, VERSION + 1)] {
            assert_eq!(said(&[stranger, ask.clone()].concat()), opening(1, VERSION));
        }
    }

    /// One that stays to hear it: whoever has gone is not answered.
    #[test]
    fn an_equal_is_answered() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ears = Ears::default();
        let work = Work::new(&dir.path().join("root"), &ears, nothing).expect("is made");
        let (mut client, server) = UnixStream::pair().expect("a pair");
        let ask = frame::pack(&Ask::Status).expect("packs");
        client.write_all(&[opening(1, VERSION), ask].concat()).expect("is sent");
        let mut heard = vec![0; opening(1, VERSION).len() + 1];
        std::thread::scope(|scope| {
            scope.spawn(|| serve(server, &work, Digest([1; 32]), &ears));
            client.read_exact(&mut heard).expect("it says more than who it is");
            drop(client);
        });
        assert!(heard.starts_with(&opening(1, VERSION)));
    }
}
