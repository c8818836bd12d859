//! The caller's own world with the logical store in it: for `floe shell` and `floe run`. This is
//! no sandbox: nothing is hidden and nothing forbidden; only `/nix/store` is there as well.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;

use crate::error::SandboxError;
use crate::mounts;
use crate::plan::{CStrings, HOST, Op, behind, c_literal, c_path, c_string};
use crate::spawn::{self, Failure};
use crate::spec::STORE_DIR;
use crate::sys::{self, QuietKeys, Stack};

/// A program to run in the caller's world plus the store.
#[derive(Clone, Debug)]
pub struct EnterSpec {
    /// The host directory that appears at [`STORE_DIR`], read-only.
    pub store: PathBuf,
    /// The program and its arguments. A name without a slash is looked up in `env`'s PATH.
    pub argv: Vec<Vec<u8>>,
    /// Its whole environment.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where it starts.
    pub directory: PathBuf,
}

/// Runs the program with the caller's own standard streams, terminal and ids, waits for it, and
/// returns how it ended. While it runs, the terminal's interrupt and quit keys reach only it; it
/// is killed when the caller is.
pub fn enter(spec: &EnterSpec) -> Result<ExitStatus, SandboxError> {
    let ids = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let propagation = libc::MS_REC | libc::MS_SLAVE;
    let with_own_ids = mounts::own_ids(ids, propagation);
    let furnish = steps(spec)?;
    let _keys = QuietKeys::new();
    thread::scope(|scope| {
        let child = scope.spawn(move || {
            sys::block_signals();
            let mut stack = Stack::new().map_err(spawn::starting)?;
            let mut steps = vec![Op::DieWithParent, Op::DefaultSignals];
            let begin = steps.len();
            steps.push(Op::Propagation { flags: propagation });
            steps.extend(furnish);
            // Whoever may mount needs no user namespace, and keeps all powers without one.
            let started = match spawn::start(&steps, libc::CLONE_NEWNS, &mut stack) {
                Err(Failure::Clone(_)) => {
                    steps.splice(begin..=begin, with_own_ids);
                    spawn::start(&steps, libc::CLONE_NEWNS | libc::CLONE_NEWUSER, &mut stack)
                }
                other => other,
            };
            match started {
                Ok((started, _)) => sys::reap(started.pid)
                    .map(|reaped| ExitStatus::from_raw(reaped.status))
                    .map_err(spawn::starting),
                Err(Failure::Clone(error)) => Err(spawn::starting(error)),
                Err(Failure::Step(error)) => Err(error),
            }
        });
        child
            .join()
            .unwrap_or_else(|_| Err(spawn::starting(std::io::Error::other("a thread died"))))
    })
}

fn steps(spec: &EnterSpec) -> Result<Vec<Op>, SandboxError> {
    let store = mounts::real_dir("store", &spec.store)?;
    let target = c_literal(STORE_DIR);
    let attributes = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    let mut steps = Vec::new();
    if Path::new(STORE_DIR).is_dir() {
        steps.push(Op::Bind { source: c_path(&store)?, target, attributes });
    } else {
        steps.extend(mounts::empty_root(&store)?);
        steps.extend(mounts::mirror(Path::new("/"), &["nix"])?);
        steps.push(Op::Mkdir { path: c_literal("/nix"), mode: 0o755 });
        if Path::new("/nix").is_dir() {
            steps.extend(mounts::mirror(Path::new("/nix"), &["store"])?);
        }
        steps.push(Op::Mkdir { path: target.clone(), mode: 0o755 });
        steps.push(Op::Bind { source: c_path(&behind(&store))?, target, attributes });
        steps.push(Op::Detach { path: c_literal(HOST) });
        steps.push(Op::Attributes { path: c_literal("/"), attributes: libc::MOUNT_ATTR_RDONLY });
    }
    steps.push(Op::Chdir { path: c_path(&spec.directory)? });
    steps.push(program(spec)?);
    Ok(steps)
}

fn program(spec: &EnterSpec) -> Result<Op, SandboxError> {
    let Some(name) = spec.argv.first().filter(|name| !name.is_empty()) else {
        return Err(SandboxError::BadSpec { field: "argv", reason: "it names no program".into() });
    };
    let mut candidates = Vec::new();
    if name.contains(&b'/') {
        candidates.push(c_string("argv", name.as_slice())?);
    } else {
        let path = spec.env.iter().find(|(key, _)| key == b"PATH");
        let path = path.map_or(&b"/bin:/usr/bin"[..], |(_, value)| value);
        for dir in path.split(|byte| *byte == b':').filter(|dir| !dir.is_empty()) {
            candidates.push(c_string("argv", [dir, b"/", name].concat())?);
        }
    }
    let argv: Result<Vec<_>, _> =
        spec.argv.iter().map(|argument| c_string("argv", argument.as_slice())).collect();
    let envp: Result<Vec<_>, _> = spec
        .env
        .iter()
        .map(|(name, value)| c_string("env", [name.as_slice(), b"=", value].concat()))
        .collect();
    Ok(Op::Exec { candidates, argv: CStrings::new(argv?), envp: CStrings::new(envp?) })
}
