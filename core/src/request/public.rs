//! What anybody may know of requests: that they are there, about what, and how far they have come. Nothing of who asks, nor of what
//! they wrote, is read.

use std::fmt::Write as _;

use super::desk::Desk;
use super::status::Status;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::on;

/// A list looks at so many of the latest requests, so that it costs no more the longer the town has been at it.
const LOOKED_AT: usize = 20_000;
/// A list shows so many (GeoReport v2, "GET Service Requests").
pub const SHOWN: usize = 1_000;

/// A request without anything personal.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PublicRequest {
    /// UUIDv7.
    pub id: String,
    /// For people, with a check digit.
    #[sqlx(rename = "ref")]
    pub reference: String,
    /// See [`Status`].
    pub status: String,
    /// The theme's code.
    pub theme: String,
    /// When its first contact was taken in.
    pub received_at: Millis,
    /// When it changed last.
    pub updated_at: Millis,
}

/// A move of such a request.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PublicMove {
    /// The request's version after it.
    pub version: i64,
    /// When, milliseconds UTC.
    pub at: Millis,
    /// Where to; see [`Status`].
    pub to_status: String,
}

/// Which of them.
#[derive(Debug, Clone, Default)]
pub struct PublicFilter {
    /// Of these themes alone.
    pub themes: Vec<String>,
    /// In one of these states.
    pub statuses: Vec<Status>,
    /// With one of these references; whatever their time then.
    pub references: Vec<String>,
    /// Taken in at this time or later.
    pub from: Option<Millis>,
    /// Taken in at this time or earlier.
    pub until: Option<Millis>,
}

impl Desk {
    /// The latest first, at most [`SHOWN`].
    ///
    /// # Errors
    /// The store's.
    pub async fn public(&self, filter: &PublicFilter) -> Result<Vec<PublicRequest>> {
        if filter.themes.is_empty() || filter.statuses.is_empty() {
            return Ok(Vec::new());
        }
        let mut texts: Vec<String> = Vec::new();
        let mut among = |column: &str, wanted: Vec<String>| {
            let first = texts.len() + 3;
            let places: Vec<String> = (first..first + wanted.len()).map(|number| format!("${number}")).collect();
            texts.extend(wanted);
            format!("{column} IN ({})", places.join(", "))
        };
        let statuses = filter.statuses.iter().map(|status| status.as_str().to_owned());
        let mut terms = vec![
            among("theme", filter.themes.clone()),
            among("status", statuses.collect()),
            "received_at >= $1 AND received_at <= $2".to_owned(),
        ];
        let named = !filter.references.is_empty();
        if named {
            terms.push(among("ref", filter.references.clone()));
        }
        const COLUMNS: &str = "id, ref, status, theme, received_at, updated_at";
        let mut sql = format!("SELECT {COLUMNS} FROM ");
        if named {
            sql.push_str("request");
        } else {
            let _ = write!(
                sql,
                "(SELECT {COLUMNS}, position FROM request ORDER BY position DESC LIMIT {LOOKED_AT}) AS latest"
            );
        }
        let _ = write!(sql, " WHERE {} ORDER BY position DESC LIMIT {SHOWN}", terms.join(" AND "));
        let (from, until) = (filter.from.unwrap_or(i64::MIN), filter.until.unwrap_or(i64::MAX));
        Ok(on!(Store, &self.store, db => {
            let mut query = sqlx::query_as(sqlx::AssertSqlSafe(sql)).bind(from).bind(until);
            for text in texts {
                query = query.bind(text);
            }
            query.fetch_all(db).await
        })?)
    }

    /// The moves of a request, the first one first.
    ///
    /// # Errors
    /// The store's.
    pub async fn public_moves(&self, request_id: &str) -> Result<Vec<PublicMove>> {
        let sql = "SELECT version, at, to_status FROM transition WHERE request_id = $1 ORDER BY version LIMIT 1000";
        Ok(on!(Store, &self.store, db => sqlx::query_as(sql).bind(request_id).fetch_all(db).await)?)
    }
}
