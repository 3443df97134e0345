//! A fleet of SIP callers on one socket, a link that loses what it carries, junk, and what each costs a server.
//!
//! The callers know bytes only. They repeat themselves by the timers of RFC 3261 §17, so that a call fails when the server
//! is at fault, and not when a datagram was lost.

pub mod fleet;
mod junk;
mod lines;
mod link;
pub mod rivals;
pub mod scenes;

pub use fleet::{Ending, Order, Tally};
