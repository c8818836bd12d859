//! The `content-addressed` rebuilder: constructive traces over resolved derivations, which is
//! what Nix's RFC 62 and the build trace describe. Every derivation is lifted to a floating
//! output, fixed outputs keep their given address.

use super::Rebuilder;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct ContentAddressed;

impl Rebuilder for ContentAddressed {
    fn name(&self) -> &'static str {
        "content-addressed"
    }
}
