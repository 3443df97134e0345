//! Attachments of interactions, by id.

use std::path::PathBuf;

use super::Blobs;
use crate::base::error::{CoreError, Result};
use crate::store::Store;
use crate::store::on;

/// An attachment as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AttachmentRow {
    /// UUIDv7.
    pub id: String,
    /// The interaction it came with.
    pub interaction_id: String,
    /// A cleaned file name.
    pub name: String,
    /// What the sender called it: `application/pdf`.
    pub media_type: String,
    /// Bytes.
    pub size: i64,
    /// Of its content.
    pub sha256: String,
}

/// The door to attachments.
#[derive(Debug, Clone)]
pub struct Attachments {
    store: Store,
    blobs: Blobs,
}

impl Attachments {
    /// Over a store and its blobs.
    #[must_use]
    pub const fn new(store: Store, blobs: Blobs) -> Self {
        Self { store, blobs }
    }

    /// An attachment and the file that holds it.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], or the store's.
    pub async fn get(&self, id: &str) -> Result<(AttachmentRow, PathBuf)> {
        let sql = "SELECT id, interaction_id, name, media_type, size, sha256 FROM attachment WHERE id = $1";
        let row: Option<AttachmentRow> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
        let row = row.ok_or(CoreError::NotFound { what: "attachment" })?;
        let path = self.blobs.find(&row.sha256)?;
        Ok((row, path))
    }
}
