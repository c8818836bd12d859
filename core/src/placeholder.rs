//! Placeholders: texts that stand for store paths not known yet, and are replaced by them
//! before a builder sees them. Nothing here replaces anything.

use crate::hash::{Hash, HashAlgo};
use crate::path::{OutputName, StorePath};

/// The length of every placeholder: a slash and 52 digits.
pub const LEN: usize = 53;

fn render(clear: &str) -> String {
    format!("/{}", Hash::of(HashAlgo::Sha256, clear.as_bytes()).base32())
}

/// What `builtins.placeholder` returns: stands for an output of the derivation it is in.
pub fn output(name: &str) -> String {
    render(&format!("nix-output:{name}"))
}

/// Stands for the output of another derivation, floating or deferred.
pub fn upstream(drv_path: &StorePath, output: &OutputName) -> String {
    let drv_name = drv_path.name();
    let drv_name = drv_name.strip_suffix(".drv").unwrap_or(drv_name);
    render(&format!(
        "nix-upstream-output:{}:{}",
        drv_path.digest_text(),
        output.path_name(drv_name)
    ))
}

/// Stands for the output of a derivation that is itself an output, for which `inner` (a
/// placeholder too) stands; `None` when `inner` is no placeholder.
pub fn computed(inner: &str, output: &OutputName) -> Option<String> {
    let digest = Hash::parse_digits(inner.strip_prefix('/')?, HashAlgo::Sha256).ok()?;
    let folded: [u8; 20] = digest.fold();
    Some(render(&format!("nix-computed-output:{}:{output}", crate::base32::encode(&folded))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that Nix's own unit tests and `builtins.placeholder` give.
    #[test]
    fn known_values() {
        assert_eq!(output("out"), "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9");
        assert_eq!(output("out").len(), LEN);
        let drv = StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv").unwrap();
        let upstream = upstream(&drv, &OutputName::out());
        assert_eq!(upstream, "/0c6rn30q4frawknapgwq386zq358m8r6msvywcvc89n6m5p2dgbz");
        let dynamic =
            StorePath::from_base_name("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv.drv").unwrap();
        let inner = super::upstream(&dynamic, &OutputName::out());
        assert_eq!(
            computed(&inner, &OutputName::out()).unwrap(),
            "/0gn6agqxjyyalf0dpihgyf49xq5hqxgw100f0wydnj6yqrhqsb3w"
        );
    }
}
