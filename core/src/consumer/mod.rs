//! Named consumers: applications that cannot keep a cursor have it kept here.
//!
//! A batch goes out under a lease, one at a time, and only its acknowledgement moves the position, to exactly where the batch
//! ended. Whoever dies in between gets the same events again once the lease is over, so that none is skipped, and what may
//! come twice is known by its id.

mod door;
mod lease;
mod row;

pub use door::{Consumers, Made};
pub use lease::{Acknowledged, Batch};
pub use row::{Consumer, Lag};
