//! Files that go with a mail.

use std::sync::LazyLock;

use super::row::ReplyRow;
use crate::artefact::StoredBlob;
use crate::base::account::Channel;
use crate::base::error::{CoreError, Result};
use crate::base::id;
use crate::store::{Column, Row, Rows, SetSql, row};
use crate::vault::{Place, Vault};

/// Most files of one mail.
pub const MOST_FILES: usize = 20;
/// Most bytes of all files of one mail. As base64 they are a third longer, and many servers take 25 MiB.
pub const FILES_BYTES: u64 = 15 * 1024 * 1024;

/// A file that goes with a mail; its content is in the blob store already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyFile {
    /// What the citizen sees as its name.
    pub name: String,
    /// `application/pdf`.
    pub media_type: String,
    /// Its content.
    pub blob: StoredBlob,
}

static INSERT: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("id", Column::Text),
        ("interaction_id", Column::Text),
        ("ordinal", Column::Integer),
        ("name", Column::Text),
        ("media_type", Column::Text),
        ("size", Column::Integer),
        ("sha256", Column::Text),
    ])
    .insert("attachment")
});

/// Whether these files may go with a reply on this channel.
///
/// # Errors
/// [`CoreError::Invalid`], naming what is wrong.
pub(super) fn check(files: &[ReplyFile], channel: Channel) -> Result<()> {
    let wrong = |words: String| Err(CoreError::invalid("/attachments", words));
    if files.is_empty() {
        return Ok(());
    }
    if channel != Channel::Email {
        return wrong(format!("go with a mail alone, and this reply goes by {channel}"));
    }
    if files.len() > MOST_FILES {
        return wrong(format!("may be {MOST_FILES} at most"));
    }
    if files.iter().map(|file| file.blob.size).sum::<u64>() > FILES_BYTES {
        return wrong(format!("may have {FILES_BYTES} bytes together"));
    }
    Ok(())
}

/// The rows of the files of a reply.
///
/// # Errors
/// The vault's.
pub(super) fn rows(vault: &Vault, row: &ReplyRow, files: &[ReplyFile], rows: &mut Vec<Row>) -> Result<()> {
    for (ordinal, file) in files.iter().enumerate() {
        let id = id::new();
        rows.push(row!({
            "id": id, "interaction_id": row.interaction_id, "ordinal": ordinal,
            "name": vault.seal(Place::AttachmentName, &id, &file.name)?, "media_type": file.media_type, "size": file.blob.size,
            "sha256": vault.seal(Place::AttachmentSha256, &id, &file.blob.sha256)?,
        }));
    }
    Ok(())
}

/// What writes those rows.
pub(super) fn insert() -> &'static SetSql {
    &INSERT
}
