//! Encrypting a database that began plain, in one transaction: it is sealed throughout, or nothing has changed.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Row as _};

use super::door::Vault;
use super::place::{Index, Place};
use crate::base::error::{CoreError, Result};
use crate::store::Tx;
use crate::store::on;

/// The counter that is there while plain pages and files are left.
pub(super) const UNSCRUBBED: &str = "unscrubbed";
/// Rows that are read at once.
const AT_ONCE: i64 = 500;
/// What a key that is still plain begins with while its table is at work: no blind index does.
const PLAIN: char = '~';

/// What becomes of a column's values.
#[derive(Debug, Clone, Copy)]
enum Becomes {
    Text(Place),
    Bytes(Place),
    /// A blind index of what stands there; nothing stays nothing.
    Index(Index),
}

use Becomes::{Bytes, Text};
use Place as P;

/// Columns, and what becomes of them.
type Columns = &'static [(&'static str, Becomes)];

/// Tables of which each row has a name that stays: what its values are bound to, and the columns.
const VALUES: [(&str, &str, Columns); 17] = [
    (
        "request",
        "id",
        &[
            ("subject", Text(P::RequestSubject)),
            ("from_address", Text(P::RequestFromAddress)),
            ("from_name", Text(P::RequestFromName)),
            ("fields", Text(P::RequestFields)),
            ("from_key", Becomes::Index(Index::Address)),
        ],
    ),
    (
        "interaction",
        "id",
        &[
            ("native_id", Text(P::InteractionNativeId)),
            ("from_address", Text(P::InteractionFromAddress)),
            ("from_name", Text(P::InteractionFromName)),
            ("to_address", Text(P::InteractionToAddress)),
            ("subject", Text(P::InteractionSubject)),
            ("text", Text(P::InteractionText)),
            ("text_stripped", Text(P::InteractionTextStripped)),
            ("raw_sha256", Text(P::InteractionRawSha256)),
            ("authenticity", Text(P::InteractionAuthenticity)),
        ],
    ),
    (
        "raw",
        "interaction_id",
        &[("sha256", Text(P::RawSha256)), ("body", Bytes(P::RawBody))],
    ),
    (
        "attachment",
        "id",
        &[
            ("name", Text(P::AttachmentName)),
            ("sha256", Text(P::AttachmentSha256)),
            ("content_id", Text(P::AttachmentContentId)),
        ],
    ),
    (
        "call_detail",
        "interaction_id",
        &[
            ("dialled", Text(P::CallDialled)),
            ("diverted_from", Text(P::CallDivertedFrom)),
            ("signalling", Text(P::CallSignalling)),
        ],
    ),
    // There is none yet: files that began plain get theirs when they are encrypted.
    (
        "recording",
        "id",
        &[("data_key", Text(P::RecordingKey)), ("hold_reason", Text(P::RecordingHold))],
    ),
    (
        "reply",
        "id",
        &[
            ("recipient", Text(P::ReplyRecipient)),
            ("subject", Text(P::ReplySubject)),
            ("text", Text(P::ReplyText)),
            ("in_reply_to", Text(P::ReplyInReplyTo)),
            ("mail_references", Text(P::ReplyReferences)),
            ("reason", Text(P::ReplyReason)),
            ("recipient_key", Becomes::Index(Index::Address)),
        ],
    ),
    // Several rows are one receipt, and one value for all of them is as good.
    (
        "receipt_parked",
        "receipt",
        &[("reason", Text(P::ReceiptReason)), ("sender_key", Becomes::Index(Index::Address))],
    ),
    ("history", "id", &[("detail", Text(P::HistoryDetail))]),
    (
        "citizen",
        "id",
        &[
            ("given_name", Text(P::CitizenGivenName)),
            ("family_name", Text(P::CitizenFamilyName)),
            ("organisation", Text(P::CitizenOrganisation)),
            ("needs", Text(P::CitizenNeeds)),
            ("note", Text(P::CitizenNote)),
            ("origin_key", Becomes::Index(Index::IdempotencyKey)),
        ],
    ),
    (
        "contact_point",
        "id",
        &[
            ("raw", Text(P::PointRaw)),
            ("normalised", Text(P::PointNormalised)),
            ("label", Text(P::PointLabel)),
            ("verified_how", Text(P::PointVerifiedHow)),
            ("match_key", Becomes::Index(Index::Address)),
        ],
    ),
    (
        "opt_out",
        "id",
        &[
            ("address", Text(P::OptOutAddress)),
            ("how", Text(P::OptOutHow)),
            ("match_key", Becomes::Index(Index::Address)),
        ],
    ),
    ("citizen_change", "id", &[("detail", Text(P::CitizenChangeDetail))]),
    ("secret", "name", &[("value", Text(P::SecretValue))]),
    (
        "webhook",
        "id",
        &[
            ("url", Text(P::WebhookUrl)),
            ("secret", Text(P::WebhookSecret)),
            ("secret_old", Text(P::WebhookSecretOld)),
        ],
    ),
    (
        "undeliverable",
        "id",
        &[
            ("reason", Text(P::UndeliverableReason)),
            ("match_key", Becomes::Index(Index::Address)),
        ],
    ),
    (
        "external_reference",
        "id",
        &[
            ("external_id", Text(P::ExternalId)),
            ("status", Text(P::ExternalStatus)),
            ("external_key", Becomes::Index(Index::External)),
        ],
    ),
];

