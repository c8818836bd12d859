//! Which layers this host gives, found out by trying each one alone: for `floe doctor` and for
//! the error when a build is refused.

use std::io;
use std::thread;

use crate::error::SandboxError;
use crate::landlock;
use crate::layers::Layer;
use crate::mounts;
use crate::plan::{Op, c_literal};
use crate::spawn::{self, Failure, NAMESPACES};
use crate::sys::{self, Stack};

/// The oldest kernel on which builds run at all, layers above the base being allowed to miss.
pub const LEAST_KERNEL: &str = "5.12";
/// The oldest kernel that gives every layer.
pub const FULL_KERNEL: &str = "6.12";
/// The landlock ABI that gives everything used here (older ones give less, see each status).
pub const FULL_LANDLOCK_ABI: u32 = landlock::NEWEST_ABI;

/// What this host says to one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerStatus {
    /// The layer.
    pub layer: Layer,
    /// Whether builds here can have it.
    pub available: bool,
    /// What was found.
    pub detail: String,
    /// How to get it, where it is missing.
    pub mend: Option<&'static str>,
}

/// Tries every layer.
pub fn probe() -> Vec<LayerStatus> {
    Layer::ALL.into_iter().map(status).collect()
}

fn status(layer: Layer) -> LayerStatus {
    let found = match layer {
        Layer::Landlock | Layer::LandlockScopes => {
            let abi = landlock::abi();
            match landlock::lacking(layer, abi) {
                Some(detail) => Err(detail),
                None => Ok(landlock_detail(abi)),
            }
        }
        Layer::Seccomp => sys::seccomp_known()
            .map(|()| "filters with error numbers".to_owned())
            .map_err(|error| error.to_string()),
        Layer::PrivateProc => mounted(mounts::private_proc("/proc", None)),
        Layer::PrivatePts => mounted(vec![mounts::private_pts("/proc")]),
        _ => namespace(layer).map(|()| "can be made".to_owned()).map_err(|error| error.to_string()),
    };
    let available = found.is_ok();
    LayerStatus {
        layer,
        available,
        detail: found.unwrap_or_else(|detail| detail),
        mend: (!available).then(|| mend(layer)),
    }
}

fn landlock_detail(abi: u32) -> String {
    let lost = match abi {
        1 => "; files cannot be moved or linked between directories (needs ABI 2, Linux 5.19)",
        2 => "; truncation is not governed (needs ABI 3, Linux 6.2)",
        3 | 4 => "; device ioctls are not governed (needs ABI 5, Linux 6.10)",
        5 => "; abstract sockets and signals are not governed (needs ABI 6, Linux 6.12)",
        _ => "",
    };
    format!("ABI {abi}{lost}")
}

/// What to do about a layer that is missing.
fn mend(layer: Layer) -> &'static str {
    match layer {
        Layer::UserNamespace | Layer::MountNamespace => {
            "allow unprivileged user namespaces: sysctl user.max_user_namespaces=10000, kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); in a container, a seccomp profile that permits clone and mount"
        }
        Layer::PidNamespace => {
            "use a kernel with CONFIG_PID_NS, and sysctl user.max_pid_namespaces=10000"
        }
        Layer::NetNamespace => {
            "use a kernel with CONFIG_NET_NS, and sysctl user.max_net_namespaces=10000; or allow builds to run in the host's network"
        }
        Layer::IpcNamespace => {
            "use a kernel with CONFIG_IPC_NS, and sysctl user.max_ipc_namespaces=10000"
        }
        Layer::UtsNamespace => {
            "use a kernel with CONFIG_UTS_NS, and sysctl user.max_uts_namespaces=10000"
        }
        Layer::CgroupNamespace => {
            "use a kernel with CONFIG_CGROUPS, and sysctl user.max_cgroup_namespaces=10000"
        }
        Layer::PrivateProc => {
            "in a container, start it with an unmasked /proc (docker: --security-opt systempaths=unconfined); or allow builds to see the host's /proc, read-only"
        }
        Layer::PrivatePts => {
            "use a kernel with CONFIG_UNIX98_PTYS; or allow builds to have no terminals"
        }
        Layer::Landlock => {
            "use Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK and `landlock` in the lsm= list"
        }
        Layer::LandlockScopes => "use Linux 6.12 or newer",
        Layer::Seccomp => "use a kernel with CONFIG_SECCOMP_FILTER",
    }
}

/// The error for a build that needs this layer.
pub(crate) fn missing(layer: Layer, detail: String) -> SandboxError {
    SandboxError::LayerMissing { layer, detail, mend: mend(layer) }
}

/// Whether the limit of process ids is each pid namespace's own (Linux 6.14): before, a namespace
/// that root made could set it for the whole host.
pub(crate) fn limits_pids() -> bool {
    let release = rustix::system::uname();
    let mut numbers = release.release().to_str().unwrap_or_default().split(['.', '-']);
    let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    matches!((next(), next()), (Some(major), Some(minor)) if (major, minor) >= (6, 14))
}

/// Tries one kind of namespace, inside a user namespace.
pub(crate) fn namespace(layer: Layer) -> io::Result<()> {
    let flag = NAMESPACES
        .into_iter()
        .find(|(candidate, _)| *candidate == layer)
        .map_or(0, |(_, flag)| flag);
    let mut steps = mounts::own_ids((1000, 100), libc::MS_REC | libc::MS_PRIVATE);
    if layer != Layer::MountNamespace {
        steps.retain(|step| !matches!(step, Op::Propagation { .. }));
    }
    attempt(steps, libc::CLONE_NEWUSER | flag)
}

fn mounted(mount: Vec<Op>) -> Result<String, String> {
    let mut steps = mounts::own_ids((1000, 100), libc::MS_REC | libc::MS_PRIVATE);
    steps.extend(mount);
    steps.push(Op::Chdir { path: c_literal("/proc") });
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWPID;
    attempt(steps, flags).map(|()| "can be mounted".to_owned()).map_err(|error| error.to_string())
}

/// Runs the steps in a child of their own that ends at once.
fn attempt(mut steps: Vec<Op>, flags: libc::c_int) -> io::Result<()> {
    steps.push(Op::Exit);
    let child = move || {
        sys::block_signals();
        match spawn::start(&steps, flags, &mut Stack::new()?) {
            Ok((started, _)) => sys::reap(started.pid).map(drop),
            Err(Failure::Clone(error)) => Err(error),
            Err(Failure::Step(error)) => Err(io::Error::other(error.to_string())),
        }
    };
    // A thread of its own, because its signals stay blocked.
    thread::spawn(child).join().unwrap_or_else(|_| Err(io::Error::other("the probing thread died")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_is_judged_and_mended() {
        let found = probe();
        assert_eq!(found.len(), Layer::ALL.len());
        for status in found {
            assert_eq!(status.available, status.mend.is_none(), "{status:?}");
            assert!(!status.detail.is_empty(), "{status:?}");
        }
    }
}
