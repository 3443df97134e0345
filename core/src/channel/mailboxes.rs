//! How far each folder of each mailbox has been read.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::base::account::Account;
use crate::base::error::Result;
use crate::base::time::{self, Millis};
use crate::store::{Column, Row, Rows, SetSql, Store, on, row};

/// Where a folder stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxPlace {
    /// RFC 3501 §2.3.1.1; when the server's differs, UIDs mean other mails and the folder is read anew.
    pub uidvalidity: i64,
    /// Every UID up to here is settled, but for the gaps and what could not be fetched.
    pub cursor: i64,
    /// Once the first connection's import is over, so that later mails are acknowledged.
    pub imported: bool,
    /// UIDs below this were there at the first connection; 0 when nobody knows.
    pub import_below: i64,
    /// When the mailbox was connected to first.
    pub began_at: Millis,
    /// When this was saved.
    pub saved_at: Millis,
    /// UIDs below the cursor that were not there when it passed, and when that was noticed.
    pub gaps: Vec<(u32, Millis)>,
    /// What is being moved to another folder, as the mailbox's task wrote it.
    pub moving: Option<String>,
}

/// What is to be saved of a folder.
#[derive(Debug, Clone, Default)]
pub struct SavedPlace {
    /// As in [`MailboxPlace`].
    pub uidvalidity: i64,
    /// As in [`MailboxPlace`]. Only UIDs whose mails are committed may lie behind it, but for what else is noted.
    pub cursor: i64,
    /// As in [`MailboxPlace`].
    pub imported: bool,
    /// As in [`MailboxPlace`].
    pub import_below: i64,
    /// As in [`MailboxPlace`]; `None` leaves them as they are.
    pub gaps: Option<Vec<(u32, Millis)>>,
    /// As in [`MailboxPlace`]; `None` leaves it as it is.
    pub moving: Option<Option<String>>,
    /// Mails at which fetching had failed, and which were taken in since, or are gone.
    pub fetched: Vec<u32>,
}

/// A mail at which fetching failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct UnfetchedMail {
    /// The UIDVALIDITY of its UID.
    pub uidvalidity: i64,
    /// Its UID.
    pub uid: i64,
    /// RFC822.SIZE, bytes; 0 when not even that came.
    pub size: i64,
    /// INTERNALDATE; 0 when not even that came.
    pub internal_ms: Millis,
    /// How often.
    pub failures: i64,
    /// When it failed last.
    pub failed_at: Millis,
}

#[derive(sqlx::FromRow)]
struct PlaceRow {
    uidvalidity: i64,
    cursor: i64,
    imported: i64,
    import_below: i64,
    began_at: Millis,
    updated_at: Millis,
    gaps: String,
    moving: Option<String>,
}

