//! What happens between clone and exec, in a child that shares its parent's memory while the
//! parent's thread is suspended. `unsafe` lives here. Only raw system calls over prebuilt data:
//! nothing may allocate, lock, panic or unwind.

use std::cell::Cell;
use std::ffi::CStr;
use std::os::fd::RawFd;
use std::ptr;

use libc::{c_int, c_long};

use crate::layers::Layers;
use crate::plan::Op;

/// What the child has to say; it is written in memory the parent reads after the child has
/// become its program or died.
#[derive(Debug)]
pub(crate) struct Report {
    /// The step that failed.
    pub(crate) failed: Cell<*const Op>,
    /// What the system said about it.
    pub(crate) errno: Cell<c_int>,
    /// The layers put up by [`Op::Layered`].
    pub(crate) layers: Cell<Layers>,
    /// Whether all steps were done.
    pub(crate) done: Cell<bool>,
}

impl Report {
    pub(crate) fn new() -> Report {
        Report {
            failed: Cell::new(ptr::null()),
            errno: Cell::new(0),
            layers: Cell::new(Layers::NONE),
            done: Cell::new(false),
        }
    }
}

/// What the child is given.
pub(crate) struct Task<'a> {
    pub(crate) ops: &'a [Op],
    pub(crate) report: &'a Report,
    /// The signal mask to start the program with.
    pub(crate) mask: libc::sigset_t,
}

type Step = Result<(), c_int>;

/// The child's whole life before exec.
pub(crate) extern "C" fn main(argument: *mut libc::c_void) -> c_int {
    // SAFETY: `spawn` passes a pointer to a live Task and stays suspended until we are gone.
    let task = unsafe { &*argument.cast::<Task<'_>>() };
    let done = perform_all(task, task.ops);
    // SAFETY: ends this process only; no destructor of the shared memory runs.
    unsafe { libc::_exit(if done.is_ok() { 0 } else { 127 }) }
}

fn perform_all(task: &Task<'_>, ops: &[Op]) -> Step {
    for op in ops {
        if let Err(errno) = perform(task, op) {
            if task.report.failed.get().is_null() {
                task.report.failed.set(op);
                task.report.errno.set(errno);
            }
            return Err(errno);
        }
    }
    Ok(())
}

fn perform(task: &Task<'_>, op: &Op) -> Step {
    match op {
        Op::DieWithParent => prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0),
        Op::DefaultSignals => default_signals(),
        Op::Write { path, content } => write_file(path, content, libc::O_WRONLY),
        Op::Propagation { flags } => mount(None, c"/", None, *flags, None),
        Op::Mount { kind, target, flags, data } => {
            mount(Some(kind), target, Some(kind), *flags, Some(data))
        }
        // SAFETY: a call with valid C strings (and no other pointers).
        Op::Mkdir { path, mode } => check(unsafe { libc::mkdir(path.as_ptr(), *mode) }),
        Op::Touch { path } => write_file(path, &[], libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL),
        Op::File { path, content } => write_file(
            path,
            content,
            libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW,
        ),
        Op::Symlink { target, path } => {
            // SAFETY: a call with valid C strings.
            check(unsafe { libc::symlink(target.as_ptr(), path.as_ptr()) })
        }
        Op::Bind { source, target, attributes } => {
            mount(Some(source), target, None, libc::MS_BIND | libc::MS_REC, None)?;
            match *attributes {
                0 => Ok(()),
                attributes => mount_attributes(target, attributes, libc::AT_RECURSIVE),
            }
        }
        Op::Attributes { path, attributes } => mount_attributes(path, *attributes, 0),
        Op::PivotRoot { new, old } => {
            // SAFETY: a call with valid C strings.
            check_long(unsafe { libc::syscall(libc::SYS_pivot_root, new.as_ptr(), old.as_ptr()) })
        }
        Op::Detach { path } => {
            // SAFETY: a call with a valid C string.
            check(unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) })?;
            // SAFETY: as above.
            check(unsafe { libc::rmdir(path.as_ptr()) })
        }
        // SAFETY: a call with a valid C string.
        Op::Chdir { path } => check(unsafe { libc::chdir(path.as_ptr()) }),
        Op::HostName => host_name(),
        Op::Loopback => loopback(),
        Op::Rendezvous { ready, go } => rendezvous(*ready, *go),
        // SAFETY: no pointers.
        Op::NewSession => check(unsafe { libc::setsid() }),
        Op::Umask { mask } => {
            // SAFETY: no pointers, cannot fail.
            unsafe { libc::umask(*mask) };
            Ok(())
        }
        Op::Stdio { log } => stdio(*log),
        Op::CloseFds => {
            // SAFETY: no pointers; the descriptor table is our own copy.
            check_long(unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) })
        }
        Op::Rlimit { resource, value } => {
            let limit = libc::rlimit64 { rlim_cur: *value, rlim_max: *value };
            // SAFETY: `limit` lives through the call; the old value is not asked for.
            check_long(unsafe {
                libc::syscall(
                    libc::SYS_prlimit64,
                    0,
                    *resource,
                    &raw const limit,
                    ptr::null_mut::<libc::rlimit64>(),
                )
            })
        }
        Op::LimitPids { most } => write_file(c"/proc/sys/kernel/pid_max", most, libc::O_WRONLY),
        Op::Personality => {
            // SAFETY: no pointers. Failing is harmless: addresses are then laid out at random.
            unsafe {
                let current = libc::personality(0xffff_ffff);
                if current != -1 {
                    libc::personality((current | libc::ADDR_NO_RANDOMIZE) as libc::c_ulong);
                }
            }
            Ok(())
        }
        Op::DropCapabilities => drop_capabilities(),
        Op::NoNewPrivileges => prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0),
        Op::Landlock { handled, scoped, rules } => landlock(*handled, *scoped, rules),
        Op::Seccomp { program } => {
            let program =
                libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
            prctl(
                libc::PR_SET_SECCOMP,
                u64::from(libc::SECCOMP_MODE_FILTER),
                &raw const program as u64,
            )
        }
        Op::Layered { layer, first, otherwise } => match (perform_all(task, first), otherwise) {
            (Ok(()), _) => {
                let report = task.report;
                report.layers.set(report.layers.get().with(*layer));
                Ok(())
            }
            (Err(_), Some(otherwise)) => {
                task.report.failed.set(ptr::null());
                perform_all(task, otherwise)
            }
            (Err(errno), None) => Err(errno),
        },
        Op::Exec { candidates, argv, envp } => {
            task.report.done.set(true);
            // SAFETY: the mask is a valid set; the old one is not asked for.
            unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const task.mask, ptr::null_mut()) };
            let mut worst = libc::ENOENT;
            for path in candidates {
                // SAFETY: valid C strings in null-terminated arrays; on success it does not return.
                unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
                if errno() != libc::ENOENT && errno() != libc::ENOTDIR {
                    worst = errno();
                }
            }
            task.report.done.set(false);
            Err(worst)
        }
        Op::Exit => {
            task.report.done.set(true);
            Ok(())
        }
    }
}

