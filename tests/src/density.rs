//! How many calls one core records: callers on the other core, who send sound that is theirs alone, and a judge who holds
//! every recording against what was sent.
//!
//! A run says nothing when its own sender fell behind, since packets that come in heaps are cheaper to take in; such a run is
//! thrown away and made again.

mod bare;
mod judge;
mod measure;
mod scale;
mod sender;

pub use bare::run as bare;
pub use judge::Verdict;
pub use measure::{Figure, measure};
