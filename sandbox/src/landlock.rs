//! Which landlock rules stand around a build: the second wall, over the private root. It governs
//! open, execute, create, remove and rename, abstract sockets and signals; stat, chmod and times
//! are not its business. The calls themselves are in `child.rs`.

use std::ffi::CString;

use crate::layers::{Layer, Policy};
use crate::plan::{Op, c_literal};
use crate::sys;

const EXECUTE: u64 = 1 << 0;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_BLOCK: u64 = 1 << 11;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
/// The rights that a rule on a file (and not a directory) may hold.
const ON_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

const SCOPE_ABSTRACT_SOCKETS: u64 = 1 << 0;
const SCOPE_SIGNALS: u64 = 1 << 1;

/// The newest ABI whose rights are used here.
pub(crate) const NEWEST_ABI: u32 = 6;

/// What the ABI of a kernel lets us say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    rights: u64,
    scopes: u64,
}

fn known(abi: u32) -> Known {
    let rights = match abi {
        0 => 0,
        1 => REFER - 1,
        2 => (REFER << 1) - 1,
        3 | 4 => (TRUNCATE << 1) - 1,
        _ => (IOCTL_DEV << 1) - 1,
    };
    let scopes = if abi >= 6 { SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS } else { 0 };
    Known { rights, scopes }
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
    if rights == 0 {
        return Vec::new();
    }
    // Nobody may make device nodes, not even overlay whiteouts.
    let everything = rights & !(MAKE_CHAR | MAKE_BLOCK);
    let device = rights & (READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | IOCTL_DEV);
    let mut rules =
        vec![(c_literal("/"), EXECUTE | READ_FILE | READ_DIR), (c_literal("/dev"), device)];
    for path in ["/nix/store", "/build", "/tmp", "/dev/shm"] {
        rules.push((c_literal(path), everything));
    }
    for Writable { path, is_dir } in writable {
        let mask = if is_dir { everything } else { everything & ON_FILES };
        rules.push((path, mask));
    }
    let mut first = vec![Op::Landlock { handled: rights, scoped: scopes, rules }];
    if scopes != 0 {
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
        let mut last = Known { rights: 0, scopes: 0 };
        for abi in 0..=NEWEST_ABI {
            let now = known(abi);
            assert_eq!(now.rights & last.rights, last.rights, "ABI {abi}");
            assert_eq!(now.scopes & last.scopes, last.scopes, "ABI {abi}");
            last = now;
        }
        assert_eq!(known(1).rights, 0x1fff);
        assert_eq!(known(7).rights, 0xffff);
    }

    #[test]
    fn what_is_lacking_is_said() {
        assert!(lacking(Layer::Landlock, 0).is_some());
        assert!(lacking(Layer::Landlock, 1).is_none());
        assert!(lacking(Layer::LandlockScopes, 5).is_some());
        assert!(lacking(Layer::LandlockScopes, 6).is_none());
    }
}
