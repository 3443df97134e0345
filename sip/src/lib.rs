//! Voxea's telephone: SIP signalling and the deposit call.
//!
//! [`wire`], [`sdp`], [`auth`], [`call`], [`endpoint`], [`keeper`], [`rtcp`], [`srtp`] and their helpers are a machine: bytes and the time
//! go in; bytes, events and the next deadline come out. They know no socket, no clock and no database. Behind the
//! feature `shell` stand `config`, `media` (RTP and recordings) and `shell` (sockets, the store).

pub mod announcement;
pub mod auth;
pub mod call;
#[cfg(feature = "shell")]
pub mod config;
mod dialog;
pub mod dtmf;
pub mod endpoint;
pub mod flow;
mod hop;
mod ids;
mod interval;
pub mod keeper;
#[cfg(feature = "shell")]
pub mod media;
pub mod policy;
pub mod rtcp;
pub mod sdp;
#[cfg(feature = "shell")]
mod shell;
pub mod srtp;
pub mod timers;
mod transaction;
pub mod wire;

#[cfg(feature = "shell")]
pub use config::Config;
#[cfg(feature = "shell")]
pub use shell::{ports, probe, renewals, run};
