//! Texts over SMPP 3.4 (and 5.0 where asked): an ESME that loses none.
//!
//! The machine is pure: bytes and `now` go in; bytes, events and the next deadline come out.
//!
//! | module | holds |
//! |---|---|
//! | [`frame`] | PDUs cut out of a byte stream by their command_length |
//! | [`pdu`] | PDUs read and written, with rusmpp's types underneath |
//! | [`session`] | one bind: states, windows, timers, exactly one answer to every request |
//! | [`content`] | what a message says: alphabets, user data headers, delivery receipts |
//!
//! Behind the feature `shell` stand the connection, and the way into and out of the core.

pub mod content;
pub mod frame;
pub mod pdu;
pub mod session;

#[cfg(feature = "shell")]
mod automatic;
#[cfg(feature = "shell")]
mod config;
#[cfg(feature = "shell")]
mod shell;

#[cfg(feature = "shell")]
pub use automatic::automatic;
#[cfg(feature = "shell")]
pub use config::Config;
#[cfg(feature = "shell")]
pub use shell::{probe, run};
