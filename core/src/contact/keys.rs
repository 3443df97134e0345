//! The keys by which calls and mails are known again, and the claim on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::base::error::{CoreError, Result};
use crate::base::time::Millis;
use crate::store::on;
use crate::store::{Column, Row, Rows, SetSql, Tx, row};

static READ: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("account", Column::Text), ("key", Column::Text)]).statement(
        "SELECT d.account, d.key, d.interaction_id FROM {rows} AS r JOIN dedup d ON d.account = r.account AND d.key = r.key \
         WHERE d.interaction_id IS NOT NULL",
    )
});
static CLAIM: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("account", Column::Text),
        ("key", Column::Text),
        ("interaction_id", Column::Text),
        ("at", Column::Integer),
    ])
    .insert_new("dedup", "key")
});

/// The keys of a batch.
#[derive(Debug, Default)]
pub(super) struct Keys {
    known: BTreeMap<(String, String), String>,
    /// In the order of their keys, so that two nodes cannot wait for one another.
    claimed: BTreeMap<(String, String), (String, Millis)>,
}

impl Keys {
    /// Reads which of the keys, each (account, key), are taken.
    pub(super) async fn read(tx: &mut Tx, wanted: &BTreeSet<(&str, &str)>) -> Result<Self> {
        if wanted.is_empty() {
            return Ok(Self::default());
        }
        let rows: Vec<Row> = wanted.iter().map(|(account, key)| row!({"account": account, "key": key})).collect();
        let (sql, rows) = (READ.for_tx(tx), Row::array(&rows));
        let known: Vec<(String, String, String)> = on!(Tx, tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
        Ok(Self {
            known: known.into_iter().map(|(account, key, id)| ((account, key), id)).collect(),
            claimed: BTreeMap::new(),
        })
    }

    /// Whether the key leads to an interaction.
    pub(super) fn has(&self, account: &str, key: &str) -> bool {
        self.known.contains_key(&(account.to_owned(), key.to_owned()))
    }

    /// The interaction that one of the keys leads to. All of them lead there from now on, or to `fresh`.
    pub(super) fn claim(&mut self, account: &str, keys: &[String], fresh: &str, at: Millis) -> Option<String> {
        let place = |key: &String| (account.to_owned(), key.clone());
        let known = keys.iter().find_map(|key| self.known.get(&place(key)).cloned());
        let leads_to = known.as_deref().unwrap_or(fresh);
        for key in keys {
            if self.known.contains_key(&place(key)) {
                continue;
            }
            self.known.insert(place(key), leads_to.to_owned());
            self.claimed.insert(place(key), (leads_to.to_owned(), at));
        }
        known
    }

    /// Writes the claims.
    ///
    /// # Errors
    /// [`CoreError::Conflict`] when somebody claimed one of them since it was read; the batch is to be written again.
    pub(super) async fn write(&mut self, tx: &mut Tx) -> Result<()> {
        let claims = std::mem::take(&mut self.claimed).into_iter();
        let claims: Vec<Row> = claims
            .map(|((account, key), (id, at))| row!({"account": account, "key": key, "interaction_id": id, "at": at}))
            .collect();
        if claims.is_empty() {
            return Ok(());
        }
        let wanted = claims.len();
        let (sql, rows) = (CLAIM.for_tx(tx), Row::array(&claims));
        let got: Vec<String> = on!(Tx, tx, db => sqlx::query_scalar(sql).bind(rows).fetch_all(db).await)?;
        if got.len() == wanted {
            Ok(())
        } else {
            Err(CoreError::Conflict("a key was claimed at the same moment".to_owned()))
        }
    }
}
