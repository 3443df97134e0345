//! Signing the chain, after a look at what is signed: a signature says that this machine walked along every row since the
//! one before, and that what it signed earlier is still there.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use serde_json::json;
use tokio::sync::Mutex;

use super::append::append;
use super::chain::{Hash, START, unhex};
use super::checkpoint::{self, Head};
use super::entry::Entry;
use super::key::SigningKey;
use super::trail::{checkpoint_at, page};
use super::verify::{Broken, Seen, Walk};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::hex;
use crate::base::time::Millis;
use crate::store::Store;
use crate::store::on;

/// After so many rows the chain is signed.
const ROWS: i64 = 1000;
/// After this time it is signed when there is something new. After a failure it is tried again as late.
const AGE: Millis = 60_000;

/// Signs, and remembers what it signed last outside the database.
#[derive(Debug)]
pub(super) struct Signer {
    store: Store,
    key: SigningKey,
    file: PathBuf,
    seen: Mutex<Option<Seen>>,
    not_before: AtomicI64,
    /// Whether this process has told of a new key.
    told: AtomicBool,
    /// Checkpoints taken.
    pub(super) taken: AtomicU64,
    /// Checkpoints that failed, or were refused because the chain is broken.
    pub(super) failed: AtomicU64,
}

impl Signer {
    /// With a key, and the file in which this machine remembers.
    pub(super) fn new(store: Store, key: SigningKey, file: &Path) -> Self {
        Self {
            store,
            key,
            file: file.to_path_buf(),
            seen: Mutex::new(remembered(file)),
            not_before: AtomicI64::new(Millis::MIN),
            told: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// The key.
    pub(super) const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Signs when a thousand rows are new, or one is older than a minute.
    pub(super) async fn when_due(self: &Arc<Self>, now: Millis) -> Result<bool> {
        // A minute after a failure, by a clock that may be set back.
        if (0..AGE).contains(&(self.not_before.load(Ordering::Relaxed).saturating_sub(now))) {
            return Ok(false);
        }
        let due = |head: &Head| head.seq - head.signed >= ROWS || head.waiting_since.is_some_and(|since| now - since >= AGE);
        self.sign(now, due).await
    }

    /// Signs when there is anything new.
    pub(super) async fn now(self: &Arc<Self>, now: Millis) -> Result<bool> {
        self.sign(now, |_| true).await
    }

    async fn sign(self: &Arc<Self>, now: Millis, due: impl Fn(&Head) -> bool + Send) -> Result<bool> {
        let signed = self.signed(now, due).await;
        if signed.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
            self.not_before.store(now.saturating_add(AGE - 1), Ordering::Relaxed);
        }
        signed
    }

    async fn signed(self: &Arc<Self>, now: Millis, due: impl Fn(&Head) -> bool + Send) -> Result<bool> {
        let mut seen = self.seen.lock().await;
        let mut head = checkpoint::head(&self.store).await?;
        let turned_back = seen.as_ref().is_some_and(|seen| head.signed < seen.seq);
        if (head.seq <= head.signed || !due(&head)) && !turned_back {
            return Ok(false);
        }
        if self.tell_of_new_key(&head, now).await? {
            head = checkpoint::head(&self.store).await?;
        }
        if let Err(broken) = self.walked(&head, seen.as_ref()).await? {
            tracing::error!(%broken, "the audit trail is not signed, because somebody has changed it; `voxea audit verify` says more");
            return Err(CoreError::Conflict(format!("the audit trail is broken: {broken}")));
        }
        let Some(signed) = checkpoint::take(&self.store, &self.key, &head, now).await? else {
            return Ok(false);
        };
        self.taken.fetch_add(1, Ordering::Relaxed);
        // The log is a second witness: it usually leaves the machine.
        tracing::info!(
            row = signed.seq,
            hash = signed.hash,
            key = signed.key_id,
            "the audit trail was signed"
        );
        let kept = Seen {
            seq: signed.seq,
            hash: signed.hash,
        };
        *seen = Some(kept.clone());
        let signer = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || remember(&signer.file, &kept)).await;
        if let Err(error) = written.map_err(std::io::Error::other).flatten() {
            tracing::warn!(error = %error, file = %self.file.display(), "the last checkpoint could not be kept on this machine");
        }
        Ok(true)
    }

