//! The audit trail: who changed what, who read what of citizens, for what purpose.
//!
//! Rows are chained by their hashes and the chain is signed now and then, so that whoever writes the database without
//! holding the key cannot change what was signed unnoticed. Every door above appends inside its own transaction; reads
//! are appended by [`Audit`] before their answer leaves.

mod append;
mod chain;
mod checkpoint;
mod committer;
mod door;
mod entry;
mod export;
mod heard;
mod key;
mod lines;
mod notary;
mod retention;
mod settings;
mod signer;
mod trail;
mod verify;

pub use append::append;
pub use chain::Record;
pub use checkpoint::{Checkpoint, Signer, signers};
pub use door::{Audit, Filter, Listed, Status};
pub use entry::Entry;
pub use export::export;
pub use key::{PublicKey, SigningKey};
pub use lines::verify as verify_lines;
pub use notary::Notary;
pub use settings::{MONTHS, Settings};
pub use trail::{Trust, verify};
pub use verify::{Broken, Seen, Sound};
