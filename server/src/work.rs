//! The requests of a server, from whoever they come: who may begin when, what they share, and when
//! the store is let go of. Knows no socket.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use floe_engine::cancel::Cancel;
use floe_engine::event::{Event, Events};
use floe_engine::share::Jobs;
use floe_engine::slot::Slot;
use floe_lang::EvalError;
use floe_store::Mode;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use rustix::fs::statfs;

use crate::outlet::Outlet;
use crate::pool::{Key, Pool, resident_bytes};
use crate::protocol::{Answer, Build, Fault, Holds, Status};
use crate::warm::Warm;

/// How an evaluation error is shown: with the texts of sources, with every frame or not, coloured or
/// not.
pub type ShowError = fn(&EvalError, &dyn Fn(&Path) -> Option<Vec<u8>>, bool, bool) -> Vec<u8>;

/// How long whoever asked for the store has to take it before others may.
const HEAD_START: Duration = Duration::from_millis(200);

/// How often it is looked whether jobs that nobody waits for have ended.
const TICK: Duration = Duration::from_millis(20);

/// What a server works with.
pub(crate) struct Work {
    slot: Arc<Slot>,
    jobs: Arc<Jobs>,
    pool: Pool,
    desk: Mutex<Desk>,
    changed: Condvar,
    root: PathBuf,
    show: ShowError,
    started: Instant,
    /// Becomes readable when the server is to end.
    ending: OwnedFd,
}

/// Who is there.
#[derive(Default)]
struct Desk {
    /// Requests that go on.
    requests: u64,
    /// What ends each of them.
    cancels: Vec<Weak<Cancel>>,
    /// Those who wait for the store.
    waiting: u64,
    /// Those who asked for it and are still there.
    askers: u64,
    /// Until when others leave it to them.
    head_start: Option<Instant>,
    /// When the last request ended.
    ended: Option<Instant>,
    /// Whether memory was given back since then.
    is_resting: bool,
    is_stopping: bool,
}

impl Desk {
    fn must_wait(&self) -> bool {
        let is_promised = || self.head_start.is_some_and(|until| Instant::now() < until);
        self.waiting > 0 || (self.askers > 0 && is_promised())
    }
}

/// Those who are told that the store is waited for.
pub(crate) type Ears = Arc<Mutex<Vec<Weak<Outlet>>>>;

