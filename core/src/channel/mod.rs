//! What each channel is doing: the states that operators see, and where a mailbox stands.

mod mailboxes;
mod registry;

pub use mailboxes::{MailboxPlace, Mailboxes};
pub use registry::{Channels, Reporter, State, Status, TrunkState, TrunkStatus};
