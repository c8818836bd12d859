//! The resident server: one process for a store root, started on demand, that keeps evaluations and
//! the query graph warm for many clients. A client connects to the socket in the root
//! ([`place`]), says who it is and what it wants ([`protocol`], [`frame`]), and hears events and an
//! answer. [`daemon`] is the process, [`work`] carries a request out, [`warm`] is what is kept from
//! one request to the next, [`watch`] sees files change, [`client`] is the other end.
//!
//! Nothing here prints, parses a command line or evaluates: that is the command's, the engine's and
//! the language's.

pub mod answer;
pub mod client;
mod connection;
pub mod daemon;
pub mod frame;
pub mod happening;
mod outlet;
pub mod place;
mod pool;
pub mod protocol;
mod warm;
pub mod watch;
mod work;

pub use work::ShowError;

/// An error and its causes in one line. Library errors tell their causes themselves, so a cause
/// that was told already is left out.
pub fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text += &format!(": {words}");
        }
        next = cause.source();
    }
    text
}
