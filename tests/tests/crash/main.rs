//! Faults of the host and of floe's own process: full and read-only file systems, damaged metadata, two commands on
//! one root, kill -9 at any moment. Afterwards the store must be sound and finished work kept.

mod collection;
mod database;
mod host;
mod kills;
mod registration;