/// Tables of which the key itself becomes a blind index: the two columns of the primary key that lead to it, in their order,
/// and which of them it is.
const KEYS: [(&str, [&str; 2], usize, Index); 5] = [
    ("dedup", ["account", "key"], 1, Index::Dedup),
    ("delivery", ["account", "fingerprint"], 1, Index::Delivery),
    ("message_id", ["message_id", "request_id"], 0, Index::MessageId),
    ("breaker", ["account", "scope"], 1, Index::Sender),
    ("participant", ["request_id", "match_key"], 1, Index::Address),
];

/// Places that the code below seals on its own.
#[cfg(test)]
const ALONE: [Place; 3] = [P::PartDetail, P::PartRaw, P::IdempotencyResponse];

/// Seals every value of a plain database.
///
/// # Errors
/// The store's; the transaction must not be committed then.
pub(super) async fn everything(tx: &mut Tx, vault: &Vault) -> Result<()> {
    // The tables of which that name is not the key.
    for table in ["history", "citizen_change"] {
        run(tx, format!("CREATE INDEX {table}_by_id ON {table} (id)"), &[]).await?;
    }
    for (table, name, columns) in VALUES {
        values(tx, vault, table, name, columns).await?;
    }
    for table in ["history", "citizen_change"] {
        run(tx, format!("DROP INDEX {table}_by_id"), &[]).await?;
    }
    for (table, columns, at, kind) in KEYS {
        keys(tx, vault, table, columns, at, kind).await?;
    }
    parts(tx, vault).await?;
    // A call that comes again is still known by the intake's own key; only its answer is made anew.
    run(tx, "DELETE FROM idempotency".to_owned(), &[]).await?;
    // Pages that were overwritten still tell what stood there, until the database was written anew.
    run(tx, format!("INSERT INTO counter (name, value) VALUES ('{UNSCRUBBED}', 1)"), &[]).await
}

