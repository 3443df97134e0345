//! Who may come in, and which answers were given already.

mod idempotency;
mod keys;

pub use idempotency::{Idempotency, Slot};
pub use keys::{KeyRow, Keys};
