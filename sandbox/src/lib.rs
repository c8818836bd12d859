//! One build in a private world: namespaces, a root of its own, landlock, seccomp. This crate
//! knows processes and mounts; it knows nothing of derivations, the store's database or the
//! command line.
//!
//! Start with [`Spec`] (what a build is allowed to be), [`Spawner::spawn`] (which starts it),
//! [`Running::wait`] (which follows it to its end) and [`Outcome`].

mod error;
mod layers;
mod outcome;
mod spec;

pub use error::{SandboxError, SetupError};
pub use layers::{Layer, Layers, Policy};
pub use outcome::{End, Outcome};
pub use spec::{
    BUILD_DIR, BUILD_GID, BUILD_UID, Bind, Input, Limits, Network, Resource, Rlimit, RootFs,
    STORE_DIR, Spec,
};
