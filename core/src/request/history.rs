//! Who changed what, and when.

use serde_json::{Map, Value, json};

use crate::audit::{self, Entry};
use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::id;
use crate::base::time::Millis;
use crate::store::Tx;
use crate::store::on;
use crate::vault::{Opening, Place, Vault};

/// One entry of a request's history.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct HistoryRow {
    /// UUIDv7, so that entries sort by their time.
    pub id: String,
    /// When, milliseconds UTC.
    pub at: Millis,
    /// `system`, `channel:kind/name`, `key:id`.
    pub actor: String,
    /// `created`, `joined`, `moved_in`, `moved_out`, `patched`, `replied`, `settled`…
    pub action: String,
    /// JSON: what changed, from what to what.
    pub detail: String,
}

/// Members of an entry whose values are ids and codes. Of all others the audit trail has the names alone.
const CODES: [&str; 10] = [
    "status",
    "theme",
    "channel",
    "state",
    "reply_id",
    "replaces",
    "interaction_id",
    "citizen_id",
    "citizen",
    "request_id",
];

impl HistoryRow {
    /// Opens what is sealed of it.
    pub(super) fn open<'a>(&'a mut self, vault: &'a Vault) -> Opening<'a> {
        let mut opening = vault.opening(&self.id);
        opening.text(Place::HistoryDetail, &mut self.detail);
        opening
    }
}

/// Writes one entry inside the transaction of the change, and, when a person or a program changes it, a row of the audit
/// trail. Other rows are locked before, and only the feed's counter after it ([`audit::append`]).
///
/// # Errors
/// The store's, the vault's.
pub async fn record(tx: &mut Tx, vault: &Vault, request_id: &str, at: Millis, actor: &Actor, action: &str, detail: &Value) -> Result<()> {
    let (id, text) = (id::new(), detail.to_string());
    let sealed = vault.seal(Place::HistoryDetail, &id, &text)?;
    let sql = "INSERT INTO history (id, request_id, at, actor, action, detail) VALUES ($1, $2, $3, $4, $5, $6)";
    on!(Tx, tx, db => sqlx::query(sql)
        .bind(&id).bind(request_id).bind(at).bind(actor.to_string()).bind(action).bind(sealed.as_ref())
        .execute(db).await.map(|_| ()))?;
    match actor {
        // What channels and jobs do is evidence by itself, in history and in the interactions.
        Actor::System | Actor::Channel(_) => Ok(()),
        Actor::Client(_) | Actor::Agent(_) => {
            let entry = Entry::new(actor, action, format!("request/{request_id}")).at(at);
            audit::append(tx, &[entry.detail(&thin(detail))]).await
        }
    }
}

/// An entry without what a citizen or an agent wrote.
fn thin(detail: &Value) -> Value {
    let members = detail.as_object().into_iter().flatten();
    let (codes, texts): (Vec<_>, Vec<_>) = members.partition(|(name, _)| CODES.contains(&name.as_str()));
    let mut thin: Map<String, Value> = codes.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    if !texts.is_empty() {
        let names: Vec<&String> = texts.into_iter().map(|(name, _)| name).collect();
        thin.insert("members".to_owned(), json!(names));
    }
    Value::Object(thin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_trail_has_no_words_of_people() {
        let detail =
            json!({"status": {"from": "open", "to": "closed"}, "subject": {"from": "a", "to": "Mme Durand"}, "note": "0612345678"});
        let thin = thin(&detail);
        assert_eq!(
            thin,
            json!({"status": {"from": "open", "to": "closed"}, "members": ["note", "subject"]})
        );
        assert_eq!(super::thin(&Value::Null), json!({}));
    }
}
