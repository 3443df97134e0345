//! Evidence: files by their content, here and in object storage, and what a recording is.

mod blobs;
mod bucket;
mod keeping;
mod objects;
mod quality;
mod ranged;
mod reader;
mod recording;
mod sealing;
mod shelf;
mod together;
mod transfer;
mod uploads;

pub use blobs::{Blobs, StoredBlob};
pub use bucket::Bucket;
pub(crate) use keeping::request_moved;
pub use objects::belongs;
pub(crate) use objects::forget;
pub use quality::Quality;
pub use ranged::Ranged;
pub use reader::BlobReader;
pub use recording::{CallEnd, Ending, Pause, PauseRow, RecordingOutcome, RecordingRow, RecordingState};
pub use sealing::{finish, seal};
pub use shelf::{Found, Shelf};
pub use uploads::{Uploads, Waiting};
