//! `[audit]`.

use std::path::{Path, PathBuf};

use voxea_core::audit::{MONTHS, Seen, Settings, SigningKey};
use voxea_core::base::settings::Section;

use super::ground::Ground;
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

impl AuditSettings {
    /// Notes a key that cannot sign, a memory that cannot be read, and where neither could be made.
    pub(super) fn stand(&self, root: &Section<'_>, section: Option<&Section<'_>>, ground: &Ground) {
        let named = section.is_some_and(|section| section.has("signing_key_file"));
        let (section, key) = section.map_or((root, "audit"), |section| (section, "signing_key_file"));
        let (file, seen) = (&self.trail.signing_key, &self.trail.seen);
        if !ground.is_tried() {
            return;
        }
        // A key that is named was read already.
        if !named
            && file.exists()
            && let Err(message) = SigningKey::read(file)
        {
            section.problem(
                key,
                format!(
                    "{}: {message}; this key signs the audit trail: restore it from a copy, or move it away, so that a new one is made \
                     and the trail tells of it",
                    file.display()
                ),
            );
        }
        if let Ok(text) = std::fs::read_to_string(seen)
            && let Err(message) = text.parse::<Seen>()
        {
            // No reason to answer no call: the daemon signs by what the database says then.
            section.warning(
                key,
                format!("{}: {message}; restore it, or note why and move it away", seen.display()),
            );
        }
        for (file, what) in [(file, "the key of the audit trail"), (seen, "what it signed last")] {
            if let Some(folder) = file.parent().filter(|_| file == seen || !file.exists()) {
                ground.folder(section, key, folder, what);
            }
        }
    }
}

/// The folder of the embedded database; with a server, the one that the blobs are in.
fn beside(store: &StoreSettings) -> PathBuf {
    let file = store.url.reveal().strip_prefix("sqlite://").map(Path::new);
    file.unwrap_or(&store.blobs).parent().unwrap_or(Path::new("/")).to_path_buf()
}
