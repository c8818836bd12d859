//! The names of the walls around a build, and which of them may be missing. No system call here.

use std::fmt;

/// One wall around a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Layer {
    /// The builder's user id means nothing outside and it holds no capability there.
    UserNamespace,
    /// A mount table of its own: a private root that holds its inputs and nothing else.
    MountNamespace,
    /// It sees and signals only its own processes, and all of them die with it.
    PidNamespace,
    /// It reaches no network and no abstract socket of the host or of another build.
    NetNamespace,
    /// It shares no System V or POSIX message queue, semaphore or memory.
    IpcNamespace,
    /// Its host name is always `localhost`.
    UtsNamespace,
    /// It sees no control group above its own.
    CgroupNamespace,
    /// `/proc` shows its own processes only (otherwise the host's is bound read-only).
    PrivateProc,
    /// Terminals of its own in `/dev/pts`.
    PrivatePts,
    /// The second wall around files: open, execute, create, remove, rename.
    Landlock,
    /// Landlock's walls around abstract sockets and signals (ABI 6).
    LandlockScopes,
    /// Calls are filtered: set-id bits, extended attributes, key rings, unknown calls, and more.
    Seccomp,
}

impl Layer {
    /// Every layer, in the order in which they are put up.
    pub const ALL: [Layer; 12] = [
        Layer::UserNamespace,
        Layer::MountNamespace,
        Layer::PidNamespace,
        Layer::NetNamespace,
        Layer::IpcNamespace,
        Layer::UtsNamespace,
        Layer::CgroupNamespace,
        Layer::PrivateProc,
        Layer::PrivatePts,
        Layer::Landlock,
        Layer::LandlockScopes,
        Layer::Seccomp,
    ];

    /// The name users write in flags and read in reports.
    pub fn name(self) -> &'static str {
        match self {
            Layer::UserNamespace => "user-namespace",
            Layer::MountNamespace => "mount-namespace",
            Layer::PidNamespace => "pid-namespace",
            Layer::NetNamespace => "net-namespace",
            Layer::IpcNamespace => "ipc-namespace",
            Layer::UtsNamespace => "uts-namespace",
            Layer::CgroupNamespace => "cgroup-namespace",
            Layer::PrivateProc => "private-proc",
            Layer::PrivatePts => "private-pts",
            Layer::Landlock => "landlock",
            Layer::LandlockScopes => "landlock-scopes",
            Layer::Seccomp => "seccomp",
        }
    }

    /// The layer of this name.
    pub fn from_name(name: &str) -> Option<Layer> {
        Layer::ALL.into_iter().find(|layer| layer.name() == name)
    }

    /// Whether floe can build at all without it. Without user, mount and pid namespaces there is
    /// no sandbox, so no policy can allow those to be missing.
    pub fn is_base(self) -> bool {
        matches!(self, Layer::UserNamespace | Layer::MountNamespace | Layer::PidNamespace)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of layers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Layers(u32);

impl Layers {
    /// No layer.
    pub const NONE: Layers = Layers(0);

    /// Every layer.
    pub fn all() -> Layers {
        Layer::ALL.into_iter().collect()
    }

    /// This set with one more layer.
    #[must_use]
    pub const fn with(self, layer: Layer) -> Layers {
        Layers(self.0 | 1 << layer as u8)
    }

    /// This set without one layer.
    #[must_use]
    pub const fn without(self, layer: Layer) -> Layers {
        Layers(self.0 & !(1 << layer as u8))
    }

    /// Whether the layer is in the set.
    pub const fn has(self, layer: Layer) -> bool {
        self.0 & 1 << layer as u8 != 0
    }

    /// The layers of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = Layer> {
        Layer::ALL.into_iter().filter(move |layer| self.has(*layer))
    }

    /// The layers that are not in the set, in order.
    pub fn missing(self) -> impl Iterator<Item = Layer> {
        Layer::ALL.into_iter().filter(move |layer| !self.has(*layer))
    }
}

impl FromIterator<Layer> for Layers {
    fn from_iter<I: IntoIterator<Item = Layer>>(layers: I) -> Layers {
        layers.into_iter().fold(Layers::NONE, Layers::with)
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Layer::name)).finish()
    }
}

/// Which layers may be missing. Whatever is missing and not allowed refuses the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Policy {
    allowed: Layers,
}

impl Policy {
    /// Every layer is required.
    pub const fn strict() -> Policy {
        Policy { allowed: Layers::NONE }
    }

    /// This policy, with a layer that may be missing. A base layer stays required.
    #[must_use]
    pub fn allow_missing(self, layer: Layer) -> Policy {
        if layer.is_base() {
            return self;
        }
        Policy { allowed: self.allowed.with(layer) }
    }

    /// Whether a build may run without this layer.
    pub fn allows_missing(&self, layer: Layer) -> bool {
        self.allowed.has(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        for layer in Layer::ALL {
            assert_eq!(Layer::from_name(layer.name()), Some(layer));
        }
        assert_eq!(Layer::from_name("moat"), None);
    }

    #[test]
    fn a_base_layer_cannot_be_waived() {
        let policy =
            Policy::strict().allow_missing(Layer::UserNamespace).allow_missing(Layer::Landlock);
        assert!(!policy.allows_missing(Layer::UserNamespace));
        assert!(policy.allows_missing(Layer::Landlock));
        assert!(!policy.allows_missing(Layer::Seccomp));
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set = Layers::all().without(Layer::Seccomp);
        assert!(!set.has(Layer::Seccomp));
        assert_eq!(set.missing().collect::<Vec<_>>(), [Layer::Seccomp]);
        assert_eq!(set.with(Layer::Seccomp), Layers::all());
    }
}
