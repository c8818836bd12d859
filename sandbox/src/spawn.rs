//! Starting a build: from a [`Spec`] to a running process. Children are started by a few threads
//! that do nothing else and live as long as any build, because a build is killed by the kernel
//! when the thread that started it ends (so also when floe itself is killed).

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;
use std::{ffi::CString, io};

use libc::c_int;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::child::{Report, Task};
use crate::error::{SandboxError, SetupError};
use crate::layers::{Layer, Layers};
use crate::network::{self, Meeting, Tool};
use crate::plan::{CStrings, Op, PIDS_MEND, c_literal, c_string};
use crate::spec::{BUILD_DIR, BUILD_GID, BUILD_UID, Limits, Network, Resource, Spec};
use crate::sys::{self, Stack, Started};
use crate::wait::Running;
use crate::{landlock, mounts, probe, seccomp};

/// The namespaces of a build, with the layers they give.
pub(crate) const NAMESPACES: [(Layer, c_int); 7] = [
    (Layer::UserNamespace, libc::CLONE_NEWUSER),
    (Layer::MountNamespace, libc::CLONE_NEWNS),
    (Layer::PidNamespace, libc::CLONE_NEWPID),
    (Layer::NetNamespace, libc::CLONE_NEWNET),
    (Layer::IpcNamespace, libc::CLONE_NEWIPC),
    (Layer::UtsNamespace, libc::CLONE_NEWUTS),
    (Layer::CgroupNamespace, libc::CLONE_NEWCGROUP),
];

/// How many sandboxes may be in their set-up at the same time.
const THREADS: usize = 4;

/// Starts builds. Cheap to clone; keep one for the life of the program.
#[derive(Clone, Debug)]
pub struct Spawner {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    jobs: Sender<Job>,
    landlock_abi: u32,
}

/// What a build's child is made from: its steps, the descriptors that it alone is to keep, and
/// where it waits for its network.
type Plan = (Vec<Op>, Vec<OwnedFd>, Option<Meeting>);

/// A child to be started.
struct Job {
    ops: Vec<Op>,
    flags: c_int,
    /// Our copies of descriptors that only the child is to keep.
    keep: Vec<OwnedFd>,
    reply: SyncSender<Result<(Started, Layers), Failure>>,
}

/// Why no child runs.
pub(crate) enum Failure {
    /// The namespaces could not be made.
    Clone(io::Error),
    /// A step inside them failed.
    Step(SandboxError),
}

impl Spawner {
    /// A spawner with its own threads. It needs no privilege and may be made at any time.
    pub fn new() -> Result<Spawner, SandboxError> {
        let (jobs, queue) = channel();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..THREADS {
            let queue = Arc::clone(&queue);
            let mut stack = Stack::new().map_err(starting)?;
            thread::Builder::new()
                .name(format!("floe-spawn-{number}"))
                .spawn(move || serve(&queue, &mut stack))
                .map_err(starting)?;
        }
        Ok(Spawner { shared: Arc::new(Shared { jobs, landlock_abi: landlock::abi() }) })
    }

    /// Starts a build. It returns when the builder's program has begun, with every wall up.
    pub fn spawn(&self, spec: &Spec) -> Result<Running, SandboxError> {
        let begun = Instant::now();
        self.require_static_layers(spec)?;
        let tool = match spec.network {
            Network::UserMode => Some(Tool::find()?),
            Network::None | Network::Host => None,
        };
        let (log_read, log_write) = log_pipe()?;
        let mut waived = Layers::NONE;
        loop {
            let (ops, keep, meeting) = self.plan(spec, tool, waived, &log_write)?;
            let namespaces = namespaces(spec, waived);
            let flags = namespaces.iter().fold(0, |flags, (_, flag)| flags | flag);
            let (reply, answer) = sync_channel(1);
            let job = Job { ops, flags, keep, reply };
            self.shared.jobs.send(job).map_err(|_| gone())?;
            let helper = match (meeting, tool) {
                (Some(meeting), Some(tool)) => meeting.hold(tool),
                _ => Ok(None),
            };
            match answer.recv().map_err(|_| gone())? {
                Ok((started, layers)) => {
                    let layers =
                        namespaces.iter().fold(layers, |layers, (layer, _)| layers.with(*layer));
                    let running = Running::new(
                        Arc::clone(&self.shared),
                        started,
                        log_read,
                        spec.limits.clone(),
                        layers,
                        begun,
                    );
                    return Ok(running.with_helper(helper?));
                }
                Err(Failure::Step(error)) => {
                    // The reason why there is no network says more than that there is none.
                    helper?;
                    return Err(error);
                }
                Err(Failure::Clone(error)) => {
                    let missing = missing_namespace(&namespaces, error)?;
                    if !spec.policy.allows_missing(missing.0) {
                        return Err(probe::missing(missing.0, missing.1.to_string()));
                    }
                    waived = waived.with(missing.0);
                }
            }
        }
    }

