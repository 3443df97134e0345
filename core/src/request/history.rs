//! Who changed what, and when.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::audit::{self, Entry};
use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::id;
use crate::base::time::Millis;
use crate::store::{Column, Row, Rows, Script, SetSql, Tx, row};
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

/// Entries of one transaction, and the rows of the audit trail that go with those of persons and programs. What channels and
/// jobs do is evidence by itself, in history and in the interactions.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    rows: Vec<Row>,
    trail: Vec<Entry>,
}

static INSERT: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("id", Column::Text),
        ("request_id", Column::Text),
        ("at", Column::Integer),
        ("actor", Column::Text),
        ("action", Column::Text),
        ("detail", Column::Text),
    ])
    .insert("history")
});

impl Notes {
    /// Adds an entry.
    ///
    /// # Errors
    /// The vault's.
    pub(crate) fn add(&mut self, vault: &Vault, request_id: &str, at: Millis, actor: &Actor, action: &str, detail: &Value) -> Result<()> {
        let (id, text) = (id::new(), detail.to_string());
        self.rows.push(row!({
            "id": id, "request_id": request_id, "at": at, "actor": actor.to_string(), "action": action,
            "detail": vault.seal(Place::HistoryDetail, &id, &text)?,
        }));
        if matches!(actor, Actor::Client(_) | Actor::Agent(_)) {
            let entry = Entry::new(actor, action, format!("request/{request_id}")).at(at);
            self.trail.push(entry.detail(&thin(detail)));
        }
        Ok(())
    }

    /// Writes their rows of the audit trail. Other rows are locked before, and only the feed's counter after it
    /// ([`audit::append`]).
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn audit(&self, tx: &mut Tx) -> Result<()> {
        audit::append(tx, &self.trail).await
    }

    /// Adds the entries to a script.
    pub(crate) fn write(self, script: &mut Script) {
        script.add(&INSERT, self.rows);
    }
}

/// Writes one entry inside the transaction of the change, and its row of the audit trail ([`audit::append`]).
///
/// # Errors
/// The store's, the vault's.
pub async fn record(tx: &mut Tx, vault: &Vault, request_id: &str, at: Millis, actor: &Actor, action: &str, detail: &Value) -> Result<()> {
    let mut notes = Notes::default();
    notes.add(vault, request_id, at, actor, action, detail)?;
    notes.audit(tx).await?;
    let mut script = Script::default();
    notes.write(&mut script);
    script.run(tx).await
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
