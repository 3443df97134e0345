//! Attachments of interactions, by id.

use super::reached::{INTERACTION, reached};
use crate::artefact::{BlobReader, Blobs};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::catalogue::Catalogue;
use crate::store::Store;
use crate::store::on;
use crate::vault::{Place, Vault};

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
    vault: Vault,
    blobs: Blobs,
    catalogue: Catalogue,
}

impl Attachments {
    /// Over a store and its blobs.
    #[must_use]
    pub const fn new(store: Store, vault: Vault, blobs: Blobs, catalogue: Catalogue) -> Self {
        Self {
            store,
            vault,
            blobs,
            catalogue,
        }
    }

    /// An attachment, to be sent with a reply.
    ///
    /// # Errors
    /// As [`Attachments::get`].
    pub async fn find(&self, actor: &Actor, id: &str) -> Result<AttachmentRow> {
        self.row(actor, id).await
    }

    /// An attachment and its content.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], also when the actor reaches no request of its interaction; [`CoreError::Sealed`]; the store's.
    pub async fn get(&self, actor: &Actor, id: &str) -> Result<(AttachmentRow, BlobReader)> {
        let row = self.row(actor, id).await?;
        let content = self.blobs.read(&row.sha256, u64::try_from(row.size).unwrap_or(0)).await?;
        Ok((row, content))
    }

    async fn row(&self, actor: &Actor, id: &str) -> Result<AttachmentRow> {
        let sql = "SELECT id, interaction_id, name, media_type, size, sha256 FROM attachment WHERE id = $1";
        let row: Option<AttachmentRow> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
        let missing = CoreError::NotFound { what: "attachment" };
        let Some(mut row) = row else { return Err(missing) };
        let reach = self.catalogue.reach(actor, Operation::Read);
        if reached(&self.store, &reach, INTERACTION, &row.interaction_id).await?.is_none() {
            return Err(missing);
        }
        let mut opening = self.vault.opening(&row.id);
        opening
            .text(Place::AttachmentName, &mut row.name)
            .text(Place::AttachmentSha256, &mut row.sha256);
        opening.strict()?;
        Ok(row)
    }
}