fn errno() -> c_int {
    // SAFETY: the address of this thread's errno is always valid; the parent's thread, whose
    // errno it is, is suspended.
    unsafe { *libc::__errno_location() }
}

fn check(result: c_int) -> Step {
    if result == -1 { Err(errno()) } else { Ok(()) }
}

fn check_long(result: c_long) -> Step {
    if result == -1 { Err(errno()) } else { Ok(()) }
}

fn prctl(option: c_int, first: u64, second: u64) -> Step {
    // SAFETY: the options used here take numbers, or a pointer that the caller keeps alive.
    check(unsafe { libc::prctl(option, first, second, 0u64, 0u64) })
}

fn default_signals() -> Step {
    // The kernel's own struct; all zero is the default action with an empty mask.
    let default = [0u64; 4];
    for signal in 1..=64 {
        // The C library would refuse its own two signals, which a parent may have ignored.
        // SAFETY: the kernel reads at most the four words and writes nothing; it refuses SIGKILL
        // and SIGSTOP, which is right.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<u64>(),
                8usize,
            );
        }
    }
    Ok(())
}

fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: u64,
    data: Option<&CStr>,
) -> Step {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: null or valid C strings.
    check(unsafe {
        libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, pointer(data).cast())
    })
}

fn mount_attributes(path: &CStr, set: u64, flags: c_int) -> Step {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: a valid C string, and a struct that lives through the call with its size.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
}

