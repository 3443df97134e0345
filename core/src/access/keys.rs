//! API keys, `vx_<id>_<secret>`: the secret is stored as its hash only.

use std::sync::Arc;

use serde_json::json;

use super::token::{self, Token};
use crate::audit::{self, Entry};
use crate::base::actor::{Actor, Client, Contract};
use crate::base::error::{CoreError, Result};
use crate::base::time::{self, Millis};
use crate::store::Store;
use crate::store::on;

/// What a key begins with.
const PREFIX: &str = "vx_";

/// A key as it is listed: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// The public part.
    pub id: String,
    /// Whom it was given to.
    pub name: String,
    /// On what terms its holder calls.
    pub contract: Contract,
    /// When it was made.
    pub created_at: Millis,
    /// When it was taken back.
    pub revoked_at: Option<Millis>,
}

/// The door to keys.
#[derive(Debug, Clone)]
pub struct Keys {
    store: Store,
}

impl Keys {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Makes a key and returns it; it cannot be shown again.
    ///
    /// # Errors
    /// The store's.
    pub async fn create(&self, actor: &Actor, name: &str, contract: &Contract) -> Result<String> {
        let Token { id, hash, text } = Token::new(PREFIX)?;
        let sql = "INSERT INTO api_key (id, name, hash, contract, created_at) VALUES ($1, $2, $3, $4, $5)";
        let terms = serde_json::to_string(contract).map_err(|error| CoreError::Store(error.to_string()))?;
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(&id).bind(name).bind(hash).bind(&terms).bind(time::now()).execute(db).await.map(|_| ()))?;
        let entry = Entry::new(actor, "created", format!("key/{id}")).detail(&json!({"contract": contract}));
        audit::append(&mut tx, &[entry]).await?;
        tx.commit().await?;
        Ok(text)
    }

    /// Every key, the newest last.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self) -> Result<Vec<KeyRow>> {
        let sql = "SELECT id, name, contract, created_at, revoked_at FROM api_key ORDER BY created_at, id";
        let rows: Vec<StoredKey> = on!(Store, &self.store, db => sqlx::query_as(sql).fetch_all(db).await)?;
        rows.into_iter()
            .map(|(id, name, contract, created_at, revoked_at)| {
                let contract = terms(&id, &contract)?;
                Ok(KeyRow {
                    id,
                    name,
                    contract,
                    created_at,
                    revoked_at,
                })
            })
            .collect()
    }

    /// Takes a key back; the daemon refuses it from its next call on.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] when no such key is in force.
    pub async fn revoke(&self, actor: &Actor, id: &str) -> Result<()> {
        let sql = "UPDATE api_key SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL RETURNING id";
        let mut tx = self.store.begin().await?;
        let found: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(id).bind(time::now()).fetch_optional(db).await)?;
        if found.is_none() {
            return Err(CoreError::NotFound { what: "key" });
        }
        audit::append(&mut tx, &[Entry::new(actor, "revoked", format!("key/{id}"))]).await?;
        tx.commit().await
    }

    /// Who holds this token; `None` when nobody does, or the contract is over. The hash of what was sent is compared in constant time, and a
    /// key's id tells nothing that its holder may not know.
    ///
    /// # Errors
    /// The store's.
    pub async fn verify(&self, token: &str) -> Result<Option<Actor>> {
        let Some((id, secret)) = token::split(PREFIX, token) else {
            return Ok(None);
        };
        let sql = "SELECT name, hash, contract FROM api_key WHERE id = $1 AND revoked_at IS NULL";
        let row: Option<(String, String, String)> = on!(Store, &self.store, db => sqlx::query_as(sql).bind(id).fetch_optional(db).await)?;
        let Some((name, stored, contract)) = row else { return Ok(None) };
        if !token::is(secret, &stored) {
            return Ok(None);
        }
        let contract = terms(id, &contract)?;
        if contract.until.is_some_and(|until| time::now() >= until) {
            return Ok(None);
        }
        Ok(Some(Actor::Client(Arc::new(Client::of_key(id, name, contract)))))
    }
}

type StoredKey = (String, String, String, Millis, Option<Millis>);

fn terms(id: &str, json: &str) -> Result<Contract> {
    serde_json::from_str(json).map_err(|error| CoreError::Store(format!("the contract of key {id} cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::grant::Scopes;

    #[tokio::test]
    async fn a_key_works_until_it_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", folder.path().join("k.db").display()))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        let keys = Keys::new(store);
        let contract = Contract {
            purpose: Some("statistics".to_owned()),
            ..Contract::everything(Scopes::from_names(["read"]).unwrap())
        };
        let token = keys.create(&Actor::System, "back office", &contract).await.unwrap();
        let Some(Actor::Client(client)) = keys.verify(&token).await.unwrap() else {
            panic!("known")
        };
        assert_eq!((client.name.as_str(), &client.contract), ("back office", &contract));
        let over = Contract {
            until: Some(time::now()),
            ..contract
        };
        let late = keys.create(&Actor::System, "late", &over).await.unwrap();
        assert_eq!(keys.verify(&late).await.unwrap(), None);
        assert_eq!(keys.verify(&format!("{token}x")).await.unwrap(), None);
        assert_eq!(keys.verify("vx_000000000000_x").await.unwrap(), None);
        assert_eq!(keys.verify("nonsense").await.unwrap(), None);
        let key_id = keys.list().await.unwrap()[0].id.clone();
        keys.revoke(&Actor::System, &key_id).await.unwrap();
        assert_eq!(keys.verify(&token).await.unwrap(), None);
        assert!(matches!(
            keys.revoke(&Actor::System, &key_id).await,
            Err(CoreError::NotFound { .. })
        ));
    }
}
