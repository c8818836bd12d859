//! What a build is allowed to be: the complete description of one sandboxed run. Plain data;
//! nothing here changes the system.

use std::path::PathBuf;
use std::time::Duration;

use crate::layers::Policy;

/// The logical store directory, as every builder sees it.
pub const STORE_DIR: &str = "/nix/store";
/// The build directory, as every builder sees it: its working directory.
pub const BUILD_DIR: &str = "/build";
/// The user id every builder runs under, as it sees it.
pub const BUILD_UID: u32 = 1000;
/// The group id every builder runs under, as it sees it.
pub const BUILD_GID: u32 = 100;

/// The process numbers that the kernel does not give out a second time.
pub const RESERVED_PIDS: u32 = 300;

/// What stands at `/` beside the directories that the sandbox itself makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootFs {
    /// Each top-level entry of this host directory, bound read-only (symlinks are copied).
    /// Entries named as the sandbox's own directories (`nix`, `build`, `tmp`, `dev`, `proc`,
    /// `sys`) are left out; `etc` is merged with the files the sandbox writes there.
    Seed(PathBuf),
    /// Nothing but `/bin/sh`, which is this (statically linked) host file.
    Bare {
        /// The shell's path on the host.
        sh: PathBuf,
    },
}

/// One store object that the builder may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Where its bytes lie on the host: a directory, a file or a symlink.
    pub host: PathBuf,
    /// Its base name (`<digest>-<name>`) inside [`STORE_DIR`].
    pub name: String,
}

/// A further host path made visible to the builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The host path: a directory or a file.
    pub host: PathBuf,
    /// The absolute path inside; its parents are created.
    pub inside: PathBuf,
    /// Whether the builder may write there.
    pub writable: bool,
}

/// What the builder can reach over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Network {
    /// A namespace of its own with nothing but a loopback device.
    #[default]
    None,
    /// A namespace of its own, joined to the outside by `slirp4netns` or `pasta`.
    UserMode,
    /// The host's own namespace. It is recorded as a missing layer, so the policy must allow it.
    Host,
}

/// Which resource a [`Rlimit`] bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Bytes of address space of one process.
    AddressSpace,
    /// Bytes of memory that one process may write to and shares with no other: its heap, its
    /// stacks and its private mappings. Address space that is merely reserved is not counted.
    Data,
    /// CPU seconds of one process.
    CpuSeconds,
    /// Bytes of one file.
    FileSize,
    /// Open descriptors of one process.
    OpenFiles,
    /// Bytes of stack of the main thread.
    Stack,
}

/// One resource limit, soft and hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rlimit {
    /// What is limited.
    pub resource: Resource,
    /// The limit; the soft and the hard one alike.
    pub value: u64,
}

/// Bounds on a run. Core dumps are always off.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Limits {
    /// Longest wall time of the whole build.
    pub timeout: Option<Duration>,
    /// Longest time without a byte of output.
    pub max_silent: Option<Duration>,
    /// Most bytes of output.
    pub max_log_bytes: Option<u64>,
    /// Most processes and threads at the same time. The kernel counts those of the build alone
    /// (it counts per user namespace), but nobody's who is root outside: there the numbers of
    /// processes are limited instead, which needs Linux 6.14 and allows up to
    /// [`RESERVED_PIDS`] more.
    pub max_processes: Option<u32>,
    /// Resource limits of each process.
    pub rlimits: Vec<Rlimit>,
}

impl Limits {
    /// How high process ids may go, where that is how processes are limited.
    pub(crate) fn most_pids(&self) -> Option<u32> {
        let most = self.max_processes.filter(|_| rustix::process::geteuid().is_root())?;
        Some(most.saturating_add(RESERVED_PIDS))
    }
}

/// One build: what runs, what it sees, and how long it may.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What stands at `/`.
    pub root: RootFs,
    /// The host directory that becomes [`STORE_DIR`], writable. Mount points for the inputs are
    /// made in it and stay behind, empty; outputs appear in it under their base names.
    pub scratch_store: PathBuf,
    /// The closure of the build's inputs.
    pub inputs: Vec<Input>,
    /// The host directory that becomes [`BUILD_DIR`], writable.
    pub build_dir: PathBuf,
    /// The program, as a path inside.
    pub builder: Vec<u8>,
    /// Its arguments, without the program's own name (which becomes the builder's base name).
    pub args: Vec<Vec<u8>>,
    /// Its whole environment.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// What it can reach.
    pub network: Network,
    /// How long and how loud it may be.
    pub limits: Limits,
    /// Which layers may be missing.
    pub policy: Policy,
    /// Further host paths to show.
    pub binds: Vec<Bind>,
}

impl Spec {
    /// A spec with no inputs, arguments, environment, network or limits, and the strict policy.
    pub fn new(
        root: RootFs,
        scratch_store: impl Into<PathBuf>,
        build_dir: impl Into<PathBuf>,
        builder: impl Into<Vec<u8>>,
    ) -> Spec {
        Spec {
            root,
            scratch_store: scratch_store.into(),
            inputs: Vec::new(),
            build_dir: build_dir.into(),
            builder: builder.into(),
            args: Vec::new(),
            env: Vec::new(),
            network: Network::None,
            limits: Limits::default(),
            policy: Policy::strict(),
            binds: Vec::new(),
        }
    }
}
