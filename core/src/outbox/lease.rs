//! Handing replies to the channel that sends them.

use std::collections::HashMap;
use std::time::Duration;

use super::door::Outbox;
use super::row::{LIFE_MS, ReplyKind};
use super::settle::Settlement;
use super::texting::Joined;
use crate::base::account::Account;
use crate::base::error::Result;
use crate::base::mutant;
use crate::base::time::{self, Millis};
use crate::store::on;
use crate::store::{Store, Tx};
use crate::vault::{Opening, Place, Vault};

/// What is left to send of a text of several segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// How they are held together.
    pub joined: Joined,
    /// What tells them from another text's to the same number; of an 8-bit reference the low 8 bits.
    pub reference: u16,
    /// How many there are.
    pub total: u8,
    /// Which have no end yet, from 1, in order.
    pub left: Vec<u8>,
}

/// What the peer is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Ask {
    /// To take it.
    #[default]
    Send,
    /// To put it in the place of a text that it has (replace_sm, SMPP 3.4 §4.10).
    Replace {
        /// What the peer calls that one.
        native_id: String,
        /// What that one says.
        text: String,
    },
    /// To forget it, which it has and calls so (cancel_sm, §4.9); of several segments, each.
    Forget(Vec<String>),
    /// To say what became of it, which it has and calls so (query_sm, §4.8); of several segments, of those of which nothing
    /// was heard.
    Query(Vec<String>),
}

/// A reply in the hands of its channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// By which it is settled.
    pub reply_id: String,
    /// The request that it answers.
    pub request_id: String,
    /// The reference of that request, for people.
    pub reference: String,
    /// Reply or acknowledgement.
    pub kind: ReplyKind,
    /// `sms`, `email`.
    pub channel: String,
    /// The citizen's number or address.
    pub to: String,
    /// Of a mail, without reference and without "Re:".
    pub subject: Option<String>,
    /// What to say.
    pub text: String,
    /// Of a mail: fixed, the same on every try.
    pub message_id: Option<String>,
    /// Of a mail: the Message-ID that it answers.
    pub in_reply_to: Option<String>,
    /// Of a mail: its ancestors, the oldest first.
    pub references: Vec<String>,
    /// Tries so far, this one included; 1 on the first.
    pub attempts: i64,
    /// When it was queued.
    pub created_at: Millis,
    /// Of a text: after this it is not to be sent any more.
    pub expires_at: Millis,
    /// Of a text: 0 to 3.
    pub priority: u8,
    /// Of a text of several segments.
    pub split: Option<Split>,
    /// What is to be asked of the peer; mostly to take it.
    pub ask: Ask,
}

#[derive(sqlx::FromRow)]
struct Leased {
    id: String,
    position: i64,
    request_id: String,
    kind: String,
    channel: String,
    recipient: String,
    subject: Option<String>,
    text: String,
    message_id: Option<String>,
    in_reply_to: Option<String>,
    mail_references: Option<String>,
    attempts: i64,
    created_at: Millis,
    expires_at: Option<Millis>,
    priority: i64,
    segments: i64,
    joined: Option<String>,
    reference: String,
    instead_of: Option<String>,
}

impl Leased {
    fn ends(&self) -> Millis {
        self.expires_at.unwrap_or(self.created_at + LIFE_MS)
    }

    fn open<'a>(&'a mut self, vault: &'a Vault) -> Opening<'a> {
        let mut opening = vault.opening(&self.id);
        opening
            .text(Place::ReplyRecipient, &mut self.recipient)
            .some(Place::ReplySubject, &mut self.subject)
            .text(Place::ReplyText, &mut self.text)
            .some(Place::ReplyInReplyTo, &mut self.in_reply_to)
            .some(Place::ReplyReferences, &mut self.mail_references);
        opening
    }
}

const RETURNING: &str = "RETURNING id, position, request_id, kind, channel, recipient, subject, text, message_id, in_reply_to, mail_references, \
                         attempts, created_at, expires_at, priority, segments, joined, instead_of, \
                         (SELECT q.ref FROM request q WHERE q.id = reply.request_id) AS reference";

/// What may be leased: due, held by nobody, and not overtaking an earlier one to the same recipient. A text that was
/// leased before and never settled is not leased again: it may have been sent. One whose hour has not come holds up none.
///
/// Not as NOT EXISTS: PostgreSQL would make a join of that, and read the account's whole queue for each that may be leased.
const DUE: &str = "SELECT r.id FROM reply r WHERE r.account = $1 AND r.state = 'queued' AND r.due_at <= $2 AND r.lease_until <= $2 \
                   AND (r.channel <> 'sms' OR r.lease_until = 0) \
                   AND (SELECT e.position FROM reply e WHERE e.account = r.account AND e.state = 'queued' AND e.recipient_key = r.recipient_key \
                   AND e.position < r.position AND e.send_at <= $2 AND (e.due_at > $2 OR e.lease_until > 0) LIMIT 1) IS NULL \
                   ORDER BY r.position LIMIT $4";

impl Outbox {
    /// Takes at most `limit` due replies of an account, in their order; nobody else gets them for `hold`.
    ///
    /// A mail whose lease runs out is due again. A text is not: nobody knows whether it was sent, and the job
    /// [`Outbox::expire_leases`] says so.
    ///
    /// # Errors
    /// The store's.
    pub async fn lease(&self, account: &Account, limit: usize, hold: Duration) -> Result<Vec<Outbound>> {
        self.lease_for(account, "", limit, hold).await
    }

