//! The system call filter: which calls a builder may make. Calls that this file does not know get
//! ENOSYS, so that libraries fall back; the program is a binary search over call numbers, and the
//! kernel caches the answer for calls that are always allowed. Loading it is `child.rs`'s part.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use libc::sock_filter;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const IF_ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const NUMBER_OFFSET: u32 = 0;
const ARCH_OFFSET: u32 = 4;

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;

/// The set-user-id and set-group-id bits.
const SET_ID: u32 = 0o6000;
/// `O_CREAT` and the bit that tells `O_TMPFILE` from `O_DIRECTORY`: only then is a mode read.
const CREATES: u32 = (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u32;

/// What happens to one call. Arguments are counted from 0, and only their low 32 bits matter to
/// the kernel for all arguments looked at here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allow,
    /// Refused with this errno.
    Refuse(i32),
    /// EPERM if the argument has any of these bits.
    Forbid {
        argument: u32,
        bits: u32,
    },
    /// EPERM if flags say that a file is created and its mode holds set-id bits.
    Creating {
        flags: u32,
        mode: u32,
    },
    /// EPERM for set-id bits in the mode and for device nodes.
    Node {
        mode: u32,
    },
    /// Refused for some requests.
    Ioctl,
    /// Only families that network namespaces divide.
    Socket,
}

/// The numbers that the kernel's table holds and this file has looked at.
#[cfg(target_arch = "x86_64")]
const KNOWN: &[(u32, u32)] =
    &[(0, 334), (424, 424), (434, 434), (436, 436), (438, 441), (444, 446), (448, 456), (462, 462)];
#[cfg(target_arch = "aarch64")]
const KNOWN: &[(u32, u32)] = &[
    (0, 243),
    (260, 294),
    (424, 424),
    (434, 434),
    (436, 436),
    (438, 441),
    (444, 446),
    (448, 452),
    (454, 456),
    (462, 462),
];

/// Calls that change the system, reach around the walls, or serve attacks more than builds.
const FORBIDDEN: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
];

/// Calls that libraries can do without when told that the kernel lacks them: io_uring and openat2
/// keep arguments where no filter can read them, and so does clone3.
const ABSENT: &[libc::c_long] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_openat2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

/// Extended attributes and ACLs: no store object can hold them.
const ATTRIBUTES: &[libc::c_long] = &[
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_flistxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    // setxattrat, getxattrat, listxattrat, removexattrat (Linux 6.13; the same numbers everywhere).
    463,
    464,
    465,
    466,
];

/// Calls whose arguments decide.
const DEPENDS: &[(libc::c_long, Verdict)] = &[
    (libc::SYS_fchmod, Verdict::Forbid { argument: 1, bits: SET_ID }),
    (libc::SYS_fchmodat, Verdict::Forbid { argument: 2, bits: SET_ID }),
    // fchmodat2 (Linux 6.6).
    (452, Verdict::Forbid { argument: 2, bits: SET_ID }),
    (libc::SYS_mkdirat, Verdict::Forbid { argument: 2, bits: SET_ID }),
    (libc::SYS_mknodat, Verdict::Node { mode: 2 }),
    (libc::SYS_openat, Verdict::Creating { flags: 2, mode: 3 }),
    (libc::SYS_clone, Verdict::Forbid { argument: 0, bits: libc::CLONE_NEWUSER as u32 }),
    (libc::SYS_unshare, Verdict::Forbid { argument: 0, bits: libc::CLONE_NEWUSER as u32 }),
    (libc::SYS_ioctl, Verdict::Ioctl),
    (libc::SYS_socket, Verdict::Socket),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, Verdict::Forbid { argument: 1, bits: SET_ID }),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, Verdict::Forbid { argument: 1, bits: SET_ID }),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, Verdict::Node { mode: 1 }),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, Verdict::Creating { flags: 1, mode: 2 }),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, Verdict::Forbid { argument: 1, bits: SET_ID }),
];

/// Terminal injection, then file flags and verity, which outlive the build on its outputs.
const REFUSED_IOCTLS: [(u32, i32); 5] = [
    (libc::TIOCSTI as u32, libc::EPERM),
    (0x541c, libc::EPERM),           // TIOCLINUX
    (0x4008_6602, libc::EOPNOTSUPP), // FS_IOC_SETFLAGS
    (0x401c_5820, libc::EOPNOTSUPP), // FS_IOC_FSSETXATTR
    (0x4080_6685, libc::EOPNOTSUPP), // FS_IOC_ENABLE_VERITY
];

/// Other families (vsock, Bluetooth, AF_ALG, ...) are not divided by network namespaces, or have
/// no use in a build.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The filter for this machine's architecture, assembled once.
pub(crate) fn program() -> &'static [sock_filter] {
    static PROGRAM: OnceLock<Vec<sock_filter>> = OnceLock::new();
    PROGRAM.get_or_init(|| assemble(&verdicts()))
}

