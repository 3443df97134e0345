//! Attachments of interactions, by id.

use std::path::PathBuf;

use super::reached::{INTERACTION, reached};
use crate::artefact::Blobs;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::catalogue::Catalogue;
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
    catalogue: Catalogue,
}

impl Attachments {
    /// Over a store and its blobs.
    #[must_use]
    pub const fn new(store: Store, blobs: Blobs, catalogue: Catalogue) -> Self {
        Self { store, blobs, catalogue }
    }

    /// An attachment and the file that holds it.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], also when the actor reaches no request of its interaction; the store's.
    pub async fn get(&self, actor: &Actor, id: &str) -> Result<(AttachmentRow, PathBuf)> {
        let sql = "SELECT id, interaction_id, name, media_type, size, sha256 FROM attachment WHERE id = $1";
        let row: Option<AttachmentRow> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
        let missing = CoreError::NotFound { what: "attachment" };
        let Some(row) = row else { return Err(missing) };
        let reach = self.catalogue.reach(actor, Operation::Read);
        if reached(&self.store, &reach, INTERACTION, &row.interaction_id).await?.is_none() {
            return Err(missing);
        }
        let path = self.blobs.find(&row.sha256)?;
        Ok((row, path))
    }
}
