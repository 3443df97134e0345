//! The way out: a reply is queued, leased by its channel, submitted, and settled by what the peer says of it.

mod door;
mod holder;
mod lease;
mod parking;
mod receipt;
mod reply;
mod row;
mod settle;

pub use door::{Outbox, Sender};
pub use lease::Outbound;
pub use parking::{ReceiptIn, ReceiptState};
pub use reply::NewReply;
pub use row::{ReplyKind, ReplyRow, ReplyState};
pub use settle::Settlement;