static ATTEMPT: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("account", Column::Text),
        ("folder", Column::Text),
        ("uidvalidity", Column::Integer),
        ("uid", Column::Integer),
    ])
    .statement(
        "INSERT INTO mailbox_attempt ({columns}, attempts) SELECT {values}, 1 FROM {rows} AS r WHERE true \
         ON CONFLICT (account, folder, uidvalidity, uid) DO UPDATE SET attempts = \
         CASE WHEN mailbox_attempt.attempts > 2 THEN mailbox_attempt.attempts ELSE 2 END RETURNING uid, attempts",
    )
});

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
        let sql = "SELECT uidvalidity, cursor, imported, import_below, began_at, updated_at, gaps, moving \
                   FROM mailbox WHERE account = $1 AND folder = $2";
        let row: Option<PlaceRow> =
            on!(Store, &self.store, db => sqlx::query_as(sql).bind(account.key()).bind(folder).fetch_optional(db).await)?;
        Ok(row.map(|row| MailboxPlace {
            uidvalidity: row.uidvalidity,
            cursor: row.cursor,
            imported: row.imported != 0,
            import_below: row.import_below,
            began_at: row.began_at,
            saved_at: row.updated_at,
            // What cannot be read was not written by us; a gap less is a mail that comes at the next rescan.
            gaps: serde_json::from_str(&row.gaps).unwrap_or_default(),
            moving: row.moving,
        }))
    }

    /// Saves where a folder stands, and forgets the attempts at what is settled by it.
    ///
    /// # Errors
    /// The store's.
    pub async fn save(&self, account: &Account, folder: &str, saved: &SavedPlace) -> Result<()> {
        let key = account.key();
        let gaps = saved.gaps.as_ref().and_then(|gaps| serde_json::to_string(gaps).ok());
        let sql = "INSERT INTO mailbox (account, folder, uidvalidity, cursor, imported, import_below, began_at, updated_at, gaps) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $7, COALESCE($8, '[]')) \
                   ON CONFLICT (account, folder) DO UPDATE SET uidvalidity = excluded.uidvalidity, cursor = excluded.cursor, \
                   imported = excluded.imported, import_below = excluded.import_below, updated_at = excluded.updated_at, \
                   gaps = COALESCE($8, mailbox.gaps)";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(&key).bind(folder).bind(saved.uidvalidity).bind(saved.cursor).bind(i64::from(saved.imported))
            .bind(saved.import_below).bind(time::now()).bind(gaps)
            .execute(db).await.map(|_| ()))?;
        if let Some(moving) = &saved.moving {
            let sql = "UPDATE mailbox SET moving = $3 WHERE account = $1 AND folder = $2";
            on!(Tx, &mut tx, db => sqlx::query(sql).bind(&key).bind(folder).bind(moving).execute(db).await.map(|_| ()))?;
        }
        for uid in &saved.fetched {
            let sql = "DELETE FROM mailbox_unfetched WHERE account = $1 AND folder = $2 AND uidvalidity = $3 AND uid = $4";
            on!(Tx, &mut tx, db => sqlx::query(sql)
                .bind(&key).bind(folder).bind(saved.uidvalidity).bind(i64::from(*uid)).execute(db).await.map(|_| ()))?;
        }
        // What is still to be fetched may also kill the process once it comes.
        let sql = "DELETE FROM mailbox_attempt WHERE account = $1 AND folder = $2 AND (uidvalidity <> $3 OR (uid <= $4 \
                   AND NOT EXISTS (SELECT 1 FROM mailbox_unfetched AS u WHERE u.account = mailbox_attempt.account \
                   AND u.folder = mailbox_attempt.folder AND u.uidvalidity = mailbox_attempt.uidvalidity AND u.uid = mailbox_attempt.uid)))";
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(&key).bind(folder).bind(saved.uidvalidity).bind(saved.cursor).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// Notes what is being moved to another folder, before it is and after; the place must have been saved before.
    ///
    /// # Errors
    /// The store's.
    pub async fn moving(&self, account: &Account, folder: &str, moving: Option<&str>) -> Result<()> {
        let sql = "UPDATE mailbox SET moving = $3 WHERE account = $1 AND folder = $2";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(account.key()).bind(folder).bind(moving).execute(db).await.map(|_| ()))?;
        tx.commit().await
    }

    /// The mails at which fetching failed, of every UIDVALIDITY that is still remembered.
    ///
    /// # Errors
    /// The store's.
    pub async fn unfetched(&self, account: &Account, folder: &str) -> Result<Vec<UnfetchedMail>> {
        let sql = "SELECT uidvalidity, uid, size, internal_ms, failures, failed_at FROM mailbox_unfetched \
                   WHERE account = $1 AND folder = $2 ORDER BY uid";
        Ok(on!(Store, &self.store, db => sqlx::query_as(sql).bind(account.key()).bind(folder).fetch_all(db).await)?)
    }

    /// How many contacts of a mailbox could not be processed.
    ///
    /// # Errors
    /// The store's.
    pub async fn quarantined(&self, account: &Account) -> Result<i64> {
        // In the words of the index, which otherwise is of no use.
        let sql = "SELECT COUNT(*) FROM interaction WHERE account = $1 AND flags LIKE '%\"quarantined\"%'";
        Ok(on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(account.key()).fetch_one(db).await)?)
    }

    /// Counts a failed FETCH of a mail of this size and INTERNALDATE, and returns how many there have been. What was noted
    /// under another UIDVALIDITY is forgotten.
    ///
    /// # Errors
    /// The store's.
    pub async fn fetch_failed(
        &self,
        account: &Account,
        folder: &str,
        uidvalidity: i64,
        (uid, size, internal_ms): (u32, u32, Millis),
    ) -> Result<i64> {
        let key = account.key();
        let mut tx = self.store.begin().await?;
        let sql = "DELETE FROM mailbox_unfetched WHERE account = $1 AND folder = $2 AND uidvalidity <> $3";
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(&key).bind(folder).bind(uidvalidity).execute(db).await.map(|_| ()))?;
        let sql = "INSERT INTO mailbox_unfetched (account, folder, uidvalidity, uid, size, internal_ms, failures, failed_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, 1, $7) ON CONFLICT (account, folder, uidvalidity, uid) DO UPDATE SET \
                   failures = mailbox_unfetched.failures + 1, failed_at = excluded.failed_at RETURNING failures";
        let failures: i64 = on!(Tx, &mut tx, db => sqlx::query_scalar(sql)
            .bind(&key).bind(folder).bind(uidvalidity).bind(i64::from(uid)).bind(i64::from(size)).bind(internal_ms).bind(time::now())
            .fetch_one(db).await)?;
        tx.commit().await?;
        Ok(failures)
    }

    /// Notes that these mails are about to be parsed together, and returns the attempts at each, in the order asked:
    /// 1 for the first time, 2 once a process has ended since, more when it ended while parsing that mail alone. No UID may
    /// stand there twice.
    ///
    /// # Errors
    /// The store's.
    pub async fn attempt(&self, account: &Account, folder: &str, uidvalidity: i64, uids: &[u32]) -> Result<Vec<i64>> {
        let key = account.key();
        let rows: Vec<Row> = uids
            .iter()
            .map(|uid| row!({"account": key, "folder": folder, "uidvalidity": uidvalidity, "uid": uid}))
            .collect();
        let mut tx = self.store.begin().await?;
        let (sql, rows) = (ATTEMPT.for_tx(&tx), Row::array(&rows));
        let counts: Vec<(i64, i64)> = on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
        tx.commit().await?;
        let counts: HashMap<i64, i64> = counts.into_iter().collect();
        Ok(uids.iter().map(|uid| counts.get(&i64::from(*uid)).copied().unwrap_or(1)).collect())
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
