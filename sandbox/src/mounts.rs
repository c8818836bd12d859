//! The private root: which steps furnish it with the inputs, the root file system, devices and
//! the few files of `/etc`. It reads directories and types on the host; the mounting itself is
//! `child.rs`'s part.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::error::SandboxError;
use crate::landlock::Writable;
use crate::layers::Layer;
use crate::network::Names;
use crate::plan::{HOST, Op, behind, c_literal, c_path, c_string};
use crate::spec::{BUILD_DIR, BUILD_GID, BUILD_UID, Bind, Input, RootFs, STORE_DIR, Spec};

const PLAIN: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const READ_ONLY: u64 = PLAIN | libc::MOUNT_ATTR_RDONLY;
/// The host's device nodes: they can be written to all the same, but where the builder's user owns
/// them (a sandbox started as root) it must not change their modes and times.
const DEVICE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_RDONLY;

/// Top-level names that a seed cannot bring: the sandbox makes them.
const OWN_TOP: [&str; 6] = ["nix", "build", "tmp", "dev", "proc", "sys"];
/// Files of `/etc` that a seed cannot bring.
const OWN_ETC: [&str; 6] = ["passwd", "group", "hosts", "resolv.conf", "nsswitch.conf", "services"];
/// Device nodes bound from the host; the first must exist.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// The steps, and what in the furnished root may be written beside the fixed places.
pub(crate) struct Furnished {
    pub(crate) steps: Vec<Op>,
    pub(crate) writable: Vec<Writable>,
}

/// Maps the one id we have and leaves the host's mount events behind.
pub(crate) fn own_ids(inside: (u32, u32), propagation: u64) -> Vec<Op> {
    let outside = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let write = |path: &str, content: String| Op::Write {
        path: c_literal(path),
        content: content.into_bytes(),
    };
    vec![
        write("/proc/self/setgroups", "deny".into()),
        write("/proc/self/uid_map", format!("{} {} 1", inside.0, outside.0)),
        write("/proc/self/gid_map", format!("{} {} 1", inside.1, outside.1)),
        Op::Propagation { flags: propagation },
    ]
}

/// An empty root on a tmpfs, mounted over `place` for the moment; the host's lies at [`HOST`].
pub(crate) fn empty_root(place: &Path) -> Result<Vec<Op>, SandboxError> {
    let old = c_path(&place.join(HOST.trim_start_matches('/')))?;
    Ok(vec![
        Op::Mount {
            kind: c_literal("tmpfs"),
            target: c_path(place)?,
            flags: libc::MS_NOSUID | libc::MS_NODEV,
            data: c_literal("mode=0755"),
        },
        Op::Mkdir { path: old.clone(), mode: 0o700 },
        Op::PivotRoot { new: c_path(place)?, old },
        Op::Chdir { path: c_literal("/") },
    ])
}

/// Furnishes an empty root for this build.
pub(crate) fn furnish(spec: &Spec, names: &Names) -> Result<Furnished, SandboxError> {
    let mut room = Room {
        steps: Vec::with_capacity(64 + 2 * spec.inputs.len()),
        made: Vec::new(),
        writable: Vec::new(),
    };
    let scratch = real_dir("scratch store", &spec.scratch_store)?;
    let build = real_dir("build directory", &spec.build_dir)?;
    room.mkdir("/nix", 0o755);
    room.mkdir(STORE_DIR, 0o755);
    room.mkdir(BUILD_DIR, 0o755);
    room.bind(&behind(&scratch), Path::new(STORE_DIR), PLAIN)?;
    room.bind(&behind(&build), Path::new(BUILD_DIR), PLAIN)?;
    room.inputs(&spec.inputs)?;
    room.root_file_system(&spec.root)?;
    room.etc(names)?;
    room.devices(spec)?;
    for bind in &spec.binds {
        room.extra(bind)?;
    }
    for path in ["/tmp", "/dev/shm"] {
        // A mount of its own stays writable when the root becomes read-only.
        room.bind(Path::new(path), Path::new(path), 0)?;
    }
    Ok(Furnished { steps: room.steps, writable: room.writable })
}

