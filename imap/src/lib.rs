//! Mail: from the bytes of a mailbox to a contact, and from a reply to the bytes of a submission.
//!
//! The modules that need no feature are pure: bytes and times go in, values come out. [`planner`] is the mailbox
//! machine; it decides what to ask of the server next and never reads a clock. The `shell` feature adds the
//! connection (async-imap below [`limit`]), the submission (lettre) and the store.
//!
//! Nothing here logs an address, a subject or a text.

pub mod address;
pub mod authenticity;
pub mod automatic;
pub mod calendar;
pub mod charset;
pub mod compose;
pub mod dedup;
pub mod dsn;
pub mod fields;
pub mod flowed;
pub mod html;
pub mod ids;
pub mod mime;
pub mod name;
pub mod pacing;
pub mod planner;
pub mod prescan;
pub mod quote;
pub mod reply_code;
pub mod scan;
pub mod token;
pub mod transfer;
pub mod utf7;
pub mod words;

#[cfg(feature = "shell")]
mod accepting;
#[cfg(feature = "shell")]
mod ahead;
#[cfg(feature = "shell")]
pub mod config;
#[cfg(feature = "shell")]
mod connection;
#[cfg(feature = "shell")]
mod counting;
#[cfg(feature = "shell")]
mod folders;
#[cfg(feature = "shell")]
mod follow;
#[cfg(feature = "shell")]
pub mod limit;
#[cfg(feature = "shell")]
mod marking;
#[cfg(feature = "shell")]
pub mod oauth;
#[cfg(feature = "shell")]
mod outage;
#[cfg(feature = "shell")]
mod outgoing;
#[cfg(feature = "shell")]
mod room;
#[cfg(feature = "shell")]
mod run;
#[cfg(feature = "shell")]
pub mod sending;
#[cfg(feature = "shell")]
mod shift;
#[cfg(feature = "shell")]
mod submission;
#[cfg(feature = "shell")]
mod take;
#[cfg(feature = "shell")]
mod tls;
#[cfg(feature = "shell")]
mod transport;
#[cfg(feature = "shell")]
mod trouble;
#[cfg(feature = "shell")]
mod trust;
#[cfg(feature = "shell")]
mod watch;
#[cfg(feature = "shell")]
mod wire;

#[cfg(feature = "shell")]
pub use config::Config;
#[cfg(feature = "shell")]
pub use counting::{Amount, Counted, count};
#[cfg(feature = "shell")]
pub use run::{probe, run};

/// Log targets that must never be enabled, whatever the operator's filter says: async-imap traces every line it
/// writes, `LOGIN user password` included, and lettre traces the SMTP dialogue with its `AUTH` answers.
pub const BANNED_LOG_TARGETS: &[&str] = &["async_imap", "imap_proto", "lettre"];
