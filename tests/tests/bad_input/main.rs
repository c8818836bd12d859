//! Bad input: expressions that are wrong, builders that misbehave, stores that are not what they were. Each test makes
//! the real fault happen and checks the message (what, where, what to do), the exit status, that finished work is kept,
//! that nothing is half registered and that no process and no lock is left. Faults of the host, and crashes, are in
//! `crash`.

mod builders;
mod evaluation;
mod fetching;
mod limits;
mod outputs;
mod reading;
mod source;
mod store;
mod values;
