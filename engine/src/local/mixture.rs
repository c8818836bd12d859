//! Closures that mix two realisations of one derivation (Dolstra's thesis calls what is built from
//! them Frankenbuilds): parts that were never built against each other, such as a library and the
//! headers of another build of it. The scheduler resolves a request so that none arises; what
//! evaluation has written down as text, or an older floe built, can still bring one.

use std::fmt::Write;

use floe_core::path::StorePath;
use floe_store::{Mixture, Store};

/// Refuses a closure of inputs that holds two realisations of one output.
///
/// # Errors
/// A message that names both, who uses which, and what to do.
pub(super) fn refuse(
    store: &Store,
    name: &str,
    direct: &[StorePath],
    closure: &[StorePath],
) -> Result<(), String> {
    let mixture = store.mixture(closure).map_err(|error| error.to_string())?;
    mixture.map_or(Ok(()), |mixture| Err(describe(store, name, direct, closure, &mixture)))
}

fn describe(
    store: &Store,
    name: &str,
    direct: &[StorePath],
    closure: &[StorePath],
    mixture: &Mixture,
) -> String {
    let Mixture { key, output, one, other } = mixture;
    let mut text = format!(
        "its inputs mix two realisations of one derivation, which were never built against each other: output \
         '{output}' of the resolved derivation {} is",
        &key.resolved.base16()[..32],
    );
    for path in [one, other] {
        let users = users(store, path, closure);
        let used = match (direct.contains(path), users.as_slice()) {
            (true, _) => format!("an input of '{name}' itself"),
            (false, []) => "in the closure of its inputs".to_owned(),
            (false, [first]) => format!("used by {first}"),
            (false, [first, rest @ ..]) => format!("used by {first} and {} more", rest.len()),
        };
        let _ = write!(text, "\n  {path}, {used}");
    }
    let _ = write!(
        text,
        "\nlet what uses the one be built again: remove its roots, run `floe store gc` and build; the derivation is \
         not deterministic, and `floe build --check` shows where its results differ"
    );
    text
}

/// Who in the closure refers to an object.
fn users(store: &Store, path: &StorePath, closure: &[StorePath]) -> Vec<StorePath> {
    let mut users = store.referrers(path).unwrap_or_default();
    users.retain(|user| user != path && closure.contains(user));
    users
}
