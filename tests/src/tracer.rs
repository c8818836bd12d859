//! A command under ptrace: every call by which one of its threads changes files is counted, and the command is killed
//! before the one that the test names. `unsafe` lives here. Processes that it starts (builders, clients) run untraced.

use std::collections::HashSet;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::ptr;

use libc::{c_int, c_long, pid_t};

/// How a traced command ended.
#[derive(Debug)]
pub struct Traced {
    /// The calls that changed files, in order; the last one was not carried out if it was killed.
    pub changes: Vec<&'static str>,
    /// Its end.
    pub status: ExitStatus,
}

impl Traced {
    /// Whether it was killed by us.
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(libc::SIGKILL)
    }
}

/// How a call tells what it changes.
#[derive(Clone, Copy)]
enum By {
    /// By a path: it counts wherever that leads.
    Path,
    /// By a path, if the flags in this argument create the file.
    Creating(usize),
    /// By a descriptor in this argument: it counts if that is a file below the directory.
    Descriptor(usize),
}

/// The calls that change files.
const CHANGES: &[(c_long, &str, By)] = &[
    (libc::SYS_openat, "create", By::Creating(2)),
    (libc::SYS_mkdirat, "mkdir", By::Path),
    (libc::SYS_unlinkat, "unlink", By::Path),
    (libc::SYS_renameat, "rename", By::Path),
    (libc::SYS_renameat2, "rename", By::Path),
    (libc::SYS_linkat, "link", By::Path),
    (libc::SYS_symlinkat, "symlink", By::Path),
    (libc::SYS_fchmodat, "chmod", By::Path),
    (libc::SYS_fchmod, "chmod", By::Descriptor(0)),
    (libc::SYS_fchownat, "chown", By::Path),
    (libc::SYS_fchown, "chown", By::Descriptor(0)),
    (libc::SYS_utimensat, "utimens", By::Path),
    (libc::SYS_truncate, "truncate", By::Path),
    (libc::SYS_ftruncate, "truncate", By::Descriptor(0)),
    (libc::SYS_fallocate, "fallocate", By::Descriptor(0)),
    (libc::SYS_write, "write", By::Descriptor(0)),
    (libc::SYS_writev, "write", By::Descriptor(0)),
    (libc::SYS_pwrite64, "write", By::Descriptor(0)),
    (libc::SYS_sendfile, "write", By::Descriptor(0)),
    (libc::SYS_copy_file_range, "write", By::Descriptor(2)),
    (libc::SYS_fsync, "sync", By::Descriptor(0)),
    (libc::SYS_fdatasync, "sync", By::Descriptor(0)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "create", By::Creating(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "mkdir", By::Path),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rmdir, "unlink", By::Path),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_unlink, "unlink", By::Path),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_rename, "rename", By::Path),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_link, "link", By::Path),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_symlink, "symlink", By::Path),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, "chmod", By::Path),
];

/// Runs a command to its end, or kills it when it is about to change files for the `kill_at`-th time (the first is 0).
/// Descriptors count where they are files below `dir`.
pub fn trace(command: &mut Command, dir: &Path, kill_at: Option<usize>) -> io::Result<Traced> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec the child makes one call that takes no memory.
    unsafe { command.pre_exec(|| request(libc::PTRACE_TRACEME, 0, 0, 0).map(drop)) };
    let child = command.spawn()?;
    let leader = pid_t::try_from(child.id()).map_err(io::Error::other)?;
    // It has stopped at its exec.
    if let Some(status) = wait(leader)?.1.filter(|status| libc::WIFEXITED(*status)) {
        return Err(io::Error::other(format!("it ended before it began ({status})")));
    }
    // Whoever traces takes what it traces along when it ends; other processes are not followed.
    let options = libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
    request(libc::PTRACE_SETOPTIONS, leader, 0, options as u64)?;
    resume(leader, 0);
    let mut changes = Vec::new();
    let mut known = HashSet::from([leader]);
    loop {
        let (thread, Some(status)) = wait(-1)? else { continue };
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            if thread == leader {
                return Ok(Traced { changes, status: ExitStatus::from_raw(status) });
            }
            continue;
        }
        let signal = libc::WSTOPSIG(status);
        if signal == libc::SIGTRAP | 0x80 {
            if let Some(change) = change(thread, dir) {
                changes.push(change);
                if kill_at == Some(changes.len() - 1) {
                    // SAFETY: no pointers; the leader has not been waited for, so the number is its.
                    unsafe { libc::kill(leader, libc::SIGKILL) };
                    continue;
                }
            }
            resume(thread, 0);
        } else if known.insert(thread) || signal == libc::SIGTRAP {
            // A new thread's first stop, or news of one: no signal of its own.
            resume(thread, 0);
        } else {
            resume(thread, signal);
        }
    }
}

/// The change that a thread is about to make, if it stands before a call that makes one.
fn change(thread: pid_t, dir: &Path) -> Option<&'static str> {
    // SAFETY: an all-zero struct is valid.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of_val(&info);
    request(libc::PTRACE_GET_SYSCALL_INFO, thread, size as u64, &raw mut info as u64).ok()?;
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: at the entry of a call the kernel has filled in this member.
    let entry = unsafe { info.u.entry };
    let (_, name, by) = CHANGES.iter().find(|(number, ..)| *number as u64 == entry.nr)?;
    let counts = match by {
        By::Path => true,
        By::Creating(flags) => entry.args[*flags] as c_int & libc::O_CREAT != 0,
        By::Descriptor(argument) => {
            let fd = entry.args[*argument] as c_int;
            std::fs::read_link(format!("/proc/{thread}/fd/{fd}"))
                .is_ok_and(|at| at.starts_with(dir))
        }
    };
    counts.then_some(*name)
}

/// Lets a thread go on to its next call, with a signal or none. It may be dying, which its next report will tell.
fn resume(thread: pid_t, signal: c_int) {
    let _ = request(libc::PTRACE_SYSCALL, thread, 0, signal as u64);
}

/// The next report of a thread that this thread traces, and nobody else's.
fn wait(thread: pid_t) -> io::Result<(pid_t, Option<c_int>)> {
    let mut status = 0;
    // SAFETY: the result lives through the call.
    match unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL | libc::__WNOTHREAD) } {
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok((0, None)),
            error => Err(error),
        },
        thread => Ok((thread, Some(status))),
    }
}

fn request(request: libc::c_uint, thread: pid_t, address: u64, data: u64) -> io::Result<c_long> {
    let address = ptr::with_exposed_provenance_mut::<libc::c_void>(address as usize);
    let data = ptr::with_exposed_provenance_mut::<libc::c_void>(data as usize);
    // SAFETY: the requests made here take numbers, or the address and size of a struct that its caller keeps alive.
    match unsafe { libc::ptrace(request, thread, address, data) } {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
