//! The signalling machine from outside: text in, text out, on virtual time.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod bench;
mod calls;
mod keys;
mod oddities;
mod policy;
mod reliable;
mod sessions;
mod torture;
mod trunks;
