//! Prediction: which derivations of a request will run, how likely each is to, and how long that
//! takes, told before anything does; and afterwards how good that was. [`cause`] says why each
//! derivation that is not known to stand may run, [`sample`] lets the news travel, [`total`] lays
//! the runs out in time, [`learn`] compares with what came of it, [`score`] keeps the account.
//! What is remembered between requests is [`book`]'s. Nothing is decided here, and no result
//! rests on a prediction.

pub mod book;
pub mod cause;
pub mod edit;
pub mod forecast;
pub(crate) mod foresee;
pub mod learn;
pub mod odds;
pub mod pace;
pub mod sample;
pub mod score;
pub mod text;
pub mod total;

pub use forecast::{Forecast, Request};
pub use text::{Chance, Foreseen, Likelihood, Prediction, Span};
