//! Tests of the store through its public face: opening, registering, collecting, verifying, a
//! model, and kills at random moments. What one module promises is tested beside it.

mod collect;
mod crash;
mod fixture;
mod model;
mod open;
mod register;
mod speed;
