//! The harness of the end-to-end tests: a [`World`] to run the floe command in, the [`fixture`]s beside it, and C++ Nix
//! as an [`oracle`]. Nothing here links floe's own crates: what is tested is the command as its users call it.

pub mod bounds;
pub mod fixture;
pub mod oracle;
pub mod process;
pub mod scene;
pub mod suite;
pub mod terminal;
pub mod tracer;
pub mod world;

pub use process::Outcome;
pub use world::World;
