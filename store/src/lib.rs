//! floe's store: store objects on disk and all that is true of them, kept in RocksDB.
//! Nothing here builds, evaluates, fetches or talks to a terminal; what an object *means* is
//! the engine's affair.
//!
//! Start reading at [`Store`] (`store.rs`), then `register.rs` (how things become true) and
//! `gc.rs` (how they stop being so). The rules that hold at every moment, also after a kill -9:
//!
//! 1. A registered object never changes, and its references are registered before it.
//! 2. One write batch makes objects, references, traces and records true together.
//! 3. What lies in `ROOT/store` without a row is garbage; the next owner or collection removes it.
//! 4. Rows go before files when deleting, files before rows when adding.
//! 5. Deleting advances the epoch, so no memo outlives the object it names.
//! 6. A trace outlives its objects: it is forgotten run by run, long after they went.
//!
//! # After a power cut
//! A registration survives the death of the process at once. A power cut may take those of the
//! last moments, the newest first: their rows are synced together, some tens of milliseconds later
//! or by [`Store::sync`], and the log keeps their order, so what a surviving row refers to has
//! survived too. Files of objects are never synced one by one, so a file that was written shortly
//! before a power cut may come back empty under a row that says otherwise: [`Store::verify`]
//! finds it.
//!
//! # Locks
//! Three kinds, always taken in this order, never upwards:
//!
//! 1. `ROOT/lock` (flock, exclusive): the *owner*, the one process that may write, for its life.
//! 2. `ROOT/gc.lock` (flock): *collection*. Read-only openers hold it shared for their life, taken
//!    before they open the database, so that what they see stays; `gc` holds it exclusively.
//!    The owner's own threads do not take it: they have the gate.
//! 3. The *gate* (in memory, reader-writer): protecting a path, staging, registering and adding a
//!    root pass it shared, each sweep of `gc` takes it exclusively for some milliseconds. While a
//!    collection runs, everything that passes the gate is noted as touched, and the next sweep
//!    first marks what was touched: a new root during a collection is honoured.
//!    Under the gate: the registration mutex, then the table of protected paths.

mod add;
mod db;
mod digest;
mod divergent;
mod error;
mod forget;
mod gc;
mod key;
mod layout;
mod lock;
mod mark;
mod moment;
pub mod object;
mod protect;
mod query;
mod recover;
mod register;
mod root;
mod row;
mod schema;
mod seal;
mod stage;
mod store;
mod syncer;
mod trace;
mod trash;
mod types;
mod verify;
pub mod versioned;

pub use add::{Prepared, source_path};
pub use digest::FileStat;
pub use divergent::Mixture;
pub use error::StoreError;
pub use gc::{GcOptions, GcReport};
pub use lock::{Waiting, WaitingFor};
pub use moment::Moment;
pub use protect::{TempRootFile, TempRoots};
pub use recover::RecoverReport;
pub use root::Root;
pub use store::{Mode, Open, Store};
pub use types::{
    Batch, Divergence, NewDerivation, NewObject, NewTrace, ObjectInfo, Origin, Realisation,
    Registered, TraceKey,
};
pub use verify::{Fault, VerifyOptions, VerifyReport};
