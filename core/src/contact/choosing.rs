//! A citizen chooses the theme while the contact goes on: a key pressed in a call's menu.

use std::collections::BTreeSet;

use serde_json::json;

use super::contact::IntakeError;
use super::fence;
use crate::base::account::Account;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::time;
use crate::catalogue::Catalogue;
use crate::feed::{self, EventKind, Feed, NewEvent};
use crate::request;
use crate::store::on;
use crate::store::{Store, Tx};
use crate::vault::Vault;

/// A choice, as a channel hands it over.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The account that took the contact in.
    pub account: Account,
    /// Its epoch.
    pub epoch: i64,
    /// The request that the contact opened.
    pub request_id: String,
    /// The theme that the account's rule gives, if any.
    pub given: Option<String>,
    /// The theme's code.
    pub theme: String,
}

/// What is locked of the request.
#[derive(sqlx::FromRow)]
struct Locked {
    theme: Option<String>,
    channel: String,
    status: String,
    version: i64,
}

const LOCK: &str = "UPDATE request SET version = version WHERE id = $1 RETURNING theme, channel, status, version";

pub(super) async fn choose(
    store: &Store,
    vault: &Vault,
    feed: &Feed,
    catalogue: &Catalogue,
    choice: &Choice,
) -> std::result::Result<bool, IntakeError> {
    // Before the transaction: the catalogue is read from the same pool.
    let offered = match catalogue.fresh().await {
        Ok(current) => current.offered("/theme", &choice.theme).map(drop),
        Err(error) => Err(error),
    };
    offered.map_err(refused)?;
    let mut tx = store.begin().await.map_err(refused)?;
    let key = choice.account.key();
    let epochs = fence::epochs(&mut tx, &BTreeSet::from([key.as_str()])).await.map_err(refused)?;
    if epochs.get(&key) != Some(&choice.epoch) {
        return Err(IntakeError::Fenced);
    }
    let locked: Option<Locked> = lock(&mut tx, &choice.request_id).await.map_err(refused)?;
    let Some(before) = locked else {
        return Err(IntakeError::Invalid("there is no such request".to_owned()));
    };
    if before.theme.as_ref() == Some(&choice.theme) {
        // Chosen before: the answer to the first try was lost.
        return Ok(true);
    }
    if before.theme.is_some() && before.theme != choice.given {
        return Ok(false);
    }
    change(&mut tx, vault, choice, &before).await.map_err(refused)?;
    tx.commit().await.map_err(refused)?;
    feed.committed();
    Ok(true)
}

async fn lock(tx: &mut Tx, id: &str) -> Result<Option<Locked>> {
    Ok(on!(Tx, tx, db => sqlx::query_as(LOCK).bind(id).fetch_optional(db).await)?)
}

async fn change(tx: &mut Tx, vault: &Vault, choice: &Choice, before: &Locked) -> Result<()> {
    let (id, now, version) = (choice.request_id.as_str(), time::now(), before.version + 1);
    let sql = "UPDATE request SET theme = $2, version = $3, updated_at = $4 WHERE id = $1";
    on!(Tx, &mut *tx, db => sqlx::query(sql)
        .bind(id).bind(&choice.theme).bind(version).bind(now).execute(db).await.map(|_| ()))?;
    let actor = Actor::Channel(choice.account.clone());
    let detail = json!({"theme": {"from": before.theme, "to": choice.theme}});
    request::record(tx, vault, id, now, &actor, "patched", &detail).await?;
    let event = NewEvent::of_request(EventKind::RequestUpdated, id)
        .with("channel", before.channel.as_str())
        .with("status", before.status.as_str())
        .with("version", version)
        .theme_was(before.theme.as_deref());
    let first = feed::next_positions(tx, 1).await?;
    feed::append(tx, first, now, &[event]).await
}

fn refused(error: CoreError) -> IntakeError {
    match error {
        CoreError::Invalid { .. } | CoreError::NotFound { .. } => IntakeError::Invalid(error.to_string()),
        other => IntakeError::Unavailable(other.to_string()),
    }
}
