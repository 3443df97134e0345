//! What happens to mails on their server once they are ours: marked, moved by what was made of them, or left alone.

use voxea_core::base::failpoint;

use crate::config::{After, Outcome};
use crate::follow::{End, Follower};
use crate::shift::{Moving, wants_creation};
use crate::trouble::Trouble;

impl Follower<'_> {
    /// Marks or moves mails that are committed.
    pub(crate) async fn mark(&mut self, uids: &[u32]) -> Result<(), End> {
        let config = self.desk.config;
        let mut groups: Vec<(&After, Vec<u32>)> = Vec::new();
        for uid in uids {
            let after = config.after.of(self.outcomes.remove(uid).unwrap_or(Outcome::Taken));
            match groups.iter_mut().find(|(known, _)| *known == after) {
                Some((_, group)) => group.push(*uid),
                None => groups.push((after, vec![*uid])),
            }
        }
        for (after, uids) in groups {
            let marked = match after {
                After::Seen => self.connection.flag(&uids, "\\Seen").await.map_err(End::from),
                After::Move(folder) => self.move_to(&uids, folder).await,
                After::Nothing => Ok(()),
            };
            match marked {
                // The mails are ours all the same; a folder that cannot be written to must not stop what comes after.
                Err(End::Mailbox(Trouble::Refused { words, .. })) => {
                    tracing::warn!(mailbox = %config.name, %words, "mails that were taken in could not be marked");
                    self.watch.trouble("mails that were taken in could not be marked or moved");
                    self.count("mark_refused", uids.len() as u64);
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Moves mails to a folder, which is made when it is missing.
    async fn move_to(&mut self, uids: &[u32], folder: &str) -> Result<(), End> {
        if !self.connection.offers.moves {
            return self.copy_away(uids, folder).await;
        }
        match self.connection.move_to(uids, folder).await {
            Err(trouble @ Trouble::Refused { .. }) => {
                // Each mail was moved or not (RFC 6851 §3.3). The folder may be there, and the refusal have another reason; the
                // second try tells.
                if self.connection.create(folder).await.is_err() && !wants_creation(&trouble) {
                    return Err(trouble.into());
                }
                Ok(self.connection.move_to(uids, folder).await?)
            }
            other => Ok(other?),
        }
    }

    /// Where the server has no MOVE.
    async fn copy_away(&mut self, uids: &[u32], folder: &str) -> Result<(), End> {
        let copying = self.moving.not_copied(self.desk.validity, uids);
        if !copying.is_empty() {
            let stands = match self.connection.status(folder).await {
                Err(Trouble::Refused { .. }) => {
                    self.connection.create(folder).await?;
                    self.connection.status(folder).await?
                }
                other => other?,
            };
            self.moving.begin(&copying, folder, stands);
            self.note_moving().await?;
            let copied = self.connection.copy(&copying, folder).await;
            failpoint::hit("imap.after_copy");
            // When the connection was lost, nobody knows, and the note stays as it is.
            if let Ok(()) | Err(Trouble::Refused { .. }) = copied {
                self.moving.end(copied.is_ok());
                self.note_moving().await?;
            }
            copied?;
        }
        failpoint::hit("imap.before_deleted");
        self.connection.flag(uids, "\\Seen \\Deleted").await?;
        failpoint::hit("imap.before_expunge");
        // Without UIDPLUS an EXPUNGE would remove what others have marked; then the mark is all.
        if self.connection.offers.uid_expunge {
            self.connection.expunge(uids).await?;
        }
        Ok(())
    }

    /// Settles what an earlier process left in the middle.
    pub(crate) async fn clear_up(&mut self, note: Option<&str>) -> Result<(), End> {
        self.moving = Moving::read(note);
        if self.moving.is_unclear() {
            self.moving.clear_up(&mut self.connection, self.desk.folder).await?;
            self.note_moving().await?;
        }
        Ok(())
    }

    async fn note_moving(&self) -> Result<(), End> {
        let (mailboxes, account, folder) = (&self.desk.core.mailboxes, &self.desk.account, self.desk.folder);
        let note = self.moving.note();
        self.store(|| mailboxes.moving(account, folder, note.as_deref())).await
    }
}
