//! Moving mails to another folder where the server has no MOVE (RFC 6851): COPY, `\Deleted`, UID EXPUNGE.
//!
//! Of the three only COPY must not be done twice. So what is about to be copied is noted before, with where the target's UIDs
//! stood, and that it was copied after; the note outlives the process. What a crash left between the two is settled by a look
//! into the target: a mail is there when one with the same header octets and the same size came since. Two mails that share
//! both are one for this, and a server that changes a header while it copies is not seen through: there a crash at that very
//! moment can leave a mail twice in the target. Nothing is lost in any case: the mail stays where it is until its copy is noted.

use std::collections::{BTreeSet, HashSet};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::connection::{Connection, Folder};
use crate::trouble::{Code, Trouble};

/// What is being moved, and what was copied and is still in its folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moving {
    validity: u32,
    copied: BTreeSet<u32>,
    copying: Option<Copying>,
    /// Dealt with since the place was saved.
    done: HashSet<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Copying {
    uids: Vec<u32>,
    target: String,
    /// UIDVALIDITY and UIDNEXT of the target before.
    validity: u32,
    next: u32,
}

impl Moving {
    /// The note of an earlier process.
    pub(crate) fn read(note: Option<&str>) -> Self {
        let Some(note) = note.and_then(|note| serde_json::from_str::<Value>(note).ok()) else {
            return Self::default();
        };
        let copying = note.get("copying").filter(|copying| copying.is_object()).map(|copying| Copying {
            uids: numbers(copying.get("uids")),
            target: copying.get("target").and_then(Value::as_str).unwrap_or_default().to_owned(),
            validity: number(copying.get("validity")),
            next: number(copying.get("next")),
        });
        Self {
            validity: number(note.get("validity")),
            copied: numbers(note.get("copied")).into_iter().collect(),
            copying,
            done: HashSet::new(),
        }
    }

    /// What is to be noted; nothing when nothing is under way.
    pub(crate) fn note(&self) -> Option<String> {
        if self.copied.is_empty() && self.copying.is_none() {
            return None;
        }
        let copying = self
            .copying
            .as_ref()
            .map(|copying| json!({"uids": copying.uids, "target": copying.target, "validity": copying.validity, "next": copying.next}));
        Some(json!({"validity": self.validity, "copied": self.copied, "copying": copying}).to_string())
    }

    /// The mails are dealt with once the place is saved. Whether that changes the note.
    pub(crate) fn saved(&mut self) -> bool {
        let before = self.copied.len();
        let done = std::mem::take(&mut self.done);
        self.copied.retain(|uid| !done.contains(uid));
        before != self.copied.len()
    }

    /// Of another UIDVALIDITY nothing is known.
    fn under(&mut self, validity: u32) {
        if self.validity != validity {
            *self = Self {
                validity,
                ..Self::default()
            };
        }
    }

    /// Whether an earlier process may have died between a COPY and its note.
    pub(crate) const fn is_unclear(&self) -> bool {
        self.copying.is_some()
    }

    /// Looks what became of a COPY that nobody saw the end of. Afterwards no folder is selected.
    pub(crate) async fn clear_up(&mut self, connection: &mut Connection, folder: &str) -> Result<(), Trouble> {
        let Some(copying) = self.copying.take() else { return Ok(()) };
        let source = connection.examine(folder).await?;
        if source.validity != self.validity {
            self.under(source.validity);
            return Ok(());
        }
        let sought = facts(connection, &copying.uids).await?;
        let Some(target) = found(connection.examine(&copying.target).await)? else {
            return Ok(());
        };
        if target.next > 0 && (target.validity, target.next) == (copying.validity, copying.next) {
            return Ok(());
        }
        let from = if target.validity == copying.validity {
            copying.next.max(1)
        } else {
            1
        };
        let mut uids = connection.uids(&format!("UID {from}:*")).await?;
        // `n:*` names the last mail also when its UID is below n.
        uids.retain(|uid| *uid >= from);
        let sizes: HashSet<u32> = sought.iter().map(|(_, size, _)| *size).collect();
        let mut there = Vec::new();
        for chunk in uids.chunks(500) {
            let mut listed = Vec::new();
            connection.sizes(chunk, &mut listed).await?;
            there.extend(listed.into_iter().filter(|one| sizes.contains(&one.size)).map(|one| one.uid));
        }
        let came = facts(connection, &there).await?;
        let copies: HashSet<(u32, &Bytes)> = came.iter().map(|(_, size, head)| (*size, head)).collect();
        let copied = sought.iter().filter(|(_, size, head)| copies.contains(&(*size, head)));
        self.copied.extend(copied.map(|(uid, _, _)| *uid));
        Ok(())
    }

