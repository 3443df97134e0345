//! Evidence: files by their content, and what a recording is.

mod blobs;
mod keeping;
mod quality;
mod reader;
mod recording;
mod sealing;

pub use blobs::{Blobs, StoredBlob};
pub(crate) use keeping::request_moved;
pub use quality::Quality;
pub use reader::BlobReader;
pub use recording::{CallEnd, Ending, Pause, PauseRow, RecordingOutcome, RecordingRow, RecordingState};
pub use sealing::{finish, seal};
