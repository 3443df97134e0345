//! What the peer is asked about texts that it has: to forget one (cancel_sm, SMPP 3.4 §4.9), or what became of it
//! (query_sm, §4.8).

use super::door::Outbox;
use super::lease::{Ask, Outbound};
use super::row::{LIFE_MS, ReplyKind};
use crate::base::account::Account;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::store::{Tx, on};
use crate::vault::Place;

/// A text whose receipt did not come is asked about so long after the end of its life, and has a while left in which a
/// late receipt may settle it all the same.
const ASK_AFTER_MS: Millis = 60_000;

/// A question, as the store keeps it.
#[derive(Clone, Copy)]
struct Question {
    /// When it is to be put; NULL or 0: it is not.
    column: &'static str,
    /// Which segments of a text it is about.
    segments: &'static str,
    put: fn(Vec<String>) -> Ask,
}

const FORGET: Question = Question {
    column: "cancel_at",
    segments: "native_id IS NOT NULL",
    put: Ask::Forget,
};
const QUERY: Question = Question {
    column: "query_at",
    segments: "native_id IS NOT NULL AND state = 'submitted'",
    put: Ask::Query,
};

#[derive(sqlx::FromRow)]
struct Asked {
    id: String,
    request_id: String,
    recipient: String,
    native_id: Option<String>,
    created_at: Millis,
}

impl Outbox {
    /// What the peer of an account may be asked.
    fn questions(&self, account: &Account) -> Vec<Question> {
        let texting = self.texting(account);
        let allowed = [(texting.cancel, FORGET), (texting.query, QUERY)];
        allowed.into_iter().filter_map(|(may, question)| may.then_some(question)).collect()
    }

    /// When the peer of an account is to be asked next.
    pub(super) async fn next_asked(&self, account: &Account) -> Result<Option<Millis>> {
        let mut next: Option<Millis> = None;
        for Question { column, .. } in self.questions(account) {
            let sql = format!("SELECT MIN({column}) FROM reply WHERE account = $1 AND {column} > 0 AND state = 'submitted'");
            let sql = sqlx::AssertSqlSafe(sql);
            let at: Option<Millis> = on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(account.key()).fetch_one(db).await)?;
            next = [next, at].into_iter().flatten().min();
        }
        Ok(next)
    }

    /// What the peer is to be asked; asked again after `until`, unless it has answered.
    pub(super) async fn lease_asked(&self, account: &Account, limit: usize, now: Millis, until: Millis) -> Result<Vec<Outbound>> {
        let (questions, mut asked) = (self.questions(account), Vec::new());
        if limit == 0 || questions.is_empty() {
            return Ok(asked);
        }
        let mut tx = self.store.begin().await?;
        for Question { column, segments, put } in questions {
            let room = i64::try_from(limit.saturating_sub(asked.len())).unwrap_or(i64::MAX);
            let sql = sqlx::AssertSqlSafe(format!(
                "UPDATE reply SET {column} = $3 WHERE id IN (SELECT id FROM reply WHERE account = $1 AND {column} > 0 AND {column} <= $2 \
                 AND state = 'submitted' ORDER BY {column} LIMIT $4) RETURNING id, request_id, recipient, native_id, created_at"
            ));
            let rows: Vec<Asked> = on!(Tx, &mut tx, db => sqlx::query_as(sql)
                .bind(account.key()).bind(now).bind(until).bind(room).fetch_all(db).await)?;
            for mut row in rows {
                // It is asked by its id; a number that does not open must not hold up the others.
                self.vault
                    .opening(&row.id)
                    .text(Place::ReplyRecipient, &mut row.recipient)
                    .lenient();
                let sql = sqlx::AssertSqlSafe(format!(
                    "SELECT native_id FROM reply_part WHERE reply_id = $1 AND {segments} ORDER BY number"
                ));
                let of_parts: Vec<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(&row.id).fetch_all(db).await)?;
                let native_ids: Vec<String> = row.native_id.take().into_iter().chain(of_parts).collect();
                if !native_ids.is_empty() {
                    asked.push(outbound(row, put(native_ids)));
                }
            }
        }
        tx.commit().await?;
        Ok(asked)
    }

    /// Texts of accounts that may be asked, whose life is over and of which nothing was heard, are asked about, once; the
    /// answer settles them like a receipt. Returns how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn queue_queries(&self, now: Millis) -> Result<u64> {
        let mut count = 0;
        for account in self.queried() {
            // Two ranges of one index: with an OR SQLite would read all that the account ever sent.
            let silent = "SELECT id FROM reply WHERE state = 'submitted' AND settled_at IS NULL AND query_at IS NULL AND account = $4 \
                          AND channel = 'sms' AND (native_id IS NOT NULL OR segments > 1)";
            let sql = sqlx::AssertSqlSafe(format!(
                "UPDATE reply SET query_at = $1 WHERE id IN ({silent} AND expires_at < $2 \
                 UNION ALL {silent} AND expires_at IS NULL AND created_at < $3 LIMIT 1000) RETURNING id"
            ));
            let over = now - ASK_AFTER_MS;
            let mut tx: Tx = self.store.begin().await?;
            let ids: Vec<String> = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
                .bind(now).bind(over).bind(over - LIFE_MS).bind(&account).fetch_all(db).await)?;
            tx.commit().await?;
            count += ids.len() as u64;
        }
        if count > 0 {
            self.ring();
        }
        Ok(count)
    }
}

fn outbound(row: Asked, ask: Ask) -> Outbound {
    Outbound {
        ask,
        reply_id: row.id,
        request_id: row.request_id,
        reference: String::new(),
        kind: ReplyKind::Reply,
        channel: "sms".to_owned(),
        to: row.recipient,
        subject: None,
        text: String::new(),
        message_id: None,
        in_reply_to: None,
        references: Vec::new(),
        attempts: 1,
        created_at: row.created_at,
        expires_at: 0,
        priority: 0,
        split: None,
    }
}
