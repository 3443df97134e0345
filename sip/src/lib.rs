//! Voxea's telephone: SIP signalling and the deposit call.
//!
//! [`wire`], [`sdp`], [`transaction`], [`dialog`], [`call`] and [`endpoint`] are a machine: bytes and the time go
//! in, bytes, events and the next deadline come out. They know no socket, no clock and no database.

#[cfg(feature = "shell")]
pub mod media;
pub mod wire;