/// The verdict on every call number that is not simply unknown.
fn verdicts() -> BTreeMap<u32, Verdict> {
    let mut verdicts = BTreeMap::new();
    for &(first, last) in KNOWN {
        verdicts.extend((first..=last).map(|number| (number, Verdict::Allow)));
    }
    let refuse = |errno| move |number: &libc::c_long| (*number as u32, Verdict::Refuse(errno));
    verdicts.extend(FORBIDDEN.iter().map(refuse(libc::EPERM)));
    verdicts.extend(ABSENT.iter().map(refuse(libc::ENOSYS)));
    verdicts.extend(ATTRIBUTES.iter().map(refuse(libc::ENOTSUP)));
    verdicts.extend((428..=433).chain([442]).map(|number| {
        // open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr
        (number, Verdict::Refuse(libc::EPERM))
    }));
    verdicts.extend(DEPENDS.iter().map(|(number, verdict)| (*number as u32, *verdict)));
    verdicts
}

fn assemble(verdicts: &BTreeMap<u32, Verdict>) -> Vec<sock_filter> {
    // Runs of numbers with one verdict, each by its first number, covering everything from 0.
    let unknown = Verdict::Refuse(libc::ENOSYS);
    let mut runs: Vec<(u32, Verdict)> = Vec::new();
    let mut push = |first: u32, verdict: Verdict| {
        if runs.last().is_none_or(|(_, last)| *last != verdict) {
            runs.push((first, verdict));
        }
    };
    let mut next = 0;
    for (&number, &verdict) in verdicts {
        if number > next {
            push(next, unknown);
        }
        push(number, verdict);
        next = number + 1;
    }
    push(next, unknown);

    let mut program = vec![
        statement(LOAD, ARCH_OFFSET),
        branch(IF_EQUAL, ARCH, 1, 0),
        refuse(libc::ENOSYS),
        statement(LOAD, NUMBER_OFFSET),
    ];
    program.extend(search(&runs));
    program
}

fn search(runs: &[(u32, Verdict)]) -> Vec<sock_filter> {
    if let [(_, verdict)] = runs {
        return judge(*verdict);
    }
    let (low, high) = runs.split_at(runs.len() / 2);
    let pivot = high.first().map_or(0, |(first, _)| *first);
    let low = search(low);
    let mut code = match u8::try_from(low.len()) {
        Ok(length) => vec![branch(IF_AT_LEAST, pivot, length, 0)],
        Err(_) => vec![branch(IF_AT_LEAST, pivot, 0, 1), statement(JUMP, low.len() as u32)],
    };
    code.extend(low);
    code.extend(search(high));
    code
}

fn judge(verdict: Verdict) -> Vec<sock_filter> {
    match verdict {
        Verdict::Allow => vec![allow()],
        Verdict::Refuse(errno) => vec![refuse(errno)],
        Verdict::Forbid { argument, bits } => vec![
            load_argument(argument),
            branch(IF_ANY_BIT, bits, 0, 1),
            refuse(libc::EPERM),
            allow(),
        ],
        Verdict::Creating { flags, mode } => vec![
            load_argument(flags),
            branch(IF_ANY_BIT, CREATES, 0, 3),
            load_argument(mode),
            branch(IF_ANY_BIT, SET_ID, 0, 1),
            refuse(libc::EPERM),
            allow(),
        ],
        Verdict::Node { mode } => vec![
            load_argument(mode),
            branch(IF_ANY_BIT, SET_ID, 3, 0),
            statement(AND, libc::S_IFMT),
            branch(IF_EQUAL, libc::S_IFCHR, 1, 0),
            branch(IF_EQUAL, libc::S_IFBLK, 0, 1),
            refuse(libc::EPERM),
            allow(),
        ],
        Verdict::Ioctl => {
            let mut code = vec![load_argument(1)];
            for (request, errno) in REFUSED_IOCTLS {
                code.push(branch(IF_EQUAL, request, 0, 1));
                code.push(refuse(errno));
            }
            code.push(allow());
            code
        }
        Verdict::Socket => {
            let mut code = vec![load_argument(0)];
            for family in FAMILIES {
                code.push(branch(IF_EQUAL, family as u32, 0, 1));
                code.push(allow());
            }
            code.push(refuse(libc::EAFNOSUPPORT));
            code
        }
    }
}

/// The low half of an argument, on the little-endian machines we know.
fn load_argument(index: u32) -> sock_filter {
    statement(LOAD, 16 + 8 * index)
}

fn allow() -> sock_filter {
    statement(RETURN, libc::SECCOMP_RET_ALLOW)
}

