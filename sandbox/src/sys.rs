//! The parent's side of the system calls that no safe library offers. `unsafe` lives here, each
//! use behind a safe function; nothing here knows what a build is.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use libc::{c_int, pid_t};

use crate::child::{self, Task};

/// Memory for a child to run on until it becomes its program, with a guard page below.
pub(crate) struct Stack {
    base: *mut libc::c_void,
}

const STACK_SIZE: usize = 128 * 1024;
const GUARD_SIZE: usize = 64 * 1024;

// SAFETY: the mapping belongs to this value alone and is only handed to children of one thread
// at a time (`start` takes it by mutable reference).
unsafe impl Send for Stack {}

impl Stack {
    pub(crate) fn new() -> io::Result<Stack> {
        // SAFETY: a fresh anonymous mapping at an address the kernel chooses.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                STACK_SIZE + GUARD_SIZE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Stack { base };
        // SAFETY: the lowest pages of our own mapping.
        match unsafe { libc::mprotect(base, GUARD_SIZE, libc::PROT_NONE) } {
            0 => Ok(stack),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which no child uses any more.
        unsafe { libc::munmap(self.base, STACK_SIZE + GUARD_SIZE) };
    }
}

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) pid: pid_t,
    pub(crate) pidfd: OwnedFd,
}

/// Starts a child that shares our memory, in the new namespaces that `flags` ask for, and waits
/// until it has become its program or died. Signals must be blocked in the calling thread.
pub(crate) fn start(task: &Task<'_>, flags: c_int, stack: &mut Stack) -> io::Result<Started> {
    let mut pidfd: c_int = -1;
    let flags = flags | libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: `child::main` only makes system calls on data that outlives it, on a stack of its
    // own, while this thread is suspended (CLONE_VFORK); it never returns into our frames. The
    // signals that could run our handlers in it are blocked. The kernel writes the pidfd to the
    // parent-tid argument.
    let pid = unsafe {
        libc::clone(
            child::main,
            stack.base.byte_add(STACK_SIZE + GUARD_SIZE),
            flags,
            ptr::from_ref(task).cast_mut().cast(),
            &raw mut pidfd,
        )
    };
    if pid == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: clone succeeded, so the kernel made this descriptor for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Started { pid, pidfd })
}

/// What a reaped process left behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reaped {
    pub(crate) status: c_int,
    pub(crate) cpu_user: Duration,
    pub(crate) cpu_system: Duration,
    pub(crate) max_resident_bytes: u64,
}

/// Waits for a child's end.
pub(crate) fn reap(pid: pid_t) -> io::Result<Reaped> {
    let mut status = 0;
    // SAFETY: an all-zero rusage is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both results live through the call.
        let result = unsafe { libc::wait4(pid, &raw mut status, libc::__WALL, &raw mut usage) };
        if result == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    Ok(Reaped {
        status,
        cpu_user: time(usage.ru_utime),
        cpu_system: time(usage.ru_stime),
        max_resident_bytes: usage.ru_maxrss as u64 * 1024,
    })
}

/// Kills the process, and with it the pid namespace it is the first process of.
pub(crate) fn kill(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no pointers but a null one, which asks for the default signal information.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::SIGKILL,
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Blocks every signal in this thread.
pub(crate) fn block_signals() {
    // SAFETY: the set is initialised by sigfillset before it is read; the old mask is not asked for.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut set);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut());
    }
}

/// The mask that blocks nothing.
pub(crate) fn no_signals() -> libc::sigset_t {
    // SAFETY: an all-zero set is valid, and sigemptyset makes it empty.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        set
    }
}

/// Gives up supplementary groups in this thread only, where that is permitted: inside a user
/// namespace it no longer would be.
pub(crate) fn drop_groups() {
    // SAFETY: a count of zero, so the null list is not read. Without the privilege it fails, and
    // the caller's groups stay, shown inside as nogroup.
    unsafe { libc::syscall(libc::SYS_setgroups, 0, ptr::null::<libc::gid_t>()) };
}

/// The landlock ABI of the running kernel, 0 where there is none.
pub(crate) fn landlock_abi() -> u32 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag a null attribute of size zero is what the call wants.
    let abi = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<u8>(), 0usize, VERSION)
    };
    u32::try_from(abi).unwrap_or(0)
}

/// Whether the kernel can filter calls with error numbers.
pub(crate) fn seccomp_known() -> io::Result<()> {
    const GET_ACTION_AVAILABLE: u32 = 2;
    let action: u32 = libc::SECCOMP_RET_ERRNO;
    // SAFETY: reads one word, which lives through the call.
    match unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAILABLE, 0, &raw const action) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Ignores the terminal's interrupt and quit keys while it lives, so that they reach only the
/// program in the foreground.
pub(crate) struct QuietKeys([libc::sigaction; 2]);

const KEYS: [c_int; 2] = [libc::SIGINT, libc::SIGQUIT];

impl QuietKeys {
    pub(crate) fn new() -> QuietKeys {
        QuietKeys(KEYS.map(|signal| {
            // SAFETY: both actions are valid structs; ignoring a signal runs no code of ours.
            unsafe {
                let mut ignore: libc::sigaction = std::mem::zeroed();
                let mut old: libc::sigaction = std::mem::zeroed();
                ignore.sa_sigaction = libc::SIG_IGN;
                libc::sigaction(signal, &raw const ignore, &raw mut old);
                old
            }
        }))
    }
}

impl Drop for QuietKeys {
    fn drop(&mut self) {
        for (signal, old) in KEYS.iter().zip(&self.0) {
            // SAFETY: puts back what the kernel told us before.
            unsafe { libc::sigaction(*signal, old, ptr::null_mut()) };
        }
    }
}
