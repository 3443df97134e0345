//! What Voxea knows: contacts, requests, replies, the feed, and the two databases that keep them.
//!
//! Floors, from top to bottom; a floor imports only those below it:
//! jobs · contact, outbox · request · citizen · catalogue · artefact, feed, access, channel · audit · store · base.

pub mod access;
pub mod artefact;
pub mod audit;
pub mod base;
pub mod catalogue;
pub mod channel;
pub mod citizen;
pub mod contact;
mod doors;
pub mod feed;
pub mod jobs;
pub mod outbox;
pub mod request;
pub mod store;

pub use doors::{Core, CoreConfig};
