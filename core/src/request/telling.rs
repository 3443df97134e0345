//! Telling by what another system knows a request, and where it stands there.

use serde_json::{Value, json};

use super::desk::{Desk, lock};
use super::external::{ExternalId, ExternalReference, INSERT_NEW, NewExternal};
use super::history;
use super::row::RequestRow;
use crate::base::account::Account;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time::{self, Millis};
use crate::feed::{self, EventKind, NewEvent};
use crate::store::{Row, Tx, on};
use crate::vault::{Index, Place, Vault};

/// What came of telling where a request stands elsewhere.
#[derive(Debug, Clone)]
pub struct Told {
    /// The request as it is now.
    pub request: RequestRow,
    /// Whether the reference is new.
    pub made: bool,
}

impl Desk {
    /// The request that another system knows by this id.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], also when the actor does not reach it; the store's.
    pub async fn by_external(&self, actor: &Actor, name: &ExternalId) -> Result<RequestRow> {
        let sql = "SELECT request_id FROM external_reference WHERE system = $1 AND external_key = $2";
        let key = name.index(&self.vault);
        let found: Option<String> =
            on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(name.system()).bind(&key).fetch_optional(db).await)?;
        let id = found.ok_or(CoreError::NotFound { what: "request" })?;
        self.get(actor, &id).await
    }

    /// Notes by what another system knows a request, and where it stands there. What is known already changes nothing, the
    /// version included. `account` is the one by which contacts of other systems are taken in: a contact with this id is known
    /// from now on, and opens no request. `expected` is the version that the caller read, where they say it.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; [`CoreError::Stale`]; [`CoreError::Conflict`] when the id is another request's, or the request
    /// has another id there; the store's.
    pub async fn tell_external(
        &self,
        actor: &Actor,
        request_id: &str,
        account: &Account,
        told: &NewExternal,
        expected: Option<&[i64]>,
    ) -> Result<Told> {
        self.tell(actor, &[Operation::Reply], request_id, Some(account), told, expected)
            .await
    }

    /// Notes where a request stands in a system that knows it by this id already: what that system says itself, so that who
    /// brings its contacts in may say it too.
    ///
    /// # Errors
    /// As [`Desk::tell_external`].
    pub async fn said_external(&self, actor: &Actor, request_id: &str, told: &NewExternal) -> Result<Told> {
        self.tell(actor, &[Operation::Reply, Operation::Intake], request_id, None, told, None)
            .await
    }

    fn within_any(&self, actor: &Actor, operations: &[Operation], row: Option<RequestRow>) -> Result<RequestRow> {
        let mut found = Err(CoreError::NotFound { what: "request" });
        for operation in operations {
            found = self.within(actor, *operation, row.clone());
            if found.is_ok() {
                break;
            }
        }
        found
    }

    async fn tell(
        &self,
        actor: &Actor,
        operations: &[Operation],
        request_id: &str,
        account: Option<&Account>,
        told: &NewExternal,
        expected: Option<&[i64]>,
    ) -> Result<Told> {
        // Who may not change it claims nothing by trying.
        let known = self.get(&Actor::System, request_id).await?;
        self.within_any(actor, operations, Some(known))?;
        let mut tx = self.store.begin().await?;
        let now = time::now();
        // Before the request is locked, as the intake does: claims first.
        let claimed = match account {
            Some(account) => claim(&mut tx, &self.vault, account, request_id, &told.name, now).await?,
            None => false,
        };
        let row = lock(&mut tx, request_id).await?;
        let mut request = self.within_any(actor, operations, row)?;
        if expected.is_some_and(|expected| !expected.contains(&request.version)) {
            return Err(CoreError::Stale {
                expected: expected.and_then(|expected| expected.first().copied()).unwrap_or_default(),
                current: request.version,
            });
        }
        let Some(change) = self.write_external(&mut tx, request_id, told, claimed, now).await? else {
            drop(tx);
            let mut request = self.get(&Actor::System, request_id).await?;
            self.linked(actor, std::slice::from_mut(&mut request)).await?;
            return Ok(Told { request, made: false });
        };
        request.version += 1;
        let sql = "UPDATE request SET version = $2, updated_at = $3 WHERE id = $1";
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(request_id).bind(request.version).bind(now).execute(db).await.map(|_| ()))?;
        let detail = json!({
            "system": told.name.system(), "external_id": told.name.id(),
            "external_status": {"from": change.before, "to": told.status},
        });
        history::record(&mut tx, &self.vault, request_id, now, actor, "external_told", &detail).await?;
        let event = NewEvent::of_request(EventKind::RequestUpdated, request_id)
            .with("channel", request.channel.as_str())
            .with("status", request.status.as_str())
            .with("version", request.version);
        let first = feed::next_positions(&mut tx, 1).await?;
        feed::append(&mut tx, first, now, &[event]).await?;
        tx.commit().await?;
        self.feed.committed();
        let mut request = self.get(&Actor::System, request_id).await?;
        self.linked(actor, std::slice::from_mut(&mut request)).await?;
        Ok(Told {
            request,
            made: change.made,
        })
    }

    /// Writes the reference; `None` when it says the same already.
    async fn write_external(
        &self,
        tx: &mut Tx,
        request_id: &str,
        told: &NewExternal,
        claimed: bool,
        now: Millis,
    ) -> Result<Option<Change>> {
        let key = told.name.index(&self.vault);
        let sql = "SELECT request_id, id, system, external_id, status, updated_at, external_key FROM external_reference \
                   WHERE (system = $1 AND external_key = $2) OR (system = $1 AND request_id = $3)";
        type Found = (String, String, String, String, Option<String>, i64, String);
        let found: Vec<Found> = on!(Tx, &mut *tx, db => sqlx::query_as(sql)
            .bind(told.name.system()).bind(&key).bind(request_id).fetch_all(db).await)?;
        if let Some((of, id, system, external_id, status, updated_at, _)) = found.iter().find(|found| found.6 == key).cloned() {
            if of != request_id {
                return Err(CoreError::Conflict(format!(
                    "this id in {} is another request's; GET /v1/requests/by-external/{}/… shows which, to who reaches it",
                    told.name.system(),
                    told.name.system()
                )));
            }
            let mut reference = ExternalReference {
                id,
                system,
                external_id,
                status,
                updated_at,
            };
            reference.open(&self.vault);
            if reference.status == told.status {
                return Ok(None);
            }
            let sql = "UPDATE external_reference SET status = $2, updated_at = $3 WHERE id = $1";
            let sealed = self.vault.seal_some(Place::ExternalStatus, &reference.id, told.status.as_deref())?;
            on!(Tx, &mut *tx, db => sqlx::query(sql)
                .bind(&reference.id).bind(sealed.as_deref()).bind(now).execute(db).await.map(|_| ()))?;
            return Ok(Some(Change {
                made: false,
                before: reference.status.into(),
            }));
        }
        if !found.is_empty() {
            return Err(CoreError::Conflict(format!(
                "the request has another id in {}, and an id stays: send the status under that one",
                told.name.system()
            )));
        }
        let taken = || CoreError::Conflict("a contact with this id was taken in at the same moment; try again".to_owned());
        if !claimed {
            return Err(taken());
        }
        let rows = [told.row(&self.vault, request_id, now)?];
        let (sql, rows) = (INSERT_NEW.for_tx(tx), Row::array(&rows));
        let made: Vec<String> = on!(Tx, &mut *tx, db => sqlx::query_scalar(sql).bind(rows).fetch_all(db).await)?;
        if made.is_empty() {
            return Err(taken());
        }
        Ok(Some(Change {
            made: true,
            before: Value::Null,
        }))
    }
}

struct Change {
    made: bool,
    before: Value,
}

/// Makes a contact with this id known, by any contact of the request. Whether it was not before.
async fn claim(tx: &mut Tx, vault: &Vault, account: &Account, request_id: &str, name: &ExternalId, now: Millis) -> Result<bool> {
    let sql = "INSERT INTO dedup (account, key, interaction_id, at) \
               SELECT $1, $2, MIN(interaction_id), $3 FROM request_interaction WHERE request_id = $4 HAVING COUNT(*) > 0 \
               ON CONFLICT DO NOTHING RETURNING key";
    let key = vault.index(Index::Dedup, &name.dedup_key());
    let claimed: Option<String> = on!(Tx, tx, db => sqlx::query_scalar(sql)
        .bind(account.key()).bind(&key).bind(now).bind(request_id).fetch_optional(db).await)?;
    Ok(claimed.is_some())
}
