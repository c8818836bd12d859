//! The scheduler and the queries in a world of sums: what runs, what is asked again, and that
//! the answers are those of a plain interpreter. No store and no sandbox here.

mod chains;
mod classic;
mod divergence;
mod examples;
mod explanations;
mod making;
mod models;
mod predictions;
mod random;
mod reference;
mod scale;
mod world;
