//! Several connections of one account: what each holds is its own.

use super::door::Outbox;
use crate::base::account::Account;
use crate::base::error::Result;
use crate::base::time;
use crate::store::on;

impl Outbox {
    /// Before one of several connections of an account is made anew: the leases of its predecessor, which bore the same
    /// name, are over at once; what the account's other connections hold is theirs.
    ///
    /// # Errors
    /// The store's.
    pub async fn take_over_from(&self, account: &Account, holder: &str) -> Result<()> {
        let sql = "UPDATE reply SET lease_until = 1 WHERE account = $1 AND state = 'queued' AND lease_until > 1 AND holder = $2";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql).bind(account.key()).bind(holder).execute(db).await.map(|_| ()))?;
        tx.commit().await?;
        self.expire_leases().await.map(|_| ())
    }

    /// A phone that could not be reached can be again, as the SMSC says (SMPP 3.4 §4.12): what was put off after a try is
    /// due now. What was never tried keeps its time.
    ///
    /// # Errors
    /// The store's.
    pub async fn hasten(&self, account: &Account, recipient: &str) -> Result<()> {
        let now = time::now();
        let sql = "UPDATE reply SET due_at = $3 WHERE account = $1 AND state = 'queued' AND recipient_key = $2 AND due_at > $3 \
                   AND lease_until = 0 AND attempts > 0";
        let mut tx = self.store.begin().await?;
        on!(Tx, &mut tx, db => sqlx::query(sql)
            .bind(account.key()).bind(self.vault.address(recipient)).bind(now).execute(db).await.map(|_| ()))?;
        tx.commit().await?;
        self.ring();
        Ok(())
    }
}
