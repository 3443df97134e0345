//! The signalling machine from outside: text in, text out, on virtual time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod auth;
mod bench;
mod calls;
mod fallback;
mod junk;
mod keys;
mod lives;
mod oddities;
mod policy;
mod races;
mod reliable;
mod sessions;
mod torture;
mod transport;
mod trunks;