impl Work {
    pub(crate) fn new(root: &Path, ears: &Ears, show: ShowError) -> io::Result<Work> {
        let ears = Arc::clone(ears);
        let tell = Events::to(move |event| {
            let Event::Note(text) = event else { return };
            for outlet in ears.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                if let Some(outlet) = outlet.upgrade() {
                    outlet.tell(Event::Note(text.clone()));
                }
            }
        });
        let slot = Slot::closed(root, true, tell);
        let ending = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Work {
            slot: Arc::new(slot),
            jobs: Arc::default(),
            pool: Pool::default(),
            desk: Mutex::default(),
            changed: Condvar::new(),
            root: root.to_path_buf(),
            show,
            started: Instant::now(),
            ending,
        })
    }

    /// Becomes readable when somebody wants the server to end.
    pub(crate) fn ending(&self) -> &OwnedFd {
        &self.ending
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, desk: MutexGuard<'a, Desk>, longest: Duration) -> MutexGuard<'a, Desk> {
        self.changed.wait_timeout(desk, longest).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Carries a request out.
    pub(crate) fn build(
        &self,
        build: &Build,
        outlet: &Arc<Outlet>,
        cancel: &Cancel,
    ) -> Result<Answer, Fault> {
        let token = Arc::new(cancel.clone());
        let _pass = self.enter(&token)?;
        let key = key(build);
        let mut taken = Taken { pool: &self.pool, key: &key, warm: self.pool.take(&key) };
        // What is broken by a panic is dropped with what it broke.
        let caught =
            catch_unwind(AssertUnwindSafe(|| self.with(&mut taken, build, outlet, cancel)));
        caught.unwrap_or_else(|_| {
            taken.warm = None;
            Err(Fault::Words("floe itself failed; the server's log says more".to_owned()))
        })
    }

    fn with(
        &self,
        taken: &mut Taken<'_>,
        build: &Build,
        outlet: &Arc<Outlet>,
        cancel: &Cancel,
    ) -> Result<Answer, Fault> {
        let building = || self.pool.builds(taken.key);
        loop {
            // While it is used it is nowhere else: a panic leaves none behind.
            let mut warm = match taken.warm.take() {
                Some(warm) => warm,
                None => Box::new(Warm::start(&build.source, &self.slot, &self.jobs)?),
            };
            if let Ok(result) = warm.build(build, outlet, cancel, &building, self.show) {
                taken.warm = Some(warm).filter(|warm| warm.is_worth_keeping());
                return result;
            }
        }
    }

    /// Waits until a request may begin.
    fn enter(&self, cancel: &Arc<Cancel>) -> Result<Pass<'_>, Fault> {
        let mut desk = self.desk();
        while desk.must_wait() {
            if cancel.is_cancelled() {
                return Err(Fault::Interrupted);
            }
            desk = self.wait(desk, TICK);
        }
        desk.requests += 1;
        desk.cancels.retain(|cancel| cancel.strong_count() > 0);
        desk.cancels.push(Arc::downgrade(cancel));
        Ok(Pass(self))
    }

    fn left(&self) {
        let mut desk = self.desk();
        desk.requests -= 1;
        desk.ended = Some(Instant::now());
        desk.is_resting = false;
        if desk.askers > 0 {
            self.close(&mut desk);
        }
        self.changed.notify_all();
    }

    /// Lets go of the store unless somebody needs it.
    fn close(&self, desk: &mut Desk) -> bool {
        if desk.requests > 0 || !self.jobs.is_idle() {
            return false;
        }
        self.pool.each(Warm::let_go);
        self.slot.close();
        true
    }

    /// Lets go of the store if nobody has needed it for so long.
    pub(crate) fn close_if_idle(&self, linger: Duration) {
        let mut desk = self.desk();
        let is_over = desk.ended.is_some_and(|ended| ended.elapsed() >= linger);
        if is_over && self.slot.get().is_some() {
            self.close(&mut desk);
        }
    }

    /// Gives back what memory can be spared if nobody has needed the server for so long. Whoever comes
    /// in the midst of it waits for a part, not for the whole.
    pub(crate) fn rest_if_idle(&self, after: Duration) {
        let is_idle = |desk: &Desk| desk.requests == 0 && self.jobs.is_idle();
        {
            let mut desk = self.desk();
            let is_over = desk.ended.is_some_and(|ended| ended.elapsed() >= after);
            if !is_over || desk.is_resting || !is_idle(&desk) {
                return;
            }
            desk.is_resting = true;
        }
        let folder = has_room(&self.root).then_some(&*self.root);
        while is_idle(&self.desk()) && self.pool.any(|warm| warm.rest(folder)) {}
        floe_lang::give_back();
    }

    /// Whether nothing goes on, and for how long nothing has.
    pub(crate) fn idle(&self) -> Option<Duration> {
        let desk = self.desk();
        let since = desk.ended.unwrap_or(self.started);
        (desk.requests == 0 && self.jobs.is_idle()).then(|| since.elapsed())
    }

    /// Somebody asks for the store, and may have it as soon as nobody needs it: `free` is told
    /// whether that is at once. He stays until what is returned is dropped.
    pub(crate) fn release(&self, free: impl FnOnce(bool)) -> Asker<'_> {
        let mut desk = self.desk();
        desk.askers += 1;
        let is_free = self.close(&mut desk);
        if is_free {
            desk.head_start = Some(Instant::now() + HEAD_START);
            drop(desk);
            free(true);
            return Asker(self);
        }
        free(false);
        desk.waiting += 1;
        while !self.close(&mut desk) {
            desk = self.wait(desk, TICK);
        }
        desk.waiting -= 1;
        desk.head_start = Some(Instant::now() + HEAD_START);
        drop(desk);
        self.changed.notify_all();
        Asker(self)
    }

    /// Ends the requests that go on.
    pub(crate) fn cancel(&self) {
        let cancels = std::mem::take(&mut self.desk().cancels);
        cancels.iter().filter_map(Weak::upgrade).for_each(|cancel| cancel.cancel());
    }

    /// Whether requests go on, and nobody wants any of them.
    pub(crate) fn is_abandoned(&self) -> bool {
        let desk = self.desk();
        let is_wanted = |cancel: Arc<Cancel>| !cancel.is_cancelled();
        let wanted = desk.cancels.iter().filter_map(Weak::upgrade).any(is_wanted);
        desk.requests > 0 && !wanted && desk.waiting == 0 && self.jobs.is_idle()
    }

    /// No request begins any more; waits for those that go on.
    pub(crate) fn stop(&self) {
        let mut desk = self.desk();
        desk.is_stopping = true;
        // Whoever looks sees it, however often it is said.
        let _ = rustix::io::write(&self.ending, &1u64.to_ne_bytes());
        // Whoever comes now waits for ever, and sees his connection end.
        desk.waiting += 1;
        while !self.close(&mut desk) {
            desk = self.wait(desk, TICK);
        }
    }

    /// Whether it was asked to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.desk().is_stopping
    }

    pub(crate) fn status(&self) -> Status {
        let requests = self.desk().requests;
        let (mut kept, mut derivations, mut aside_bytes) = (0, 0, 0);
        self.pool.each(|warm| {
            kept += 1;
            aside_bytes += warm.aside_bytes();
            derivations += warm.derivations() as u64;
        });
        let holds = match self.slot.get().map(|store| store.mode()) {
            None => Holds::No,
            Some(Mode::ReadOnly) => Holds::Reading,
            Some(Mode::ReadWrite) => Holds::Writing,
        };
        Status {
            pid: std::process::id(),
            up_s: self.started.elapsed().as_secs(),
            requests,
            holds,
            kept,
            derivations,
            memory_bytes: resident_bytes(),
            aside_bytes,
        }
    }

    /// What becomes readable when something changes that this request rests on.
    pub(crate) fn alarm(&self, build: &Build) -> Option<rustix::fd::OwnedFd> {
        self.pool.of(&key(build), |warm| warm.alarm()).flatten()
    }
}