/// Takes the host away and makes the root itself read-only.
pub(crate) fn close_root() -> Vec<Op> {
    vec![
        Op::Detach { path: c_literal(HOST) },
        Op::Attributes { path: c_literal("/"), attributes: libc::MOUNT_ATTR_RDONLY },
    ]
}

struct Room {
    steps: Vec<Op>,
    /// Directories that exist by now, made by earlier steps.
    made: Vec<PathBuf>,
    writable: Vec<Writable>,
}

impl Room {
    fn mkdir(&mut self, path: &str, mode: u32) {
        self.made.push(PathBuf::from(path));
        self.steps.push(Op::Mkdir { path: c_literal(path), mode });
    }

    fn bind(&mut self, source: &Path, target: &Path, attributes: u64) -> Result<(), SandboxError> {
        self.steps.push(Op::Bind { source: c_path(source)?, target: c_path(target)?, attributes });
        Ok(())
    }

    /// Shows a host entry of whatever type at a place where nothing is yet.
    fn show(
        &mut self,
        role: &'static str,
        host: &Path,
        source: &Path,
        target: &Path,
        attributes: u64,
    ) -> Result<(), SandboxError> {
        let failed = |source| SandboxError::Path { role, path: host.to_owned(), source };
        let kind = fs::symlink_metadata(host).map_err(failed)?.file_type();
        let path = c_path(target)?;
        if kind.is_symlink() {
            let target = fs::read_link(host).map_err(failed)?;
            self.steps.push(Op::Symlink { target: c_path(&target)?, path });
            return Ok(());
        }
        self.steps.push(if kind.is_dir() {
            Op::Mkdir { path, mode: 0o755 }
        } else {
            Op::Touch { path }
        });
        self.bind(source, target, attributes)
    }

    /// Inputs that share a directory are bound out of one read-only view of it: a bind takes its
    /// source's attributes along, which saves a call for each.
    fn inputs(&mut self, inputs: &[Input]) -> Result<(), SandboxError> {
        let mut by_parent: BTreeMap<&Path, Vec<(&Input, &std::ffi::OsStr)>> = BTreeMap::new();
        for input in inputs {
            check_name(&input.name)?;
            let (Some(parent), Some(file)) = (input.host.parent(), input.host.file_name()) else {
                return Err(SandboxError::BadSpec {
                    field: "inputs",
                    reason: format!("{} is not an object's path", input.host.display()),
                });
            };
            by_parent.entry(parent).or_default().push((input, file));
        }
        for (number, (parent, group)) in by_parent.into_iter().enumerate() {
            let real = real_dir("directory of inputs", parent)?;
            let (from, attributes, view) = if group.len() > 1 {
                let view = format!("/.in{number}");
                self.mkdir(&view, 0o700);
                self.bind(&behind(&real), Path::new(&view), READ_ONLY)?;
                (PathBuf::from(&view), 0, Some(view))
            } else {
                (behind(&real), READ_ONLY, None)
            };
            for (input, file) in group {
                let target = Path::new(STORE_DIR).join(&input.name);
                self.show("input", &input.host, &from.join(file), &target, attributes)?;
            }
            if let Some(view) = view {
                self.steps.push(Op::Detach { path: c_literal(&view) });
            }
        }
        Ok(())
    }

