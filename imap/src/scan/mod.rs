//! Fax and scan: documents that come as files, by a mailbox that a fax gateway or a copier writes to, or by a watched folder.
//!
//! A document is evidence before it is anything else: it becomes a request whatever it holds. Only then it is searched for the
//! code of a reference, by a process of its own ([`helper`]) that may be killed by what it reads without harming anybody.
//! [`watch`] and [`sender`] are pure; so is [`document`], which that process runs.

pub mod sender;
pub mod watch;

#[cfg(feature = "shell")]
pub mod config;
#[cfg(feature = "shell")]
pub mod document;
#[cfg(feature = "shell")]
mod files;
#[cfg(feature = "shell")]
mod folder;
#[cfg(feature = "shell")]
pub mod helper;
#[cfg(feature = "shell")]
pub(crate) mod mail;
#[cfg(feature = "shell")]
mod paper;
#[cfg(feature = "shell")]
mod taking;

#[cfg(feature = "shell")]
pub use folder::{probe, run};
