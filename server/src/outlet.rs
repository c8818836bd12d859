//! What a client hears, in order. Nobody who has something to tell waits for it: a client that does
//! not listen loses lines of build logs, and is told how many. Knows messages, not what they mean.

use std::collections::VecDeque;
use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use floe_engine::event::Event;

use crate::frame;
use crate::happening::Happening;
use crate::protocol::Say;

/// So many bytes may wait to be heard before log lines are left out.
const WAITING: usize = 4 << 20;

/// A client that takes in nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// One client's ear.
pub(crate) struct Outlet {
    stream: UnixStream,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Vec<u8>>,
    bytes: usize,
    left_out: u64,
    /// Somebody writes what is in the queue.
    writing: bool,
    /// Nobody listens any more.
    gone: bool,
}

impl Outlet {
    pub(crate) fn new(stream: UnixStream) -> std::io::Result<Arc<Outlet>> {
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Arc::new(Outlet { stream, state: Mutex::default(), changed: Condvar::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of an event.
    pub(crate) fn tell(self: &Arc<Self>, event: Event) {
        let is_log = matches!(event, Event::Log { .. });
        let Some(happening) = Happening::of(event) else { return };
        let mut state = self.lock();
        if is_log && state.bytes > WAITING {
            state.left_out += 1;
            return;
        }
        if state.left_out > 0 {
            let left_out = std::mem::take(&mut state.left_out);
            let text =
                format!("{left_out} lines of build output are left out here: nobody read them");
            push(&mut state, &Say::Happened(Happening::Note(text)));
        }
        push(&mut state, &Say::Happened(happening));
        if !state.writing && !state.gone {
            state.writing = true;
            let own = Arc::clone(self);
            let thread = std::thread::Builder::new().name("floe-tell".into());
            if thread.spawn(move || own.write()).is_err() {
                state.writing = false;
            }
        }
    }

    /// Says something that must be heard, after all that was told before; whether it was.
    pub(crate) fn say(&self, say: &Say) -> bool {
        let mut state = self.lock();
        push(&mut state, say);
        if !state.writing {
            state.writing = true;
            drop(state);
            self.write();
            return !self.lock().gone;
        }
        let deadline = Instant::now() + PATIENCE;
        while state.writing && !state.gone {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.gone = true;
                break;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        !state.gone
    }

    /// Writes until the queue is empty.
    fn write(&self) {
        loop {
            let mut state = self.lock();
            if state.gone {
                state.queue.clear();
            }
            let Some(bytes) = state.queue.pop_front() else {
                state.writing = false;
                state.bytes = 0;
                self.changed.notify_all();
                return;
            };
            state.bytes -= bytes.len();
            drop(state);
            if (&self.stream).write_all(&bytes).is_err() {
                self.lock().gone = true;
                // Who reads what it says learns of it too.
                let _ = self.stream.shutdown(Shutdown::Both);
            }
        }
    }
}

fn push(state: &mut State, say: &Say) {
    if state.gone {
        return;
    }
    match frame::pack(say) {
        Ok(bytes) => {
            state.bytes += bytes.len();
            state.queue.push_back(bytes);
        }
        // An answer beyond all bounds: the client sees the connection end.
        Err(_) => state.gone = true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_does_not_listen_stops_nobody() {
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let outlet = Outlet::new(ours).expect("an outlet");
        let line = vec![b'x'; 1 << 16];
        for _ in 0..200 {
            outlet.tell(Event::Log { job: 1, name: "noisy".into(), line: line.clone() });
        }
        let reader = std::thread::spawn(move || {
            let mut theirs = theirs;
            let (mut lines, mut notes) = (0, 0);
            loop {
                match frame::receive(&mut theirs).expect("a message") {
                    Say::Happened(Happening::Log(..)) => lines += 1,
                    Say::Happened(Happening::Note(_)) => notes += 1,
                    Say::Changed => return (lines, notes),
                    other => panic!("{other:?}"),
                }
            }
        });
        outlet.tell(Event::Note("after".to_owned()));
        assert!(outlet.say(&Say::Changed));
        let (lines, notes) = reader.join().expect("reads");
        assert!((60..200).contains(&lines), "{lines}");
        assert!(notes >= 2, "what was left out, and the note: {notes}");
    }
}
