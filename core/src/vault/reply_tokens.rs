//! Tokens by which an answer proves which request it is about: the request's id, and an HMAC-SHA-256 over it, cut to 80 bits.
//!
//! Nobody who lacks the key can make one, so that whoever shows a token was written to about that request. The key is made
//! once in a database, kept in the table `secret`, and sealed where personal data is; losing it makes earlier tokens forgeries,
//! which are ignored, and loses nothing else.

use std::sync::Arc;

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::OnceCell;
use uuid::Uuid;
use voxea_rules::reply_token::{self, OCTETS};

use super::door::Vault;
use super::keys::no_random;
use super::place::Place;
use crate::base::error::{CoreError, Result};
use crate::base::{hex, time};
use crate::store::Store;
use crate::store::on;

/// The row of the key.
const NAME: &str = "reply_tokens";
/// What else might be signed with the key is none of these.
const CONTEXT: &[u8] = b"voxea reply token\0";
/// Octets of the id.
const ID: usize = 16;

/// Makes and checks them. Clones share the key, which is read, or made, when it is first needed.
#[derive(Debug, Clone)]
pub struct ReplyTokens {
    store: Store,
    vault: Vault,
    key: Arc<OnceCell<hmac::Key>>,
}

impl ReplyTokens {
    /// Over a store that is migrated.
    #[must_use]
    pub fn new(store: Store, vault: Vault) -> Self {
        Self {
            store,
            vault,
            key: Arc::default(),
        }
    }

    /// The token of a request; `None` for an id that is none of ours.
    ///
    /// # Errors
    /// The store's, the vault's.
    pub async fn of(&self, request_id: &str) -> Result<Option<String>> {
        let Ok(id) = Uuid::try_parse(request_id) else { return Ok(None) };
        Ok(Some(sign(self.key().await?, id.as_bytes())))
    }

    /// The id of the request whose token this is; `None` for a forgery. Takes the same time for every forgery.
    ///
    /// # Errors
    /// The store's, the vault's.
    pub async fn request(&self, token: &str) -> Result<Option<String>> {
        let Some(octets) = reply_token::decode(token) else {
            return Ok(None);
        };
        Ok(proved(self.key().await?, &octets).map(|id| id.hyphenated().to_string()))
    }

    /// Reads or makes the key. Who will sign inside a transaction calls this before it: a key is made in one of its own.
    ///
    /// # Errors
    /// The store's, the vault's.
    pub async fn ready(&self) -> Result<()> {
        self.key().await.map(|_| ())
    }

    async fn key(&self) -> Result<&hmac::Key> {
        self.key.get_or_try_init(|| self.read()).await
    }

    /// Of several processes that make one at the same moment, all read the one that was first.
    async fn read(&self) -> Result<hmac::Key> {
        let mut stored = self.stored().await?;
        if stored.is_none() {
            self.make().await?;
            stored = self.stored().await?;
        }
        let octets = stored
            .map(|value| self.vault.open(Place::SecretValue, NAME, value))
            .transpose()?
            .and_then(|text| hex::decode(&text));
        let octets = octets.ok_or_else(|| CoreError::Store("the key of reply tokens cannot be read".to_owned()))?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &octets))
    }

    async fn stored(&self) -> Result<Option<String>> {
        let sql = "SELECT value FROM secret WHERE name = $1";
        Ok(on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(NAME).fetch_optional(db).await)?)
    }

    async fn make(&self) -> Result<()> {
        let mut octets = [0; 32];
        SystemRandom::new().fill(&mut octets).map_err(|_| no_random())?;
        let text = hex::encode(&octets);
        let sealed = self.vault.seal(Place::SecretValue, NAME, &text)?;
        let sql = "INSERT INTO secret (name, value, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(NAME).bind(sealed.as_ref()).bind(time::now()).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }
}

fn proof(key: &hmac::Key, id: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(CONTEXT);
    context.update(id);
    context.sign()
}

fn sign(key: &hmac::Key, id: &[u8; ID]) -> String {
    let mut octets = [0; OCTETS];
    let (head, tail) = octets.split_at_mut(ID);
    head.copy_from_slice(id);
    tail.copy_from_slice(&proof(key, id).as_ref()[..OCTETS - ID]);
    reply_token::encode(&octets)
}

fn proved(key: &hmac::Key, octets: &[u8; OCTETS]) -> Option<Uuid> {
    let (id, shown) = octets.split_at(ID);
    let proof = proof(key, id);
    let expected = &proof.as_ref()[..OCTETS - ID];
    // Both are hashed once more, so that what is compared octet by octet tells nothing of how far they agree.
    hmac::verify(key, shown, hmac::sign(key, expected).as_ref()).ok()?;
    Uuid::from_slice(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[seed; 32])
    }

    #[test]
    fn only_who_has_the_key_makes_one() {
        let id = Uuid::now_v7();
        let token = sign(&key(1), id.as_bytes());
        let octets = reply_token::decode(&token).unwrap();
        assert_eq!(proved(&key(1), &octets), Some(id));
        assert_eq!(proved(&key(2), &octets), None);
        for at in 0..OCTETS {
            for bit in 0..8 {
                let mut forged = octets;
                forged[at] ^= 1 << bit;
                assert_eq!(proved(&key(1), &forged), None, "octet {at}, bit {bit}");
            }
        }
        assert_ne!(token, sign(&key(1), Uuid::now_v7().as_bytes()));
    }
}