fn refuse(errno: i32) -> sock_filter {
    statement(RETURN, libc::SECCOMP_RET_ERRNO | errno as u32)
}

fn statement(code: u16, k: u32) -> sock_filter {
    branch(code, k, 0, 0)
}

fn branch(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the filter on one call, as the kernel would.
    fn run(number: u32, arch: u32, arguments: [u32; 6]) -> u32 {
        let program = program();
        let (mut accumulator, mut at) = (0u32, 0usize);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let condition = match code {
                LOAD => {
                    accumulator = match k {
                        NUMBER_OFFSET => number,
                        ARCH_OFFSET => arch,
                        offset => arguments[(offset as usize - 16) / 8],
                    };
                    continue;
                }
                JUMP => {
                    at += k as usize;
                    continue;
                }
                AND => {
                    accumulator &= k;
                    continue;
                }
                RETURN => return k,
                IF_EQUAL => accumulator == k,
                IF_AT_LEAST => accumulator >= k,
                IF_ANY_BIT => accumulator & k != 0,
                other => panic!("unexpected instruction {other}"),
            };
            at += usize::from(if condition { jt } else { jf });
        }
    }

    fn check(number: libc::c_long, arguments: [u32; 6], expect: Result<(), i32>) {
        let verdict = run(number as u32, ARCH, arguments);
        let expect = match expect {
            Ok(()) => libc::SECCOMP_RET_ALLOW,
            Err(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
        };
        assert_eq!(verdict, expect, "call {number} with {arguments:?}");
    }

    #[test]
    fn every_number_gets_the_verdict_of_the_table() {
        let table = verdicts();
        for number in 0..2000 {
            let expect = match table.get(&number) {
                None => libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32,
                Some(Verdict::Refuse(errno)) => libc::SECCOMP_RET_ERRNO | *errno as u32,
                Some(Verdict::Allow) => libc::SECCOMP_RET_ALLOW,
                Some(_) => continue,
            };
            assert_eq!(run(number, ARCH, [0; 6]), expect, "call {number}");
        }
    }

    #[test]
    fn set_id_modes_are_refused_where_a_mode_is_read() {
        check(libc::SYS_fchmod, [3, 0o755, 0, 0, 0, 0], Ok(()));
        check(libc::SYS_fchmod, [3, 0o4755, 0, 0, 0, 0], Err(libc::EPERM));
        check(libc::SYS_fchmodat, [3, 0, 0o2755, 0, 0, 0], Err(libc::EPERM));
        check(452, [3, 0, 0o4000, 0, 0, 0], Err(libc::EPERM));
        let create = libc::O_CREAT as u32;
        check(libc::SYS_openat, [3, 0, create, 0o4755, 0, 0], Err(libc::EPERM));
        check(libc::SYS_openat, [3, 0, libc::O_TMPFILE as u32, 0o4755, 0, 0], Err(libc::EPERM));
        check(libc::SYS_openat, [3, 0, libc::O_DIRECTORY as u32, 0o7777, 0, 0], Ok(()));
        check(libc::SYS_openat, [3, 0, create, 0o755, 0, 0], Ok(()));
        check(libc::SYS_mknodat, [3, 0, libc::S_IFIFO | 0o644, 0, 0, 0], Ok(()));
        check(libc::SYS_mknodat, [3, 0, libc::S_IFREG | 0o4755, 0, 0, 0], Err(libc::EPERM));
        check(libc::SYS_mknodat, [3, 0, libc::S_IFCHR | 0o644, 0, 0, 0], Err(libc::EPERM));
        check(libc::SYS_mknodat, [3, 0, libc::S_IFBLK | 0o644, 0, 0, 0], Err(libc::EPERM));
    }

    #[test]
    fn requests_and_families_are_judged() {
        check(libc::SYS_ioctl, [0, libc::TIOCSTI as u32, 0, 0, 0, 0], Err(libc::EPERM));
        check(libc::SYS_ioctl, [0, libc::TCGETS as u32, 0, 0, 0, 0], Ok(()));
        check(libc::SYS_socket, [libc::AF_UNIX as u32, 1, 0, 0, 0, 0], Ok(()));
        check(libc::SYS_socket, [libc::AF_VSOCK as u32, 1, 0, 0, 0, 0], Err(libc::EAFNOSUPPORT));
        check(libc::SYS_unshare, [libc::CLONE_NEWUSER as u32, 0, 0, 0, 0, 0], Err(libc::EPERM));
    }

    #[test]
    fn foreign_architectures_have_no_calls() {
        let refused = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
        assert_eq!(run(1, 0x4000_0003, [0; 6]), refused, "i386");
        #[cfg(target_arch = "x86_64")]
        assert_eq!(run(0x4000_0001, ARCH, [0; 6]), refused, "x32");
    }
}
