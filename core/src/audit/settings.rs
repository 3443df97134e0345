//! What the trail must know of its surroundings.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

/// For how many months rows may be kept (CNIL: logs are kept six to twelve months).
pub const MONTHS: RangeInclusive<u32> = 6..=12;

/// Where the key is, and how long rows are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file of the key that signs; made at the first start.
    pub signing_key: PathBuf,
    /// Where this machine keeps the last checkpoint that it signed, for `voxea audit verify`.
    pub seen: PathBuf,
    /// Rows are purged after so many months.
    pub months: u32,
}

impl Settings {
    /// All files in one folder, and the longest time.
    #[must_use]
    pub fn within(folder: &Path) -> Self {
        Self {
            signing_key: folder.join("audit.key"),
            seen: folder.join("audit.seen"),
            months: *MONTHS.end(),
        }
    }
}
