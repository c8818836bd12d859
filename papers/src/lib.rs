//! The literature of build systems, executable: small models of the published systems, their laws as properties, and the
//! published tables computed from both. Imports nothing of floe; floe's tests may import it.
//!
//! Where to start: [`task`], [`scheduler`], [`rebuilder`] and [`system`] are the framework of Build Systems à la Carte;
//! [`systems`] puts the published systems together; [`laws`] says what they may promise; [`tables`] shows who keeps it.
//! `README.md` is the reading list.

pub mod case;
pub mod chance;
pub mod claims;
pub mod clean;
pub mod equivariance;
pub mod laws;
pub mod log;
pub mod made;
pub mod oracle;
pub mod outputs;
pub mod project;
pub mod rebuilder;
pub mod scheduler;
pub mod script;
pub mod search;
pub mod selftracking;
pub mod site;
pub mod store;
pub mod sums;
pub mod system;
pub mod systems;
pub mod tables;
pub mod task;
pub mod trace;
pub mod value;
pub mod workload;
