//! `voxea vault seal`: a town that began plain encrypts what it has.
//!
//! Files first, then the rows in one transaction, then the plain files go and the database is written anew, so that nothing
//! of what was overwritten is left in it. Whatever moment it is interrupted at, running it again ends it.

use super::{Blobs, objects};
use crate::base::error::{CoreError, Result};
use crate::store::Store;
use crate::vault::{MasterKeys, Vault};

const IN_OBJECT_STORAGE: &str = "files of this database are in object storage, unencrypted, where they cannot be sealed; copy \
     everything below the prefix of [store] blobs into the spool folder, name that as blobs = \"…\" instead, delete the rows of the \
     table object, and seal then; the bucket is emptied by whoever runs it";

/// Encrypts a database and its folder of files, which no daemon may be using.
///
/// # Errors
/// [`CoreError::Invalid`] when the database is encrypted under other keys, or files of it are in object storage; the store's,
/// the folder's.
pub async fn seal(store: &Store, blobs: &Blobs, masters: &MasterKeys) -> Result<()> {
    let made = Vault::made(store, masters).await?;
    // What is sealed already is so in object storage, too; what is plain there would be left readable.
    if made.is_none() && objects::any(store).await? {
        return Err(CoreError::invalid("", IN_OBJECT_STORAGE));
    }
    blobs.sweep();
    if let Some(vault) = made {
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
