//! The engine: from a graph of recipes to outputs in the store.
//!
//! Data flows one way: [`import`] makes a [`graph::Graph`] of what evaluation found, [`db`] holds
//! it as queries, a [`rebuilder`] says which old results may stand, [`schedule`] runs the rest
//! through an [`job::Executor`], and what was decided is a [`record`]. Progress leaves as
//! [`event`]s; nothing here prints, and nothing here knows a command line.

pub mod cancel;
pub mod db;
pub mod event;
pub mod graph;
//pub mod import;
pub mod job;
pub mod rebuilder;
pub mod recipe;
pub mod record;
pub mod resolve;
pub mod schedule;