fn write_file(path: &CStr, content: &[u8], flags: c_int) -> Step {
    // SAFETY: a valid C string; the descriptor is closed below.
    let fd = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC, 0o444) };
    check(fd)?;
    let mut rest = content;
    let mut result = Ok(());
    while !rest.is_empty() && result.is_ok() {
        // SAFETY: reads `rest.len()` bytes at most, which are there.
        let count = unsafe { libc::write(fd, rest.as_ptr().cast(), rest.len()) };
        match usize::try_from(count) {
            Ok(count) => rest = rest.get(count..).unwrap_or(&[]),
            Err(_) => result = Err(errno()),
        }
    }
    // SAFETY: our own descriptor.
    unsafe { libc::close(fd) };
    result
}

fn host_name() -> Step {
    let host = b"localhost";
    let domain = b"(none)";
    // SAFETY: reads that many bytes, which are there.
    check(unsafe { libc::sethostname(host.as_ptr().cast(), host.len()) })?;
    // SAFETY: as above.
    check(unsafe { libc::setdomainname(domain.as_ptr().cast(), domain.len()) })
}

fn loopback() -> Step {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    check(fd)?;
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags =
        (libc::IFF_UP | libc::IFF_LOOPBACK | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq.
    let result = check(unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS as _, &raw const request) });
    // SAFETY: our own descriptor.
    unsafe { libc::close(fd) };
    result
}

/// The outer `/proc/self` link tells our process id as the parent knows it.
fn rendezvous(ready: RawFd, go: RawFd) -> Step {
    let mut name = [0u8; 32];
    // SAFETY: writes at most the buffer's length.
    let length = unsafe {
        libc::readlink(c"/.host/proc/self".as_ptr(), name.as_mut_ptr().cast(), name.len())
    };
    let Ok(length) = usize::try_from(length) else {
        return Err(errno());
    };
    // SAFETY: `length` bytes of the buffer were written by readlink.
    if unsafe { libc::write(ready, name.as_ptr().cast(), length.min(name.len())) } == -1 {
        return Err(errno());
    }
    // SAFETY: writes at most one byte, which is there.
    match unsafe { libc::read(go, name.as_mut_ptr().cast(), 1) } {
        1 => Ok(()),
        0 => Err(libc::ENETDOWN),
        _ => Err(errno()),
    }
}

fn stdio(log: RawFd) -> Step {
    // SAFETY: a valid C string.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
    check(null)?;
    for (from, to) in [(null, 0), (log, 1), (log, 2)] {
        // SAFETY: no pointers; `log` is above 2, so no source is overwritten.
        check(unsafe { libc::dup2(from, to) })?;
    }
    Ok(())
}

fn drop_capabilities() -> Step {
    for capability in 0..64 {
        // The first number that the kernel does not know ends the list.
        if prctl(libc::PR_CAPBSET_DROP, capability, 0).is_err() {
            break;
        }
    }
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0)?;
    // Version 3, this process; three empty sets of two words each.
    let header: [u32; 2] = [0x2008_0522, 0];
    let sets = [0u32; 6];
    // SAFETY: the kernel reads a header of two words and sets of six.
    check_long(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) })
}

/// The kernel's `struct landlock_ruleset_attr`.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// The kernel's `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: i32,
}

fn landlock(handled: u64, scoped: u64, rules: &[(std::ffi::CString, u64)]) -> Step {
    let attributes = RulesetAttr { handled_access_fs: handled, handled_access_net: 0, scoped };
    // Older kernels know shorter structs, and take the longer one only if the rest is zero,
    // which `landlock.rs` sees to.
    // SAFETY: the struct lives through the call and its size is given.
    let ruleset = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attributes,
            size_of::<RulesetAttr>(),
            0,
        )
    };
    check_long(ruleset)?;
    for (path, access) in rules {
        // SAFETY: a valid C string.
        let fd = unsafe { libc::open(path.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) };
        check(fd)?;
        let rule = PathBeneathAttr { allowed_access: *access, parent_fd: fd };
        // SAFETY: rule type 1 takes a path-beneath struct, which lives through the call.
        check_long(unsafe {
            libc::syscall(libc::SYS_landlock_add_rule, ruleset, 1, &raw const rule, 0)
        })?;
        // SAFETY: our own descriptor.
        unsafe { libc::close(fd) };
    }
    // SAFETY: no pointers.
    check_long(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) })?;
    // SAFETY: our own descriptor.
    unsafe { libc::close(ruleset as c_int) };
    Ok(())
}
