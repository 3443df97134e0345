//! Voxea's telephone: SIP signalling and the deposit call.
//!
//! [`wire`], [`sdp`], [`call`], [`endpoint`] and their helpers are a machine: bytes and the time go in; bytes,
//! events and the next deadline come out. They know no socket, no clock and no database.

pub mod call;
mod dialog;
pub mod endpoint;
pub mod flow;
mod ids;
#[cfg(feature = "shell")]
pub mod media;
pub mod policy;
pub mod sdp;
pub mod timers;
mod transaction;
pub mod wire;
