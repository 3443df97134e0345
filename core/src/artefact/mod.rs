//! Evidence: files by their content, recordings by their call.

mod attachments;
mod blobs;
mod recordings;

pub use attachments::{AttachmentRow, Attachments};
pub use blobs::{Blobs, StoredBlob};
pub use recordings::{CallEnd, RecordingOutcome, RecordingRow, RecordingState, Recordings};