    /// As [`Outbox::lease`], for one of several connections of the account: `holder` names it, so that its end touches no
    /// lease of the others. Connections of one account must not call it at the same time, or an earlier text to a number
    /// may be overtaken on PostgreSQL.
    ///
    /// # Errors
    /// The store's.
    pub async fn lease_for(&self, account: &Account, holder: &str, limit: usize, hold: Duration) -> Result<Vec<Outbound>> {
        let now = time::now();
        let until = now + i64::try_from(hold.as_millis()).unwrap_or(i64::MAX / 2);
        let skip = match &self.store {
            Store::Sqlite(_) => "",
            Store::Postgres(_) => " FOR UPDATE SKIP LOCKED",
        };
        let sql = format!("UPDATE reply SET lease_until = $3, holder = $5, attempts = attempts + 1 WHERE id IN ({DUE}{skip}) {RETURNING}");
        let mut tx = self.store.begin().await?;
        let mut leased: Vec<Leased> = on!(Tx, &mut tx, db => sqlx::query_as(sqlx::AssertSqlSafe(sql))
            .bind(account.key()).bind(now).bind(until).bind(i64::try_from(limit).unwrap_or(i64::MAX)).bind(holder).fetch_all(db).await)?;
        let mut splits = splits(&mut tx, &leased).await?;
        let wanted = leased.iter().filter_map(|row| Some((row.id.as_str(), row.instead_of.as_deref()?)));
        let mut replacements = self.replacements(&mut tx, wanted).await?;
        tx.commit().await?;
        leased.sort_by_key(|row| row.position);
        let (mut able, mut broken) = (Vec::new(), Vec::new());
        for mut row in leased {
            let opened = row.open(&self.vault).strict();
            match opened {
                Ok(()) if row.channel == "sms" && row.ends() <= now => broken.push((row.id, Settlement::overdue())),
                Ok(()) => match replacements.remove(&row.id).unwrap_or(Ok(Ask::Send)) {
                    Ok(ask) => {
                        let split = splits.remove(&row.id);
                        able.push(outbound(row, split, ask));
                    }
                    Err(reason) => broken.push((row.id, Settlement::Rejected { reason })),
                },
                Err(error) => {
                    tracing::error!(%error, "a reply cannot be read and is not sent");
                    let reason = "what was stored of it cannot be decrypted; the daemon's log says more".to_owned();
                    broken.push((row.id, Settlement::Rejected { reason }));
                }
            }
        }
        // Nobody can send it, and the others must not wait for it.
        self.settle(broken).await?;
        let room = limit.saturating_sub(able.len());
        able.extend(self.lease_asked(account, room, now, until).await?);
        Ok(able)
    }

    /// Settles as unknown every text whose lease ran out, and returns how many: its channel died between the lease and
    /// the answer, and sending it again might tell the citizen twice.
    ///
    /// # Errors
    /// The store's.
    pub async fn expire_leases(&self) -> Result<u64> {
        let sql = "SELECT id FROM reply WHERE state = 'queued' AND channel = 'sms' AND lease_until > 0 AND lease_until < $1 LIMIT 1000";
        let ids: Vec<String> = on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(time::now()).fetch_all(db).await)?;
        let count = ids.len() as u64;
        let reason = "the daemon was stopped between sending it and hearing the answer";
        let unknown = |id| (id, Settlement::Unknown { reason: reason.to_owned() });
        self.settle(ids.into_iter().map(unknown).collect()).await?;
        Ok(count)
    }

    /// At the start of the one task that owns an account: the leases of its predecessor are over at once.
    ///
    /// # Errors
    /// The store's.
    pub async fn take_over(&self, account: &Account) -> Result<()> {
        let mut sql = "UPDATE reply SET lease_until = 1 WHERE account = $1 AND state = 'queued' AND lease_until > 1";
        if mutant::active("send_again") {
            sql = "UPDATE reply SET lease_until = 0 WHERE account = $1 AND state = 'queued' AND lease_until > 1";
        }
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(account.key()).execute(db).await.map(|_| ()))?;
        tx.commit().await?;
        self.expire_leases().await.map(|_| ())
    }
}

/// What is left of those that are of several segments; mostly there are none.
async fn splits(tx: &mut Tx, leased: &[Leased]) -> Result<HashMap<String, Split>> {
    let mut found = HashMap::new();
    for row in leased.iter().filter(|row| row.segments > 1) {
        let sql = "SELECT number FROM reply_part WHERE reply_id = $1 AND state = 'queued' ORDER BY number";
        let left: Vec<i64> = on!(Tx, &mut *tx, db => sqlx::query_scalar(sql).bind(&row.id).fetch_all(db).await)?;
        let [.., high, low] = row.position.to_be_bytes();
        let split = Split {
            joined: row.joined.as_deref().unwrap_or_default().parse().unwrap_or_default(),
            reference: u16::from_be_bytes([high, low]),
            total: u8::try_from(row.segments).unwrap_or(u8::MAX),
            left: left.into_iter().filter_map(|number| u8::try_from(number).ok()).collect(),
        };
        found.insert(row.id.clone(), split);
    }
    Ok(found)
}

fn outbound(row: Leased, split: Option<Split>, ask: Ask) -> Outbound {
    Outbound {
        expires_at: row.ends(),
        priority: u8::try_from(row.priority).unwrap_or(0),
        split,
        ask,
        reference: row.reference,
        kind: row.kind.parse().unwrap_or(ReplyKind::Reply),
        reply_id: row.id,
        request_id: row.request_id,
        channel: row.channel,
        to: row.recipient,
        subject: row.subject,
        text: row.text,
        message_id: row.message_id,
        in_reply_to: row.in_reply_to,
        references: row
            .mail_references
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        attempts: row.attempts,
        created_at: row.created_at,
    }
}
