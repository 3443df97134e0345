//! What each channel is doing: the states that operators see, and where a mailbox stands.

mod binds;
mod capture;
mod folders;
mod mailboxes;
mod registry;
mod state;

pub use binds::{BindStatus, Meter};
pub use capture::{Capture, Captured};
pub use folders::{FolderMeter, FolderStatus, Progress};
pub use mailboxes::{MailboxPlace, Mailboxes, SavedPlace, UnfetchedMail};
pub use registry::{Channels, Reporter, Status, TrunkState, TrunkStatus};
pub use state::State;
