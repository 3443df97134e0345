//! Evidence: files by their content, and what a recording is.

mod blobs;
mod recording;

pub use blobs::{Blobs, StoredBlob};
pub use recording::{CallEnd, RecordingOutcome, RecordingRow, RecordingState};