    /// What is to be copied of these, under this UIDVALIDITY.
    pub(crate) fn not_copied(&mut self, validity: u32, uids: &[u32]) -> Vec<u32> {
        self.under(validity);
        self.done.extend(uids);
        uids.iter().copied().filter(|uid| !self.copied.contains(uid)).collect()
    }

    /// These are about to be copied to a folder that stands so.
    pub(crate) fn begin(&mut self, uids: &[u32], target: &str, stands: Folder) {
        self.copying = Some(Copying {
            uids: uids.to_vec(),
            target: target.to_owned(),
            validity: stands.validity,
            next: stands.next,
        });
    }

    /// They were copied, all of them; or the server refused, and none was (RFC 9051 §6.4.7).
    pub(crate) fn end(&mut self, copied: bool) {
        if let Some(copying) = self.copying.take().filter(|_| copied) {
            self.copied.extend(copying.uids);
        }
    }
}

/// A folder that is there.
fn found(entered: Result<Folder, Trouble>) -> Result<Option<Folder>, Trouble> {
    match entered {
        Ok(folder) => Ok(Some(folder)),
        // It cannot be entered, so that nothing was copied there.
        Err(Trouble::Wrong(_)) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// UID, size and header octets of the mails that are there.
async fn facts(connection: &mut Connection, uids: &[u32]) -> Result<Vec<(u32, u32, Bytes)>, Trouble> {
    let (mut listed, mut heads) = (Vec::new(), Vec::new());
    for chunk in uids.chunks(100) {
        connection.sizes(chunk, &mut listed).await?;
        connection.fetch(&[], chunk, &mut heads).await?;
    }
    let size = |uid: u32| listed.iter().find(|one| one.uid == uid).map(|one| one.size);
    Ok(heads
        .into_iter()
        .filter_map(|(uid, head)| size(uid).map(|size| (uid, size, head)))
        .collect())
}

/// Whether the target must be made first.
pub(crate) const fn wants_creation(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Refused { code: Code::TryCreate, .. })
}

fn number(value: Option<&Value>) -> u32 {
    value
        .and_then(Value::as_u64)
        .and_then(|number| u32::try_from(number).ok())
        .unwrap_or(0)
}

fn numbers(value: Option<&Value>) -> Vec<u32> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.map(|item| number(Some(item))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let mut moving = Moving::default();
        assert_eq!(moving.note(), None);
        assert_eq!(moving.not_copied(7, &[1, 2]), [1, 2]);
        let stands = Folder {
            validity: 9,
            next: 4,
            mails: 3,
        };
        moving.begin(&[1, 2], "Traités", stands);
        let again = Moving::read(moving.note().as_deref());
        assert_eq!((again.validity, again.copying.clone()), (7, moving.copying.clone()));
        assert!(again.is_unclear());
        moving.end(true);
        let again = Moving::read(moving.note().as_deref());
        assert_eq!((again.copied.len(), again.copying), (2, None));
        assert_eq!(Moving::read(Some("?")), Moving::default());
    }

    #[test]
    fn what_was_copied_is_not_copied_again_until_it_is_settled() {
        let mut moving = Moving::default();
        moving.not_copied(7, &[1, 2]);
        moving.begin(&[1, 2], "T", Folder::default());
        moving.end(true);
        assert_eq!(moving.not_copied(7, &[1, 2, 3]), [3]);
        assert!(moving.saved());
        assert_eq!((moving.not_copied(7, &[2]), moving.note()), (vec![2], None));
        // Refused: nothing was copied.
        moving.begin(&[2], "T", Folder::default());
        moving.end(false);
        assert_eq!(moving.not_copied(7, &[2]), [2]);
        // Under another UIDVALIDITY the UIDs mean other mails.
        moving.begin(&[2], "T", Folder::default());
        moving.end(true);
        assert_eq!(moving.not_copied(8, &[2]), [2]);
    }
}