    /// Refuses what can be refused before anything is started.
    fn require_static_layers(&self, spec: &Spec) -> Result<(), SandboxError> {
        for layer in [Layer::Landlock, Layer::LandlockScopes] {
            if let Some(detail) = landlock::lacking(layer, self.shared.landlock_abi)
                && !spec.policy.allows_missing(layer)
            {
                return Err(probe::missing(layer, detail));
            }
        }
        if spec.limits.most_pids().is_some() && !probe::limits_pids() {
            return Err(SetupError {
                step: "limiting the number of processes",
                path: None,
                source: io::ErrorKind::Unsupported.into(),
                mend: PIDS_MEND,
            }
            .into());
        }
        if spec.network == Network::Host && !spec.policy.allows_missing(Layer::NetNamespace) {
            return Err(probe::missing(
                Layer::NetNamespace,
                "the build asks for the host's network".into(),
            ));
        }
        Ok(())
    }

    /// The plan of this build.
    fn plan(
        &self,
        spec: &Spec,
        tool: Option<Tool>,
        waived: Layers,
        log: &OwnedFd,
    ) -> Result<Plan, SandboxError> {
        let log = log.try_clone().map_err(starting)?;
        let names = network::names(spec.network, tool);
        let build_dir = mounts::real_dir("build directory", &spec.build_dir)?;
        let mut ops = vec![Op::DieWithParent, Op::DefaultSignals, Op::Umask { mask: 0 }];
        ops.extend(mounts::own_ids((BUILD_UID, BUILD_GID), libc::MS_REC | libc::MS_PRIVATE));
        ops.extend(mounts::empty_root(&build_dir)?);
        let furnished = mounts::furnish(spec, &names)?;
        ops.extend(furnished.steps);
        if !waived.has(Layer::UtsNamespace) {
            ops.push(Op::HostName);
        }
        if spec.network != Network::Host && !waived.has(Layer::NetNamespace) {
            ops.push(Op::Loopback);
        }
        let mut keep = Vec::with_capacity(3);
        let meeting = match tool {
            None => None,
            Some(_) => {
                let (ready, ready_write) = pipe_with(PipeFlags::CLOEXEC).map_err(starting)?;
                let (go_read, go) = pipe_with(PipeFlags::CLOEXEC).map_err(starting)?;
                ops.push(Op::Rendezvous {
                    ready: ready_write.as_raw_fd(),
                    go: go_read.as_raw_fd(),
                });
                keep.extend([ready_write, go_read]);
                Some(Meeting { ready, go })
            }
        };
        ops.extend(mounts::close_root());
        ops.push(Op::NewSession);
        ops.push(Op::Stdio { log: log.as_raw_fd() });
        keep.push(log);
        ops.push(Op::Umask { mask: 0o022 });
        ops.push(Op::Chdir { path: c_literal(BUILD_DIR) });
        ops.extend(limits(&spec.limits));
        ops.extend([Op::Personality, Op::DropCapabilities, Op::NoNewPrivileges]);
        ops.extend(landlock::step(self.shared.landlock_abi, spec.policy, furnished.writable));
        ops.push(Op::CloseFds);
        ops.push(Op::Layered {
            layer: Layer::Seccomp,
            first: vec![Op::Seccomp { program: seccomp::program() }],
            otherwise: spec.policy.allows_missing(Layer::Seccomp).then(Vec::new),
        });
        ops.push(program(spec)?);
        Ok((ops, keep, meeting))
    }
}

/// One spawning thread's life.
fn serve(queue: &Mutex<Receiver<Job>>, stack: &mut Stack) {
    sys::block_signals();
    sys::drop_groups();
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { ops, flags, keep, reply }) = job else {
            return;
        };
        let result = start(&ops, flags, stack);
        drop(keep);
        if let Err(unsent) = reply.send(result)
            && let Ok((started, _)) = unsent.0
        {
            // Nobody waits for it any more: it must not live on unwatched.
            let _ = sys::kill(std::os::fd::AsFd::as_fd(&started.pidfd));
            let _ = sys::reap(started.pid);
        }
    }
}

