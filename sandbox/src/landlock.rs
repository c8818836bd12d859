//! Which landlock rules stand around a build: the second wall, over the private root. It governs
//! open, execute, create, remove and rename, abstract sockets and signals; stat, chmod and times
//! are not its business. The calls themselves are in `child.rs`.

use std::ffi::CString;

use landlock::{ABI, Access, AccessFs, BitFlags, Scope, make_bitflags};

use crate::layers::{Layer, Policy};
use crate::plan::{Op, c_literal};
use crate::sys;

/// The newest ABI whose rights are used here. Rights of newer ones need rules thought about first.
pub(crate) const NEWEST_ABI: u32 = 6;

/// What the ABI of a kernel lets us say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    rights: BitFlags<AccessFs>,
    scopes: BitFlags<Scope>,
}

fn known(abi: u32) -> Known {
    let abi = ABI::from(abi.min(NEWEST_ABI) as i32);
    Known { rights: AccessFs::from_all(abi), scopes: Scope::from_all(abi) }
}

/// Why the layer cannot be had, in words; `None` if it can.
pub(crate) fn lacking(layer: Layer, abi: u32) -> Option<String> {
    match (layer, abi) {
        (_, 0) => Some("this kernel has no landlock, or it was not started with it".into()),
        (Layer::LandlockScopes, 1..=5) => Some(format!("landlock ABI {abi}, and scopes need 6")),
        _ => None,
    }
}

/// A path that the builder may write to.
pub(crate) struct Writable {
    pub(crate) path: CString,
    pub(crate) is_dir: bool,
}

/// The step that applies landlock, given what may be written beside the fixed places.
pub(crate) fn step(abi: u32, policy: Policy, writable: Vec<Writable>) -> Vec<Op> {
    let Known { rights, scopes } = known(abi);
    if rights.is_empty() {
        return Vec::new();
    }
    // Nobody may make device nodes, not even overlay whiteouts.
    let everything = rights & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    let device =
        rights & make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | Truncate | IoctlDev});
    let read = make_bitflags!(AccessFs::{Execute | ReadFile | ReadDir});
    let mut rules = vec![(c_literal("/"), read.bits()), (c_literal("/dev"), device.bits())];
    for path in ["/nix/store", "/build", "/tmp", "/dev/shm"] {
        rules.push((c_literal(path), everything.bits()));
    }
    // A rule on a file may hold the rights of files only.
    let on_files = everything & AccessFs::from_file(ABI::from(NEWEST_ABI as i32));
    for Writable { path, is_dir } in writable {
        rules.push((path, if is_dir { everything } else { on_files }.bits()));
    }
    let mut first = vec![Op::Landlock { handled: rights.bits(), scoped: scopes.bits(), rules }];
    if !scopes.is_empty() {
        // Scopes are part of the same rule set: in force exactly when it is.
        first = vec![Op::Layered { layer: Layer::LandlockScopes, first, otherwise: None }];
    }
    vec![Op::Layered {
        layer: Layer::Landlock,
        first,
        otherwise: policy.allows_missing(Layer::Landlock).then(Vec::new),
    }]
}

/// The ABI of the running kernel; 0 where there is none.
pub(crate) fn abi() -> u32 {
    sys::landlock_abi()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_abis_know_more() {
        let mut last = known(0);
        assert!(last.rights.is_empty() && last.scopes.is_empty());
        for abi in 1..=NEWEST_ABI {
            let now = known(abi);
            assert!(now.rights.contains(last.rights), "ABI {abi}");
            assert!(now.scopes.contains(last.scopes), "ABI {abi}");
            last = now;
        }
        assert_eq!(known(1).rights.bits(), 0x1fff);
        assert_eq!(known(NEWEST_ABI + 5), last, "no right is used before it was thought about");
        assert_eq!((last.rights.bits(), last.scopes.bits()), (0xffff, 3));
    }

    #[test]
    fn what_is_lacking_is_said() {
        assert!(lacking(Layer::Landlock, 0).is_some());
        assert!(lacking(Layer::Landlock, 1).is_none());
        assert!(lacking(Layer::LandlockScopes, 5).is_some());
        assert!(lacking(Layer::LandlockScopes, 6).is_none());
    }
}
