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
    blobs.drop_plain()?;
    store.scrub().await
}