/// Starts one child and says whether its steps were done.
pub(crate) fn start(
    ops: &[Op],
    flags: c_int,
    stack: &mut Stack,
) -> Result<(Started, Layers), Failure> {
    let report = Report::new();
    let task = Task { ops, report: &report, mask: sys::no_signals() };
    let started = sys::start(&task, flags, stack).map_err(Failure::Clone)?;
    if report.done.get() {
        return Ok((started, report.layers.get()));
    }
    let reaped = sys::reap(started.pid).map_err(|error| Failure::Step(starting(error)))?;
    let failed = find(ops, report.failed.get());
    Err(Failure::Step(match failed {
        Some(op) => op.error(report.errno.get()),
        None => starting(io::Error::other(format!(
            "the child died before it could begin ({})",
            ExitStatus::from_raw(reaped.status)
        ))),
    }))
}

/// The step at this address.
fn find(ops: &[Op], address: *const Op) -> Option<&Op> {
    ops.iter().find_map(|op| match op {
        op if std::ptr::eq(op, address) => Some(op),
        Op::Layered { first, otherwise, .. } => {
            find(first, address).or_else(|| otherwise.as_deref().and_then(|ops| find(ops, address)))
        }
        _ => None,
    })
}

fn namespaces(spec: &Spec, waived: Layers) -> Vec<(Layer, c_int)> {
    NAMESPACES
        .into_iter()
        .filter(|(layer, _)| !waived.has(*layer))
        .filter(|(layer, _)| *layer != Layer::NetNamespace || spec.network != Network::Host)
        .collect()
}

/// Which of the namespaces this host refuses, when all together were refused.
fn missing_namespace(
    asked: &[(Layer, c_int)],
    error: io::Error,
) -> Result<(Layer, io::Error), SandboxError> {
    for (layer, _) in asked {
        if let Err(error) = probe::namespace(*layer) {
            return Ok((*layer, error));
        }
    }
    Err(starting(error))
}

fn limits(limits: &Limits) -> Vec<Op> {
    let mut ops = vec![Op::Rlimit { resource: libc::RLIMIT_CORE, value: 0 }];
    if let Some(processes) = limits.max_processes {
        ops.push(Op::Rlimit { resource: libc::RLIMIT_NPROC, value: processes.into() });
    }
    ops.extend(limits.rlimits.iter().map(|limit| Op::Rlimit {
        resource: match limit.resource {
            Resource::AddressSpace => libc::RLIMIT_AS,
            Resource::Data => libc::RLIMIT_DATA,
            Resource::CpuSeconds => libc::RLIMIT_CPU,
            Resource::FileSize => libc::RLIMIT_FSIZE,
            Resource::OpenFiles => libc::RLIMIT_NOFILE,
            Resource::Stack => libc::RLIMIT_STACK,
        },
        value: limit.value,
    }));
    ops
}

/// The builder: its first argument is its base name, as under Nix.
fn program(spec: &Spec) -> Result<Op, SandboxError> {
    let base = spec.builder.rsplit(|byte| *byte == b'/').next();
    let mut argv = vec![c_string("builder", base.unwrap_or_default())?];
    for argument in &spec.args {
        argv.push(c_string("args", argument.as_slice())?);
    }
    let environment: Result<Vec<CString>, SandboxError> = spec
        .env
        .iter()
        .map(|(name, value)| c_string("env", [name.as_slice(), b"=", value].concat()))
        .collect();
    Ok(Op::Exec {
        candidates: vec![c_string("builder", spec.builder.as_slice())?],
        argv: CStrings::new(argv),
        envp: CStrings::new(environment?),
    })
}

fn log_pipe() -> Result<(File, OwnedFd), SandboxError> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(starting)?;
    rustix::io::ioctl_fionbio(&read, true).map_err(starting)?;
    Ok((File::from(read), write))
}

pub(crate) fn starting(error: impl Into<io::Error>) -> SandboxError {
    SetupError {
        step: "starting a process",
        path: None,
        source: error.into(),
        mend: "free memory, processes or descriptors and build again",
    }
    .into()
}

fn gone() -> SandboxError {
    starting(io::Error::other("the spawning threads have ended"))
}
