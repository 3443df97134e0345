//! The way out: a reply is queued, leased by its channel, submitted, and settled by what the peer says of it.

mod asking;
mod bounce;
mod cancel;
mod door;
mod early;
mod enclosed;
mod file;
mod holder;
mod late;
mod lease;
mod origin;
mod parking;
mod part;
mod planned;
mod queueing;
mod receipt;
mod replace;
mod reply;
mod rival;
mod row;
mod rows;
mod settle;
mod states;
mod texting;
mod turns;

pub use door::{Outbox, Sender};
pub use enclosed::Enclosed;
pub use file::{FILES_BYTES, MOST_FILES, ReplyFile};
pub use lease::{Ask, Outbound, Split};
pub use parking::{ReceiptIn, ReceiptState};
pub use part::{PartEnd, PartRow};
pub use row::{ReplyKind, ReplyRow, ReplyState};
pub use settle::Settlement;
pub use texting::{Joined, Sending, Texting};
pub use turns::{Beside, NewReply};
