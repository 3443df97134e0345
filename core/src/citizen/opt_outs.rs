//! Who wants no campaigns. An opt-out is of an address, whoever has it: a STOP from an unknown number counts, and one phone
//! of a family counts for all of them.
//!
//! An answer to a citizen's own request is no campaign, and neither is its acknowledgement by mail: both go out all the same. An
//! acknowledgement by text does not: nobody asked for it, and it comes from the number that was told to stop.

use super::address::Address;
use super::{check, table};
use crate::base::account::Channel;
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::id;
use crate::base::time::{self, Millis};
use crate::feed;
use crate::store::Store;
use crate::store::on;
use crate::vault::{Place, Vault};

/// That an address wants no campaigns by a channel.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OptOut {
    /// UUIDv7.
    pub id: String,
    /// Its place in the order of commits.
    pub position: i64,
    /// `sms`, `email`.
    pub channel: String,
    /// In its one spelling.
    pub address: String,
    /// Since when.
    pub at: Millis,
    /// By what: `STOP`, `asked at the counter`.
    pub how: Option<String>,
}

/// Which opt-outs a list shows.
#[derive(Debug, Clone, Default)]
pub struct OptOutFilter {
    /// Only those of this channel.
    pub channel: Option<Channel>,
    /// Only those of this address.
    pub address: Option<Address>,
    /// Only those committed after this position.
    pub after: i64,
}

/// A page of opt-outs.
#[derive(Debug, Clone)]
pub struct OptOutsListed {
    /// In commit order.
    pub items: Vec<OptOut>,
    /// The position to continue from; `None` at the end.
    pub next: Option<i64>,
}

/// The door.
#[derive(Debug, Clone)]
pub struct OptOuts {
    store: Store,
    vault: Vault,
}

impl OptOut {
    /// Opens what is sealed of it. What does not open reads U+FFFD.
    fn open(mut self, vault: &Vault) -> Self {
        vault
            .opening(&self.id)
            .text(Place::OptOutAddress, &mut self.address)
            .some(Place::OptOutHow, &mut self.how)
            .lenient();
        self
    }
}

const COLUMNS: &str = "id, position, channel, address, at, how";

impl OptOuts {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store, vault: Vault) -> Self {
        Self { store, vault }
    }

    /// Opts an address out of the campaigns that reach it, and says whether it was not before; one that was stays as it is.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] for an address that no campaign reaches, and a reason that is too long; the store's.
    pub async fn put(&self, actor: &Actor, address: &Address, how: Option<&str>) -> Result<(OptOut, bool)> {
        check::reason(how)?;
        let Some(channel) = address.kind().campaigns() else {
            return Err(CoreError::invalid("/address", "must be a telephone number or a mail address"));
        };
        let key = address.match_key(&self.vault);
        let (fresh, now) = (id::new(), time::now());
        let sealed = self.vault.seal(Place::OptOutAddress, &fresh, address.normalised())?;
        let sealed_how = self.vault.seal_some(Place::OptOutHow, &fresh, how)?;
        let mut tx = self.store.begin().await?;
        table::enter(&mut tx, format!("opt-out/{fresh}"), now, actor, "opted_out").await?;
        let position = feed::next_positions(&mut tx, 1).await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "INSERT INTO opt_out (id, position, match_key, channel, address, at, actor, how) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (match_key, channel) WHERE cleared_at IS NULL DO NOTHING RETURNING {COLUMNS}"
        ));
        let made: Option<OptOut> = on!(Tx, &mut tx, db => sqlx::query_as(sql)
            .bind(&fresh).bind(position).bind(&key).bind(channel.as_str()).bind(sealed.as_ref()).bind(now)
            .bind(actor.to_string()).bind(sealed_how.as_deref()).fetch_optional(db).await)?;
        if let Some(made) = made {
            tx.commit().await?;
            return Ok((made.open(&self.vault), true));
        }
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM opt_out WHERE match_key = $1 AND channel = $2 AND cleared_at IS NULL"
        ));
        let there: OptOut = on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(&key).bind(channel.as_str()).fetch_one(db).await)?;
        Ok((there.open(&self.vault), false))
    }

    /// At most `limit` opt-outs in force, in commit order.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, _actor: &Actor, filter: &OptOutFilter, limit: usize) -> Result<OptOutsListed> {
        let conditions = [
            ("channel", filter.channel.map(|channel| channel.as_str().to_owned())),
            ("match_key", filter.address.as_ref().map(|address| address.match_key(&self.vault))),
        ];
        let mut sql = format!("SELECT {COLUMNS} FROM opt_out WHERE cleared_at IS NULL AND position > $1");
        let asked = conditions.into_iter().filter_map(|(column, value)| Some((column, value?)));
        let asked: Vec<(&str, String)> = asked.collect();
        for (number, (column, _)) in (3..).zip(&asked) {
            sql.push_str(&format!(" AND {column} = ${number}"));
        }
        sql.push_str(" ORDER BY position LIMIT $2");
        let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let mut items: Vec<OptOut> = on!(Store, &self.store, db => {
            let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(filter.after).bind(wanted);
            for (_, value) in asked {
                query = query.bind(value);
            }
            query.fetch_all(db).await
        })?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(|opt_out| opt_out.position) } else { None };
        let items = items.into_iter().map(|opt_out| opt_out.open(&self.vault)).collect();
        Ok(OptOutsListed { items, next })
    }

    /// Ends an opt-out: somebody wants to be written to again. It stays known that and when there was one.
    ///
    /// # Errors
    /// [`CoreError::NotFound`] when no such one is in force; the store's.
    pub async fn clear(&self, actor: &Actor, id: &str) -> Result<()> {
        let sql = "UPDATE opt_out SET cleared_at = $2, cleared_by = $3 WHERE id = $1 AND cleared_at IS NULL RETURNING id";
        let mut tx = self.store.begin().await?;
        let found: Option<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(id).bind(time::now()).bind(actor.to_string()).fetch_optional(db).await)?;
        let found = found.ok_or(CoreError::NotFound { what: "opt-out" })?;
        table::enter(&mut tx, format!("opt-out/{found}"), time::now(), actor, "opt_out_ended").await?;
        tx.commit().await
    }

    /// Whether an address wants no campaigns.
    ///
    /// # Errors
    /// The store's.
    pub async fn opted_out(&self, _actor: &Actor, address: &Address) -> Result<bool> {
        in_force(&self.store, &self.vault, address).await
    }
}

/// Whether an address wants no campaigns.
pub(super) async fn in_force(store: &Store, vault: &Vault, address: &Address) -> Result<bool> {
    let Some(channel) = address.kind().campaigns() else {
        return Ok(false);
    };
    let sql = "SELECT COUNT(*) FROM opt_out WHERE match_key = $1 AND channel = $2 AND cleared_at IS NULL";
    let found: i64 = on!(Store, store, db => sqlx::query_scalar(sql)
        .bind(address.match_key(vault)).bind(channel.as_str()).fetch_one(db).await)?;
    Ok(found > 0)
}
