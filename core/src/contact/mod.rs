//! The way in: a contact is claimed, finds or opens its request, and is committed; then, and only then, the channel
//! acknowledges it.

mod acknowledgement;
mod acknowledging;
mod allowance;
mod answers;
mod attachments;
mod automatic;
mod batch;
mod call_notes;
mod choosing;
mod cleanup;
mod committer;
#[expect(clippy::module_inception, reason = "the noun that this folder is about")]
mod contact;
mod control;
mod deliveries;
pub mod evidence;
mod fence;
mod intake;
mod interaction;
mod join;
mod keys;
mod ledger;
mod live;
mod lookup;
mod marks;
mod part;
mod parts;
mod prepare;
mod reached;
mod recordings;
mod redelivery;
mod retention;
mod rows;
mod theming;
mod threading;
mod way;

pub use acknowledgement::{NewAcknowledgement, REFERENCE};
pub use attachments::{AttachmentRow, Attachments};
pub use automatic::{AutomaticTexts, CommandAnswers};
pub use choosing::Choice;
pub use contact::{
    Accepted, Contact, Dedup, Flag, IntakeError, Joining, NewAttachment, NewCall, NewRecording, Outcome, RAW_INLINE_BYTES, Raw, Twins,
};
pub use intake::Intake;
pub use interaction::{AttachmentOf, CallOf, InteractionRow, Interactions, RawRow, RecordingOf, Shown};
pub use live::{Done, Entered, Live, Order, Wish};
pub use part::{Coding, Part, PartAccepted};
pub use recordings::Recordings;
pub use redelivery::{DeliveryMark, Earlier, REMEMBERED, Redelivery};
