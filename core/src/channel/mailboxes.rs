//! How far each folder of each mailbox has been read.

use crate::base::account::Account;
use crate::base::error::Result;
use crate::base::time::{self, Millis};
use crate::store::Store;
use crate::store::on;

/// Where a folder stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct MailboxPlace {
    /// RFC 3501 §2.3.1.1; when the server's differs, UIDs mean other mails and the folder is read anew.
    pub uidvalidity: i64,
    /// Every UID up to here is settled.
    pub cursor: i64,
    /// 1 once the first connection's import is over, so that later mails are acknowledged.
    pub imported: i64,
    /// When the mailbox was connected to first.
    pub began_at: Millis,
}

/// The door to cursors and attempts.
#[derive(Debug, Clone)]
pub struct Mailboxes {
    store: Store,
}

impl Mailboxes {
    /// Over a store.
    #[must_use]
    pub const fn new(store: Store) -> Self {
        Self { store }
    }

    /// Where a folder stands; `None` before the first connection.
    ///
    /// # Errors
    /// The store's.
    pub async fn place(&self, account: &Account, folder: &str) -> Result<Option<MailboxPlace>> {
        let sql = "SELECT uidvalidity, cursor, imported, began_at FROM mailbox WHERE account = $1 AND folder = $2";
        Ok(on!(Store, &self.store, db => sqlx::query_as(sql).bind(account.key()).bind(folder).fetch_optional(db).await)?)
    }

    /// Saves where a folder stands. Only UIDs whose mails are committed may lie behind the cursor.
    ///
    /// # Errors
    /// The store's.
    pub async fn save(&self, account: &Account, folder: &str, uidvalidity: i64, cursor: i64, imported: bool) -> Result<()> {
        let sql = "INSERT INTO mailbox (account, folder, uidvalidity, cursor, imported, began_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6) \
                   ON CONFLICT (account, folder) DO UPDATE SET uidvalidity = excluded.uidvalidity, cursor = excluded.cursor, \
                   imported = excluded.imported, updated_at = excluded.updated_at";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(account.key()).bind(folder).bind(uidvalidity).bind(cursor).bind(i64::from(imported)).bind(time::now())
            .execute(db).await.map(|_| ()))?;
        let sql = "DELETE FROM mailbox_attempt WHERE account = $1 AND folder = $2 AND (uidvalidity <> $3 OR uid <= $4)";
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(account.key()).bind(folder).bind(uidvalidity).bind(cursor).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// Notes that these mails are about to be parsed together, and returns the attempts at each, in the order asked:
    /// 1 for the first time, 2 once a process has ended since, more when it ended while parsing that mail alone.
    ///
    /// # Errors
    /// The store's.
    pub async fn attempt(&self, account: &Account, folder: &str, uidvalidity: i64, uids: &[u32]) -> Result<Vec<i64>> {
        let sql = "INSERT INTO mailbox_attempt (account, folder, uidvalidity, uid, attempts) VALUES ($1, $2, $3, $4, 1) \
                   ON CONFLICT (account, folder, uidvalidity, uid) DO UPDATE SET attempts = \
                   CASE WHEN mailbox_attempt.attempts > 2 THEN mailbox_attempt.attempts ELSE 2 END RETURNING attempts";
        let mut tx = self.store.begin().await?;
        let mut counts = Vec::with_capacity(uids.len());
        for uid in uids {
            let count: i64 = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
                .bind(account.key()).bind(folder).bind(uidvalidity).bind(i64::from(*uid)).fetch_one(db).await)?;
            counts.push(count);
        }
        tx.commit().await?;
        Ok(counts)
    }

    /// Notes that this mail is about to be parsed alone: should the process die now, it was this mail.
    ///
    /// # Errors
    /// The store's.
    pub async fn alone(&self, account: &Account, folder: &str, uidvalidity: i64, uid: u32) -> Result<()> {
        let sql = "UPDATE mailbox_attempt SET attempts = attempts + 1 WHERE account = $1 AND folder = $2 AND uidvalidity = $3 AND uid = $4";
        self.note(sql, account, folder, uidvalidity, uid).await
    }

    /// Notes that the process outlived parsing this mail: whatever ends it later, it is not this mail.
    ///
    /// # Errors
    /// The store's.
    pub async fn survived(&self, account: &Account, folder: &str, uidvalidity: i64, uid: u32) -> Result<()> {
        let sql = "UPDATE mailbox_attempt SET attempts = 2 WHERE account = $1 AND folder = $2 AND uidvalidity = $3 AND uid = $4";
        self.note(sql, account, folder, uidvalidity, uid).await
    }

    async fn note(&self, sql: &'static str, account: &Account, folder: &str, uidvalidity: i64, uid: u32) -> Result<()> {
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(account.key()).bind(folder).bind(uidvalidity).bind(i64::from(uid)).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }
}
