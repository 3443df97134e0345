//! Texts over SMPP 3.4 (and 5.0 where asked): an ESME that loses none.
//!
//! The machine is pure: bytes and `now` go in; bytes, events and the next deadline come out.
//!
//! | module | holds |
//! |---|---|
//! | [`frame`] | PDUs cut out of a byte stream by their command_length |
//! | [`pdu`] | PDUs read and written, with rusmpp's types underneath |
//! | [`submit`] | a text of ours on its way to the SMSC |
//! | [`held`] | what is asked of the SMSC about a text that it has |
//! | [`session`] | one bind: states, windows, timers, exactly one answer to every request |
//! | [`signals`] | what an SMSC says beside messages: who can be reached again, how loaded it is |
//! | [`capture`] | PDUs with numbers, texts and passwords masked, for support |
//! | [`content`] | what a message says: alphabets, user data headers, delivery receipts |
//! | [`outgoing`] | the PDUs that a text of ours becomes |
//! | [`pace`] | how fast an account may send |
//! | [`status`] | what a refusal means |
//! | [`validity`] | until when the SMSC may try |
//!
//! Behind the feature `shell` stand the connection, and the way into and out of the core.

pub mod capture;
pub mod content;
mod cursor;
pub mod frame;
pub mod held;
pub mod outgoing;
pub mod pace;
pub mod pdu;
pub mod session;
pub mod signals;
pub mod status;
pub mod submit;
pub mod validity;

#[cfg(feature = "shell")]
mod automatic;
#[cfg(feature = "shell")]
mod config;
#[cfg(feature = "shell")]
mod sending;
#[cfg(feature = "shell")]
mod shell;
#[cfg(feature = "shell")]
mod tls;

#[cfg(feature = "shell")]
pub use automatic::automatic;
#[cfg(feature = "shell")]
pub use config::{Config, Outbind};
#[cfg(feature = "shell")]
pub use sending::Sending;
#[cfg(feature = "shell")]
pub use shell::{probe, run};
#[cfg(feature = "shell")]
pub use tls::Tls;
