//! Whether somebody reaches what belongs to a request.

use crate::base::error::Result;
use crate::store::on;
use crate::store::{Reach, Store};

/// A request itself.
pub(super) const REQUEST: &str = "SELECT r.id FROM request r WHERE r.id = $1";
/// An interaction, by any of its requests.
pub(super) const INTERACTION: &str =
    "SELECT r.id FROM request_interaction l JOIN request r ON r.id = l.request_id WHERE l.interaction_id = $1";

/// A request that is reached, of those that `of` finds for an id; `None` when there is none.
///
/// # Errors
/// The store's.
pub(super) async fn reached(store: &Store, reach: &Reach, of: &'static str, id: &str) -> Result<Option<String>> {
    let condition = reach.condition("r", 2);
    let sql = sqlx::AssertSqlSafe(format!("{of} AND {} LIMIT 1", condition.sql));
    Ok(on!(Store, store, db => {
        let mut query = sqlx::query_scalar(sql).bind(id);
        for text in condition.texts {
            query = query.bind(text);
        }
        query.fetch_optional(db).await
    })?)
}
