//! Signing the chain: from then on what is below cannot be changed unnoticed without the key.

use serde::{Deserialize, Serialize};

use super::chain::{Hash, unhex};
use super::key::{PublicKey, SigningKey};
use crate::base::error::{CoreError, Result};
use crate::base::hex;
use crate::base::time::Millis;
use crate::store::Store;
use crate::store::on;

/// What is signed begins with it.
const DOMAIN: &[u8] = b"voxea-audit-checkpoint-1\0";

/// The columns of a checkpoint.
pub(super) const COLUMNS: &str = "seq, hash, key_id, signature, at";

/// A signature over the chain up to a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Of the last row that it covers.
    pub seq: i64,
    /// Of that row, hexadecimal.
    pub hash: String,
    /// Which key signed: [`PublicKey::id`].
    pub key_id: String,
    /// Ed25519, base64.
    pub signature: String,
    /// When it was signed, milliseconds UTC.
    pub at: Millis,
}

impl Checkpoint {
    /// Signs.
    pub(super) fn sign(key: &SigningKey, seq: i64, hash: &Hash, at: Millis) -> Self {
        Self {
            seq,
            hash: hex::encode(hash),
            key_id: key.public().id(),
            signature: key.sign(&message(seq, hash, at)),
            at,
        }
    }

    /// Whether it was signed by a key.
    pub(super) fn is_of(&self, key: &PublicKey) -> bool {
        unhex(&self.hash).is_some_and(|hash| key.verifies(&message(self.seq, &hash, self.at), &self.signature))
    }
}

fn message(seq: i64, hash: &Hash, at: Millis) -> Vec<u8> {
    [DOMAIN, &seq.to_be_bytes(), hash, &at.to_be_bytes()].concat()
}

/// The head of the chain, and how much of it is signed.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Head {
    /// The last row.
    pub(super) seq: i64,
    /// Its hash.
    pub(super) hash: String,
    /// Up to which row it is signed; 0 when nothing is.
    pub(super) signed: i64,
    /// When that was signed.
    pub(super) signed_at: Option<Millis>,
    /// By which key.
    pub(super) signed_by: Option<String>,
    /// When the first row that is not signed was written.
    pub(super) waiting_since: Option<Millis>,
}

/// Reads the head; one statement, so that what it says belongs together.
///
/// # Errors
/// The store's.
pub(super) async fn head(store: &Store) -> Result<Head> {
    let sql = "SELECT h.seq, h.hash, COALESCE(c.seq, 0) AS signed, c.at AS signed_at, c.key_id AS signed_by, \
               (SELECT a.at FROM audit a WHERE a.seq = COALESCE(c.seq, 0) + 1) AS waiting_since \
               FROM audit_head h LEFT JOIN audit_checkpoint c ON c.seq = (SELECT MAX(seq) FROM audit_checkpoint) WHERE h.id = 1";
    let head: Option<Head> = on!(Store, store, db => sqlx::query_as(sql).fetch_optional(db).await)?;
    head.ok_or_else(|| CoreError::Store("the audit trail has no head; `voxea audit verify` says more".to_owned()))
}

/// Which key has signed, as the checkpoints say that are there; nobody has verified them.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Signer {
    /// [`PublicKey::id`].
    pub key_id: String,
    /// The row of its first checkpoint.
    pub first: i64,
    /// The row of its last one.
    pub last: i64,
    /// How many there are.
    pub checkpoints: i64,
}

/// Which keys have signed, in the order in which they began to.
///
/// # Errors
/// The store's.
pub async fn signers(store: &Store) -> Result<Vec<Signer>> {
    let sql = "SELECT key_id, MIN(seq) AS first, MAX(seq) AS last, COUNT(*) AS checkpoints FROM audit_checkpoint \
               GROUP BY key_id ORDER BY MIN(seq)";
    Ok(on!(Store, store, db => sqlx::query_as(sql).fetch_all(db).await)?)
}

/// Whether a key has signed before.
///
/// # Errors
/// The store's.
pub(super) async fn has_signed(store: &Store, key_id: &str) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM (SELECT seq FROM audit_checkpoint WHERE key_id = $1 LIMIT 1) AS c";
    let found: i64 = on!(Store, store, db => sqlx::query_scalar(sql).bind(key_id).fetch_one(db).await)?;
    Ok(found > 0)
}

/// Signs a head, unless another node has.
///
/// # Errors
/// The store's.
pub(super) async fn take(store: &Store, key: &SigningKey, head: &Head, now: Millis) -> Result<Option<Checkpoint>> {
    let hash = unhex(&head.hash).ok_or_else(|| CoreError::Store("the head of the audit trail holds no hash".to_owned()))?;
    let signed = Checkpoint::sign(key, head.seq, &hash, now);
    let sql = "INSERT INTO audit_checkpoint (seq, hash, key_id, signature, at) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (seq) DO NOTHING RETURNING seq";
    let mut tx = store.begin().await?;
    let new: Option<i64> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
        .bind(signed.seq).bind(&signed.hash).bind(&signed.key_id).bind(&signed.signature).bind(signed.at)
        .fetch_optional(db).await)?;
    tx.commit().await?;
    Ok(new.map(|_| signed))
}
