//! The door itself, and who can send on which channel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use voxea_rules::sms::{self, Preview};

use super::row::{COLUMNS, ReplyRow};
use super::texting::Texting;
use super::turns::Queue;
use crate::base::account::{Account, Channel};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time::{self, Millis};
use crate::base::wake::{Listener, Wake};
use crate::catalogue::Catalogue;
use crate::feed::Feed;
use crate::store::Store;
use crate::store::on;
use crate::vault::{ReplyTokens, Vault};

/// An account that can send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// On which channel.
    pub channel: Channel,
    /// Which account.
    pub account: Account,
    /// The number or address that the citizen sees.
    pub from: String,
}

/// The door to replies.
#[derive(Debug, Clone)]
pub struct Outbox {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) feed: Feed,
    pub(super) catalogue: Catalogue,
    pub(super) queue: Queue,
    pub(super) tokens: ReplyTokens,
    wake: Wake,
    senders: Arc<Mutex<Vec<Sender>>>,
    texting: Arc<Mutex<HashMap<String, Texting>>>,
}

/// How long a reply waits at most before its channel looks again, should a wake-up of another node be missed.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

impl Outbox {
    /// Over a store. `wake` rings whenever something was queued; the intake rings it for acknowledgements.
    #[must_use]
    pub fn new(store: Store, vault: Vault, feed: Feed, catalogue: Catalogue, wake: Wake) -> Self {
        Self {
            tokens: ReplyTokens::new(store.clone(), vault.clone()),
            store,
            vault,
            feed,
            catalogue,
            queue: Queue::default(),
            wake,
            senders: Arc::default(),
            texting: Arc::default(),
        }
    }

    /// Enters an account that can send. Called once at start for each, before any reply is taken.
    pub fn register(&self, sender: Sender) {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        senders.retain(|known| known.account != sender.account || known.channel != sender.channel);
        senders.push(sender);
    }

    /// Says how an account treats texts. Called once at start for each, before any reply is taken; without it, the default.
    pub fn set_texting(&self, account: &Account, texting: Texting) {
        self.with_texting(|all| all.insert(account.key(), texting));
    }

    /// How an account treats texts.
    #[must_use]
    pub fn texting(&self, account: &Account) -> Texting {
        self.with_texting(|all| all.get(&account.key()).copied()).unwrap_or_default()
    }

    /// The accounts whose peer is asked what became of a text.
    pub(super) fn queried(&self) -> Vec<String> {
        self.with_texting(|all| {
            all.iter()
                .filter(|(_, texting)| texting.query)
                .map(|(key, _)| key.clone())
                .collect()
        })
    }

    /// What a text would cost in the account that sends texts when no other is asked for.
    #[must_use]
    pub fn preview(&self, text: &str, split: bool) -> Preview {
        let sender = self.sender(Channel::Sms, None);
        let texting = sender.map_or_else(Texting::default, |sender| self.texting(&sender.account));
        sms::preview_by(text, &texting.policy(split))
    }

    fn with_texting<T>(&self, look: impl FnOnce(&mut HashMap<String, Texting>) -> T) -> T {
        look(&mut self.texting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The account that sends on a channel: the preferred one when it can, else the first that was entered.
    pub(super) fn sender(&self, channel: Channel, preferred: Option<&str>) -> Option<Sender> {
        let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut able = senders.iter().filter(|sender| sender.channel == channel);
        let exact = able.clone().find(|sender| Some(sender.account.key().as_str()) == preferred);
        exact.or_else(|| able.next()).cloned()
    }

    /// One reply.
    ///
    /// # Errors
    /// [`CoreError::NotFound`], also when the actor does not reach its request; the store's.
    pub async fn get(&self, actor: &Actor, id: &str) -> Result<ReplyRow> {
        let reached = self.catalogue.reach(actor, Operation::Read).condition("r", 2);
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM reply WHERE id = $1 AND EXISTS (SELECT 1 FROM request r WHERE r.id = reply.request_id AND {})",
            reached.sql
        ));
        let row: Option<ReplyRow> = on!(Store, &self.store, db => {
            let mut query = sqlx::query_as(sql).bind(id);
            for text in reached.texts {
                query = query.bind(text);
            }
            query.fetch_optional(db).await
        })?;
        let mut row = row.ok_or(CoreError::NotFound { what: "reply" })?;
        row.open(&self.vault).strict()?;
        Ok(row)
    }

    /// How many replies of an account wait.
    ///
    /// # Errors
    /// The store's.
    pub async fn waiting(&self, account: &Account) -> Result<u64> {
        let sql = "SELECT COUNT(*) FROM reply WHERE account = $1 AND state = 'queued'";
        let count: i64 = on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(account.key()).fetch_one(db).await)?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Something was queued or given back.
    pub(super) fn ring(&self) {
        self.wake.ring();
    }

    /// Hears every reply that is queued on this node from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        self.wake.listen()
    }

    /// Returns when a reply of the account is due, or after half a minute. `listener` must be older than the last
    /// look into the outbox, so that nothing queued in between is missed.
    ///
    /// # Errors
    /// The store's; the caller waits a little before it asks again.
    pub async fn due(&self, account: &Account, listener: &mut Listener) -> Result<()> {
        loop {
            let wait = match self.next_due(account).await? {
                Some(at) if at <= time::now() => return Ok(()),
                Some(at) => Duration::from_millis(u64::try_from(at - time::now()).unwrap_or(0)).min(LOOK_AGAIN),
                None => LOOK_AGAIN,
            };
            tokio::select! {
                () = listener.rung() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn next_due(&self, account: &Account) -> Result<Option<Millis>> {
        // Mostly the first that waits is due, and a long queue need not be read to its end for that.
        let sql = "SELECT due_at FROM reply WHERE account = $1 AND state = 'queued' AND due_at <= $2 AND lease_until = 0 ORDER BY position LIMIT 1";
        let first: Option<Millis> =
            on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(account.key()).bind(time::now()).fetch_optional(db).await)?;
        if first.is_some() {
            return Ok(first);
        }
        let sql = "SELECT MIN(CASE WHEN due_at > lease_until THEN due_at ELSE lease_until END) FROM reply WHERE account = $1 AND state = 'queued'";
        let queued: Option<Millis> = on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(account.key()).fetch_one(db).await)?;
        let asked = self.next_asked(account).await?;
        Ok([queued, asked].into_iter().flatten().min())
    }
}