    /// Enters in the trail that another key signs from here on, once, and says so in the log; says whether it did. A key that
    /// was lost is made anew so that the town goes on working, and nobody who verifies shall have to guess why.
    async fn tell_of_new_key(&self, head: &Head, now: Millis) -> Result<bool> {
        let (public, Some(before)) = (self.key.public(), &head.signed_by) else {
            return Ok(false);
        };
        let own = public.id();
        if *before == own || self.told.load(Ordering::Relaxed) || checkpoint::has_signed(&self.store, &own).await? {
            return Ok(false);
        }
        let detail = json!({"key": own, "public": public.to_string(), "before": before, "signed": head.signed});
        let entry = Entry::new(&Actor::System, "key_changed", format!("audit/key/{own}"))
            .at(now)
            .detail(&detail);
        let mut tx = self.store.begin().await?;
        append(&mut tx, &[entry]).await?;
        tx.commit().await?;
        self.told.store(true, Ordering::Relaxed);
        tracing::error!(
            from = head.signed + 1,
            key = own,
            %public,
            before,
            "another key signs the audit trail from this row on; keep its public half beside the older one, and if nobody changed the \
             key, find out who did"
        );
        Ok(true)
    }

    /// Walks from what is sure to the head.
    async fn walked(&self, head: &Head, seen: Option<&Seen>) -> Result<std::result::Result<(), Broken>> {
        let (seq, hash) = match self.sure(head, seen).await? {
            Ok(sure) => sure,
            Err(broken) => return Ok(Err(broken)),
        };
        let mut walk = Walk::new(&[], None);
        walk.resume(seq, hash);
        while walk.last() < head.seq {
            let page = page(&self.store, walk.last(), head.seq).await?;
            let Some(last) = page.last().map(|signed| signed.row.seq) else {
                return Ok(Err(Broken::Deleted(walk.last() + 1, head.seq)));
            };
            if let Err(broken) = page.into_iter().try_for_each(|signed| walk.row(signed.row)) {
                return Ok(Err(broken));
            }
            if walk.last() < last {
                break;
            }
        }
        let end = hex::encode(walk.hash());
        Ok(walk
            .end()
            .and_then(|_| if end == head.hash { Ok(()) } else { Err(Broken::Head(head.seq)) }))
    }

    /// Up to which row all is known to be well: what was signed with our key last, and is not before what we remember.
    async fn sure(&self, head: &Head, seen: Option<&Seen>) -> Result<std::result::Result<(i64, Hash), Broken>> {
        let signed = checkpoint_at(&self.store, head.signed).await?;
        let ours = signed.as_ref().filter(|checkpoint| checkpoint.is_of(&self.key.public()));
        let ours = ours.filter(|checkpoint| seen.is_none_or(|seen| checkpoint.seq >= seen.seq));
        if let Some(seen) = seen {
            let sql = "SELECT hash FROM audit WHERE seq = $1 UNION ALL SELECT hash FROM audit_checkpoint WHERE seq = $1 LIMIT 1";
            let there: Option<String> = on!(Store, &self.store, db => sqlx::query_scalar(sql).bind(seen.seq).fetch_optional(db).await)?;
            match there {
                Some(hash) if hash == seen.hash => {}
                Some(_) => return Ok(Err(Broken::Rewritten(seen.seq, seen.seq))),
                // Long ago, and purged since by another node.
                None if ours.is_some() => {}
                None => return Ok(Err(Broken::Deleted(seen.seq.min(head.seq + 1), seen.seq))),
            }
        }
        let known = ours.map(|checkpoint| (checkpoint.seq, checkpoint.hash.as_str()));
        let known = known.or(seen.map(|seen| (seen.seq, seen.hash.as_str())));
        // With a key that is new on a machine that remembers nothing there is only what the database says.
        let known = known.or(signed.as_ref().map(|checkpoint| (checkpoint.seq, checkpoint.hash.as_str())));
        Ok(match known {
            Some((seq, hash)) => unhex(hash).map(|hash| (seq, hash)).ok_or(Broken::Forged(seq)),
            None => Ok((0, START)),
        })
    }
}

/// Keeps a checkpoint on this machine: whoever writes the database alone cannot turn the trail back to before it and have
/// it signed.
fn remember(file: &Path, seen: &Seen) -> std::io::Result<()> {
    let draft = file.with_extension("new");
    let mut new = File::create(&draft)?;
    writeln!(new, "{} {}", seen.seq, seen.hash)?;
    new.sync_all()?;
    fs::rename(&draft, file)
}

fn remembered(file: &Path) -> Option<Seen> {
    let read = fs::read_to_string(file).map(|text| text.parse::<Seen>());
    match read {
        Ok(Ok(seen)) => Some(seen),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Ok(Err(reason)) => {
            tracing::error!(file = %file.display(), reason, "what this machine remembers of the audit trail cannot be used");
            None
        }
        Err(error) => {
            tracing::error!(file = %file.display(), error = %error, "what this machine remembers of the audit trail cannot be read");
            None
        }
    }
}
