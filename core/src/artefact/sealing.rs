//! `voxea vault seal`: a town that began plain encrypts what it has.
//!
//! Files first, then the rows in one transaction, then the plain files go and the database is written anew, so that nothing
//! of what was overwritten is left in it. Whatever moment it is interrupted at, running it again ends it.

use super::Blobs;
use crate::base::error::Result;
use crate::store::Store;
use crate::vault::{MasterKeys, Vault};

/// Encrypts a database and its folder of files, which no daemon may be using.
///
/// # Errors
/// [`crate::base::error::CoreError::Invalid`] when the database is encrypted under other keys; the store's, the folder's.
pub async fn seal(store: &Store, blobs: &Blobs, masters: &MasterKeys) -> Result<()> {
    blobs.sweep();
    if let Some(vault) = Vault::made(store, masters).await? {
        blobs.seal_plain(&vault).await?;
    } else {
        // What is sealed here was so for a vault that never came to be.
        blobs.drop_sealed()?;
        let (vault, conversion) = Vault::convert(store, masters).await?;
        blobs.seal_plain(&vault).await?;
        conversion.commit().await?;
    }
    clear(store, blobs).await
}

/// Ends what a conversion began that was interrupted after its rows were sealed. Says whether there was anything to end.
///
/// # Errors
/// The store's, the folder's.
pub async fn finish(store: &Store, blobs: &Blobs, vault: &Vault) -> Result<bool> {
    if !vault.is_on() || !Vault::is_unscrubbed(store).await? {
        return Ok(false);
    }
    tracing::warn!("the encryption of this database was interrupted; what it left readable is removed now, which takes a while");
    blobs.seal_plain(vault).await?;
    clear(store, blobs).await?;
    Ok(true)
}

/// Removes what nothing names any more and everybody could read.
async fn clear(store: &Store, blobs: &Blobs) -> Result<()> {
    blobs.drop_plain()?;
    store.scrub().await?;
    Vault::scrubbed(store).await
}
