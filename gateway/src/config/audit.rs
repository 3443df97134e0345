//! `[audit]`.

use std::path::{Path, PathBuf};

use voxea_core::audit::{MONTHS, Settings, SigningKey};
use voxea_core::base::settings::Section;

use super::store::StoreSettings;

/// The name of the key where none is named.
const KEY: &str = "audit.key";
/// Where this machine keeps the last checkpoint that it signed.
const SEEN: &str = "audit.seen";

/// Who did what, and who read what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditSettings {
    /// Sound and raw artefacts are given to nobody who says no purpose.
    pub(crate) purpose_required: bool,
    /// The key that signs, and how long rows are kept.
    pub(crate) trail: Settings,
}

impl AuditSettings {
    /// Reads `[audit]`; what is not named lies beside the data.
    pub(crate) fn read(section: Option<&Section<'_>>, store: &StoreSettings) -> Self {
        let folder = beside(store);
        let (beginning, end) = (*MONTHS.start(), *MONTHS.end());
        let months = section.map_or(i64::from(end), |section| {
            section.int_or("months", end.into(), beginning.into()..=end.into())
        });
        let purpose = section.map_or("noted", |section| section.one_of("purpose", &["noted", "required"], "noted"));
        let named = section.and_then(|section| section.file("signing_key_file"));
        // The usual one is made at the first start; one that is named must be there.
        if let Some((section, file)) = section.zip(named.as_ref())
            && let Err(message) = SigningKey::read(file)
        {
            section.problem("signing_key_file", format!("{}: {message}", file.display()));
        }
        Self {
            purpose_required: purpose == "required",
            trail: Settings {
                signing_key: named.unwrap_or_else(|| folder.join(KEY)),
                seen: folder.join(SEEN),
                months: u32::try_from(months).unwrap_or(end),
            },
        }
    }
}

/// The folder of the embedded database; with a server, the one that the blobs are in.
fn beside(store: &StoreSettings) -> PathBuf {
    let file = store.url.reveal().strip_prefix("sqlite://").map(Path::new);
    file.unwrap_or(&store.blobs).parent().unwrap_or(Path::new("/")).to_path_buf()
}