    fn root_file_system(&mut self, root: &RootFs) -> Result<(), SandboxError> {
        self.mkdir("/etc", 0o755);
        match root {
            RootFs::Bare { sh } => {
                let sh = real("shell", sh)?;
                self.mkdir("/bin", 0o755);
                self.show("shell", &sh, &behind(&sh), Path::new("/bin/sh"), READ_ONLY)
            }
            RootFs::Seed(seed) => {
                let role = "root file system";
                let seed = real_dir(role, seed)?;
                self.entries(role, &seed, Path::new("/"), &[&OWN_TOP, &["etc"]], READ_ONLY)?;
                match seed.join("etc") {
                    etc if etc.is_dir() => {
                        self.entries(role, &etc, Path::new("/etc"), &[&OWN_ETC], READ_ONLY)
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    /// Shows each entry of a host directory, except for some names.
    fn entries(
        &mut self,
        role: &'static str,
        host: &Path,
        target: &Path,
        except: &[&[&str]],
        attributes: u64,
    ) -> Result<(), SandboxError> {
        let failed = |source| SandboxError::Path { role, path: host.to_owned(), source };
        for entry in fs::read_dir(host).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if except.iter().any(|names| names.iter().any(|own| name == *own)) {
                continue;
            }
            let path = entry.path();
            let inside = target.join(&name);
            if entry.file_type().map_err(failed)?.is_dir() {
                self.made.push(inside.clone());
            }
            self.show(role, &path, &behind(&path), &inside, attributes)?;
        }
        Ok(())
    }

    /// The files of `/etc`, as Nix writes them.
    fn etc(&mut self, names: &Names) -> Result<(), SandboxError> {
        let mut file = |path: &str, content: Vec<u8>| {
            self.steps.push(Op::File { path: c_literal(path), content });
        };
        file(
            "/etc/passwd",
            format!(
                "root:x:0:0:Nix build user:{BUILD_DIR}:/noshell\n\
                 nixbld:x:{BUILD_UID}:{BUILD_GID}:Nix build user:{BUILD_DIR}:/noshell\n\
                 nobody:x:65534:65534:Nobody:/:/noshell\n"
            )
            .into_bytes(),
        );
        file(
            "/etc/group",
            format!("root:x:0:\nnixbld:!:{BUILD_GID}:\nnogroup:x:65534:\n").into_bytes(),
        );
        for (name, content) in &names.files {
            file(&format!("/etc/{name}"), content.clone());
        }
        // A seed with certificates of its own keeps them.
        let certificates = names.certificates.as_ref();
        if let Some(certificates) = certificates.filter(|_| !self.made.contains(&"/etc/ssl".into()))
        {
            self.extra(&Bind {
                host: certificates.clone(),
                inside: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
                writable: false,
            })?;
        }
        Ok(())
    }

    fn devices(&mut self, spec: &Spec) -> Result<(), SandboxError> {
        self.mkdir("/tmp", 0o1777);
        self.mkdir("/dev", 0o755);
        self.mkdir("/dev/shm", 0o1777);
        self.mkdir("/dev/pts", 0o755);
        self.mkdir("/proc", 0o555);
        for name in DEVICES {
            let host = Path::new("/dev").join(name);
            if name == "null" || host.exists() {
                self.show("device", &host, &behind(&host), &host, DEVICE)?;
            }
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("ptmx", "pts/ptmx"),
        ] {
            self.steps.push(Op::Symlink {
                target: c_literal(target),
                path: c_literal(&format!("/dev/{name}")),
            });
        }
        let otherwise = |layer, steps| spec.policy.allows_missing(layer).then_some(steps);
        self.steps.push(Op::Layered {
            layer: Layer::PrivatePts,
            first: vec![private_pts("/dev/pts")],
            otherwise: otherwise(Layer::PrivatePts, Vec::new()),
        });
        self.steps.push(Op::Layered {
            layer: Layer::PrivateProc,
            first: private_proc("/proc", spec.limits.most_pids()),
            otherwise: otherwise(
                Layer::PrivateProc,
                // Where ids must be limited and cannot be, there is no build.
                std::iter::once(Op::Bind {
                    source: c_literal("/.host/proc"),
                    target: c_literal("/proc"),
                    attributes: READ_ONLY | libc::MOUNT_ATTR_NOEXEC,
                })
                .chain(
                    spec.limits
                        .most_pids()
                        .map(|most| Op::LimitPids { most: most.to_string().into_bytes() }),
                )
                .collect(),
            ),
        });
        Ok(())
    }

    fn extra(&mut self, bind: &Bind) -> Result<(), SandboxError> {
        let inside = &bind.inside;
        let plain = inside.is_absolute()
            && inside
                .components()
                .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !plain || inside.parent().is_none() || inside.starts_with(HOST) {
            return Err(SandboxError::BadSpec {
                field: "binds",
                reason: format!(
                    "{} is not an absolute path without `..` below /",
                    inside.display()
                ),
            });
        }
        let host = real("bind", &bind.host)?;
        let parents: Vec<&Path> = inside.ancestors().skip(1).collect();
        for parent in parents.into_iter().rev() {
            let text = c_path(parent)?;
            let owned = parent.to_owned();
            if parent.parent().is_some() && !self.made.contains(&owned) {
                self.made.push(owned);
                self.steps.push(Op::Mkdir { path: text, mode: 0o755 });
            }
        }
        let is_dir = host.is_dir();
        if is_dir {
            self.made.push(inside.clone());
        }
        if bind.writable {
            self.writable.push(Writable { path: c_path(inside)?, is_dir });
        }
        let attributes = if bind.writable { PLAIN } else { READ_ONLY };
        self.show("bind", &host, &behind(&host), inside, attributes)
    }
}

/// Our own processes only, and read-only: a sandbox started as root maps root, to whom the
/// kernel's settings in a writable `/proc/sys` would belong. Of those settings, how high process
/// ids may go is the pid namespace's own (Linux 6.14; `spawn.rs` sees to that).
pub(crate) fn private_proc(target: &str, most_pids: Option<u32>) -> Vec<Op> {
    let mount = |more: u64| Op::Mount {
        kind: c_literal("proc"),
        target: c_literal(target),
        flags: libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC | more,
        data: c_literal(""),
    };
    match most_pids {
        None => vec![mount(libc::MS_RDONLY)],
        Some(most) => vec![
            mount(0),
            Op::LimitPids { most: most.to_string().into_bytes() },
            Op::Attributes { path: c_literal(target), attributes: libc::MOUNT_ATTR_RDONLY },
        ],
    }
}

/// Terminals of our own.
pub(crate) fn private_pts(target: &str) -> Op {
    Op::Mount {
        kind: c_literal("devpts"),
        target: c_literal(target),
        flags: libc::MS_NOSUID | libc::MS_NOEXEC,
        data: c_literal("newinstance,ptmxmode=0666,mode=0620"),
    }
}

/// Shows every entry of a host directory at the same place, as it is, except for some.
pub(crate) fn mirror(dir: &Path, except: &[&str]) -> Result<Vec<Op>, SandboxError> {
    let mut room = Room { steps: Vec::new(), made: Vec::new(), writable: Vec::new() };
    room.entries("host's directory", dir, dir, &[except], 0)?;
    Ok(room.steps)
}

fn check_name(name: &str) -> Result<(), SandboxError> {
    c_string("inputs", name)?;
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(SandboxError::BadSpec {
            field: "inputs",
            reason: format!("{name:?} is not a base name"),
        });
    }
    Ok(())
}

/// A host path without symlinks, as it must be when it is reached through [`HOST`].
pub(crate) fn real(role: &'static str, path: &Path) -> Result<PathBuf, SandboxError> {
    path.canonicalize().map_err(|source| SandboxError::Path { role, path: path.to_owned(), source })
}

/// The same for a directory.
pub(crate) fn real_dir(role: &'static str, path: &Path) -> Result<PathBuf, SandboxError> {
    let real = real(role, path)?;
    if !real.is_dir() || real.as_os_str().as_bytes() == b"/" {
        return Err(SandboxError::Path {
            role,
            path: path.to_owned(),
            source: std::io::ErrorKind::NotADirectory.into(),
        });
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_store_are_refused() {
        for name in ["", ".", "..", "a/b", "../x", "x\0y"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("0c5b8vw40dy178xlpddw65q9gf1h2186-x").is_ok());
    }
}
