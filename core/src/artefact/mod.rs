//! Evidence: files by their content, recordings by their call.

mod attachments;
mod blobs;
mod recording;

pub use attachments::{AttachmentRow, Attachments};
pub use blobs::{Blobs, StoredBlob};
pub use recording::{CallEnd, RecordingOutcome, RecordingRow, RecordingState};
