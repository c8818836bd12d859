//! The engine: from a graph of recipes to outputs in the store.
//!
//! Data flows one way: [`import`] makes a [`graph::Graph`] of what evaluation found, [`db`] holds
//! it as queries, a [`rebuilder`] says which old results may stand, [`schedule`] runs the rest
//! through an [`job::Executor`] (here: [`local`]), and [`decide`] says what was decided and why.
//! [`history`] keeps it, with a [`journal`] of requests, and [`explain`] looks back.
//! Progress leaves as [`event`]s; nothing here prints, and nothing here knows a command line.
//!
//! The door is [`engine::Engine`].

pub mod alias;
pub mod amendments;
pub mod builds;
pub mod cancel;
pub mod db;
pub mod decide;
pub mod diff;
pub mod differences;
pub mod digests;
pub mod dynamic;
pub mod engine;
pub mod environ;
pub mod event;
pub mod explain;
pub mod fetch;
pub mod graph;
pub mod history;
pub mod host;
pub mod ids;
pub mod import;
pub mod instantiate;
pub mod instructions;
pub mod job;
pub mod journal;
pub mod ledger;
pub mod local;
pub mod materials;
mod memo;
pub mod overlay;
pub mod predict;
pub mod profile;
pub mod reads;
pub mod rebuilder;
pub mod recipe;
pub mod record;
pub mod report;
pub mod resolve;
pub mod schedule;
pub mod scheduling;
pub mod seed;
pub mod share;
pub mod slot;
pub mod spent;
pub mod tasks;
pub mod trees;
