//! What can go wrong before a builder runs: each error names the step, the path and the way out.

use std::io;
use std::path::PathBuf;

use crate::layers::Layer;

/// A sandbox that could not be put up, or a run that could not be followed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The spec itself cannot be carried out.
    #[error("the build's {field} cannot be used: {reason}")]
    BadSpec {
        /// Which part of the spec.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A path named in the spec is not what it should be.
    #[error("the sandbox's {role} {}: {source}", path.display())]
    Path {
        /// What the path is for.
        role: &'static str,
        /// The path on the host.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// This host does not give a layer, and the policy requires it.
    #[error("this host does not give the sandbox layer {layer} ({detail}); {mend}")]
    LayerMissing {
        /// The layer.
        layer: Layer,
        /// What the system said.
        detail: String,
        /// What to do.
        mend: &'static str,
    },
    /// A step of the set-up failed.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The builder's program could not be executed.
    #[error(
        "the builder {builder} could not be executed: {source}; it must be an executable file among the build's inputs or its root file system, and so must its interpreter"
    )]
    Exec {
        /// The builder's path inside.
        builder: String,
        /// What the system said.
        source: io::Error,
    },
    /// No user-mode network could be attached.
    #[error(
        "the build's network could not be attached: {reason}; install slirp4netns or passt, and see that you may open /dev/net/tun"
    )]
    Network {
        /// What happened.
        reason: String,
    },
    /// Waiting for the builder or reading its log failed.
    #[error("following the builder failed while {doing}: {source}")]
    Follow {
        /// Which step.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// A step of the set-up inside the new namespaces that failed.
#[derive(Debug, thiserror::Error)]
#[error("setting up the sandbox failed: {step}{} ({source}); {mend}", on(path))]
pub struct SetupError {
    /// What was being done.
    pub step: &'static str,
    /// The path it was done to, where there is one.
    pub path: Option<PathBuf>,
    /// What the system said.
    pub source: io::Error,
    /// What to do about it.
    pub mend: &'static str,
}

fn on(path: &Option<PathBuf>) -> String {
    match path {
        Some(path) => format!(" on {}", path.display()),
        None => String::new(),
    }
}