/// Whether a file at this path takes room that can be spared: on a disk of which a tenth is free, or plenty.
fn has_room(path: &Path) -> bool {
    /// tmpfs, ramfs.
    const MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58F6];
    /// Bytes: thirty times what 100,000 derivations lay aside.
    const PLENTY: u64 = 8 << 30;
    statfs(path).is_ok_and(|stat| {
        let (free, whole) =
            (stat.f_bavail * stat.f_bsize as u64, stat.f_blocks * stat.f_bsize as u64);
        !MEMORY.contains(&(stat.f_type as u64)) && free >= PLENTY.min(whole / 10)
    })
}

fn key(build: &Build) -> Key {
    (build.how.rebuilder.clone(), build.source.clone())
}

/// A warm evaluation in use; it is given back whatever happens.
struct Taken<'a> {
    pool: &'a Pool,
    key: &'a Key,
    warm: Option<Box<Warm>>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.pool.put(self.key, self.warm.take());
    }
}

/// A request that goes on.
struct Pass<'a>(&'a Work);

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.left();
    }
}

/// Somebody who asked for the store.
pub(crate) struct Asker<'a>(&'a Work);

impl Drop for Asker<'_> {
    fn drop(&mut self) {
        self.0.desk().askers -= 1;
        self.0.changed.notify_all();
    }
}