/// A value as it is read and written.
#[derive(Debug, Clone)]
enum Cell {
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

async fn values(tx: &mut Tx, vault: &Vault, table: &str, name: &str, columns: &[(&str, Becomes)]) -> Result<()> {
    let names: Vec<&str> = columns.iter().map(|(column, _)| *column).collect();
    let select = format!(
        "SELECT {name}, {} FROM {table} WHERE {name} > $1 ORDER BY {name} LIMIT {AT_ONCE}",
        names.join(", ")
    );
    let sets: Vec<String> = (2..).zip(&names).map(|(number, column)| format!("{column} = ${number}")).collect();
    let update = format!("UPDATE {table} SET {} WHERE {name} = $1", sets.join(", "));
    let mut after = String::new();
    loop {
        let sql = AssertSqlSafe(select.clone());
        let rows: BTreeMap<String, Vec<Cell>> = on!(Tx, &mut *tx, db => {
            let rows = sqlx::query(sql).bind(&after).fetch_all(db).await?;
            let read = rows.iter().map(|row| {
                let cells = (1..).zip(columns).map(|(at, (_, becomes))| match becomes {
                    Bytes(_) => row.try_get(at).map(Cell::Bytes),
                    Text(_) | Becomes::Index(_) => row.try_get(at).map(Cell::Text),
                });
                Ok((row.try_get(0)?, cells.collect::<sqlx::Result<_>>()?))
            });
            read.collect::<sqlx::Result<_>>()
        })?;
        let Some((last, _)) = rows.last_key_value() else { return Ok(()) };
        after.clone_from(last);
        for (id, cells) in rows {
            let cells = cells.into_iter().zip(columns);
            let sealed = cells.map(|(cell, (_, becomes))| seal(vault, *becomes, &id, cell));
            let sealed = sealed.collect::<Result<Vec<_>>>()?;
            run(tx, update.clone(), &[vec![Cell::Text(Some(id))], sealed].concat()).await?;
        }
    }
}

fn seal(vault: &Vault, becomes: Becomes, id: &str, cell: Cell) -> Result<Cell> {
    Ok(match (becomes, cell) {
        (Text(place), Cell::Text(Some(text))) => Cell::Text(Some(vault.seal(place, id, &text)?.into_owned())),
        (Bytes(place), Cell::Bytes(Some(bytes))) => Cell::Bytes(Some(vault.seal_bytes(place, id, &bytes)?.into_owned())),
        (Becomes::Index(kind), Cell::Text(Some(text))) if !text.is_empty() => Cell::Text(Some(vault.index(kind, &text))),
        (_, cell) => cell,
    })
}

/// Every key is marked as plain first, and loses the mark when it is an index; the walk goes on behind those it has seen.
async fn keys(tx: &mut Tx, vault: &Vault, table: &str, [one, two]: [&str; 2], at: usize, kind: Index) -> Result<()> {
    let key = [one, two][at];
    run(tx, format!("UPDATE {table} SET {key} = '{PLAIN}' || {key} WHERE {key} <> ''"), &[]).await?;
    let select = format!(
        "SELECT DISTINCT {one}, {two} FROM {table} WHERE ({one}, {two}) > ($1, $2) AND {key} LIKE '{PLAIN}%' ORDER BY {one}, {two} \
         LIMIT {AT_ONCE}"
    );
    let update = format!("UPDATE {table} SET {key} = $3 WHERE {one} = $1 AND {two} = $2");
    let mut after = (String::new(), String::new());
    loop {
        let sql = AssertSqlSafe(select.clone());
        let rows: Vec<(String, String)> = on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(&after.0).bind(&after.1).fetch_all(db).await)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after.clone_from(last);
        for (one, two) in rows {
            let plain = if at == 0 { &one } else { &two };
            let index = vault.index(kind, plain.strip_prefix(PLAIN).unwrap_or(plain));
            let cells = [one, two, index].map(|text| Cell::Text(Some(text)));
            run(tx, update.clone(), &cells).await?;
        }
    }
}

/// Parts of texts that are not whole: few, and each names the fingerprint of its delivery. Of whole texts nothing is kept.
async fn parts(tx: &mut Tx, vault: &Vault) -> Result<()> {
    run(tx, "DELETE FROM part WHERE interaction_id IS NOT NULL".to_owned(), &[]).await?;
    let sql = "SELECT account, whole, generation, number, detail, raw FROM part";
    let rows: Vec<(String, String, i64, i64, String, Vec<u8>)> = on!(Tx, &mut *tx, db => sqlx::query_as(sql).fetch_all(db).await)?;
    for (account, whole, generation, number, detail, raw) in rows {
        let mut detail: Value = serde_json::from_str(&detail).map_err(|_| CoreError::Store("a part cannot be read".to_owned()))?;
        if let Some(Value::String(print)) = detail.get_mut("fingerprint") {
            *print = vault.index(Index::Delivery, print);
        }
        let index = vault.index(Index::LongText, &whole);
        let id = Vault::part_id(&account, &index, generation, number);
        let detail = detail.to_string();
        let sql = "UPDATE part SET whole = $1, detail = $2, raw = $3 WHERE account = $4 AND whole = $5 AND generation = $6 AND number = $7";
        let (detail, raw) = (vault.seal(P::PartDetail, &id, &detail)?, vault.seal_bytes(P::PartRaw, &id, &raw)?);
        on!(Tx, &mut *tx, db => sqlx::query(sql)
            .bind(&index).bind(detail.as_ref()).bind(raw.as_ref()).bind(&account).bind(&whole).bind(generation).bind(number)
            .execute(db).await.map(|_| ()))?;
    }
    Ok(())
}

async fn run(tx: &mut Tx, sql: String, cells: &[Cell]) -> Result<()> {
    on!(Tx, tx, db => {
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for cell in cells {
            query = match cell {
                Cell::Text(text) => query.bind(text.as_deref()),
                Cell::Bytes(bytes) => query.bind(bytes.as_deref()),
            };
        }
        query.execute(db).await.map(|_| ())
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_place_is_sealed_where_it_stands() {
        let mut sealed: HashSet<Place> = HashSet::from(ALONE);
        for (table, _, columns) in VALUES {
            for (column, becomes) in columns {
                if let Text(place) | Bytes(place) = becomes {
                    assert_eq!(place.as_str(), format!("{table}.{column}"));
                    sealed.insert(*place);
                }
            }
        }
        assert_eq!(sealed, Place::ALL.iter().copied().collect());
    }
}
