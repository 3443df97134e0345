//! What goes out with a mail beside its text.

use super::door::Outbox;
use super::file::ReplyFile;
use super::lease::Outbound;
use crate::artefact::StoredBlob;
use crate::base::error::Result;
use crate::store::on;
use crate::vault::Place;

/// What a mail in the hands of its channel has beside its text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Enclosed {
    /// What goes with it.
    pub files: Vec<ReplyFile>,
    /// The reply token of its request.
    pub token: Option<String>,
}

impl Outbox {
    /// What goes with a mail that was leased.
    ///
    /// # Errors
    /// [`crate::base::error::CoreError::Sealed`] when the name of a file cannot be read; the store's.
    pub async fn enclosed(&self, mail: &Outbound) -> Result<Enclosed> {
        let sql = "SELECT a.id, a.name, a.media_type, a.size, a.sha256 FROM reply r JOIN attachment a ON a.interaction_id = r.interaction_id \
                   WHERE r.id = $1 ORDER BY a.ordinal";
        let stored: Vec<(String, String, String, i64, String)> =
            on!(Store, &self.store, db => sqlx::query_as(sql).bind(&mail.reply_id).fetch_all(db).await)?;
        let file = |(id, name, media_type, size, sha256): (String, String, String, i64, String)| {
            Ok(ReplyFile {
                name: self.vault.open(Place::AttachmentName, &id, name)?,
                media_type,
                blob: StoredBlob {
                    sha256: self.vault.open(Place::AttachmentSha256, &id, sha256)?,
                    size: u64::try_from(size).unwrap_or(0),
                },
            })
        };
        Ok(Enclosed {
            files: stored.into_iter().map(file).collect::<Result<_>>()?,
            token: self.tokens.of(&mail.request_id).await?,
        })
    }
}
