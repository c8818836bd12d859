//! The environment variables of whoever made a request: this process's own, or those that came with
//! the request of another process. Nothing here sets a variable.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::sync::Arc;

/// A set of environment variables; by default this process's.
#[derive(Clone, Default)]
pub struct Environment(Option<Arc<BTreeMap<OsString, OsString>>>);

impl Environment {
    /// Exactly these.
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Environment(Some(Arc::new(variables.into_iter().collect())))
    }

    /// A variable's value.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<OsString> {
        match &self.0 {
            Some(variables) => variables.get(name.as_ref()).cloned(),
            None => std::env::var_os(name),
        }
    }
}

/// Values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}
