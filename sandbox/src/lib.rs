//! One build in a private world: namespaces, a root of its own, landlock, seccomp. This crate
//! knows processes and mounts; it knows nothing of derivations, the store's database or the
//! command line.
//!
//! Start with [`Spec`] (what a build is allowed to be), [`Spawner::spawn`] (which starts it),
//! [`Running::wait`] (which follows it to its end) and [`Outcome`].

mod child;
mod enter;
mod error;
mod landlock;
mod layers;
mod mounts;
mod network;
mod outcome;
mod plan;
mod probe;
mod seccomp;
mod spawn;
mod spec;
mod sys;
mod wait;

pub use enter::{EnterSpec, enter};

pub use error::{SandboxError, SetupError};
pub use layers::{Layer, Layers, Policy};
pub use outcome::{End, Outcome};
pub use probe::{FULL_KERNEL, FULL_LANDLOCK_ABI, LEAST_KERNEL, LayerStatus, probe};
pub use spawn::Spawner;
pub use spec::{
    BUILD_DIR, BUILD_GID, BUILD_UID, Bind, Input, Limits, Network, RESERVED_PIDS, Resource, Rlimit,
    RootFs, STORE_DIR, Spec,
};
pub use wait::{Killer, Running};
