//! What Voxea knows: contacts, requests, replies, the feed, and the two databases that keep them.
//!
//! Floors, from top to bottom; a floor imports only those below it:
//! jobs · contact, outbox · request · citizen · catalogue, consumer, webhook · artefact, feed, access, channel · audit, vault · store · base.

pub mod access;
pub mod artefact;
pub mod audit;
pub mod base;
pub mod catalogue;
pub mod channel;
pub mod citizen;
pub mod consumer;
pub mod contact;
mod doors;
pub mod feed;
pub mod jobs;
pub mod outbox;
pub mod request;
pub mod store;
pub mod vault;
pub mod webhook;

pub use doors::{Core, CoreConfig};
