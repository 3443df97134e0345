//! Personal data at rest: sealed under keys that the database does not hold, off unless the operator gives a master key.
//!
//! A root key, random, stands in the table `vault`, wrapped under the operator's master key. From it come all others
//! (HKDF-SHA256): a sealing key a day for texts and bytes, one key for blind indexes, one a file. What seals is
//! AES-256-GCM, and what it seals is bound to its column and row, so that values cannot change places. A database is
//! either sealed throughout or not at all; in one that is, a plain value is as wrong as a broken one.

mod chunks;
mod convert;
mod data_key;
mod door;
mod keys;
mod master;
mod opening;
mod place;
mod reply_tokens;
mod table;

pub use chunks::{CHUNK, ChunkOpener, ChunkSealer, sealed_size};
pub use data_key::DataKey;
pub use door::Vault;
pub use master::{MasterKeys, new_line};
pub use opening::Opening;
pub use place::{Index, Place};
pub use reply_tokens::ReplyTokens;
