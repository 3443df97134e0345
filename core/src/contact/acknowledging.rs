//! Which acknowledgements a batch may send, and the rows of those it does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::acknowledgement::{NewAcknowledgement, REFERENCE};
use super::rows::Sets;
use crate::artefact::Blobs;

use crate::base::error::Result;
use crate::base::id;
use crate::base::time::Millis;
use crate::feed::{EventKind, NewEvent};
use crate::store::on;
use crate::store::{Column, Row, Rows, Script, SetSql, Tx, row};
use crate::vault::{Index, Place, Vault};

/// What one sender is sent at most within an hour, whatever comes from there (RFC 3834 §2).
const PER_SENDER: i64 = 6;
const HOUR: Millis = 3600 * 1000;
/// How long a command stays answered. Not a calendar day: who asks before midnight and again behind it asked twice.
const DAY: Millis = 24 * HOUR;

static READ: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("account", Column::Text), ("scope", Column::Text)]).statement(
        "SELECT b.account, b.scope, b.window_start, b.used FROM {rows} AS r JOIN breaker b ON b.account = r.account AND b.scope = r.scope",
    )
});
static WRITE: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("account", Column::Text),
        ("scope", Column::Text),
        ("window_start", Column::Integer),
        ("used", Column::Integer),
    ])
    .statement(
        "INSERT INTO breaker ({columns}) SELECT {values} FROM {rows} AS r WHERE true \
         ON CONFLICT (account, scope) DO UPDATE SET window_start = excluded.window_start, used = excluded.used",
    )
});

/// What a batch may still acknowledge.
#[derive(Debug)]
pub(super) struct Breakers<'v> {
    vault: &'v Vault,
    windows: BTreeMap<(String, String), Window>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    start: Millis,
    used: i64,
    changed: bool,
}

impl<'v> Breakers<'v> {
    const fn new(vault: &'v Vault) -> Self {
        Self {
            vault,
            windows: BTreeMap::new(),
        }
    }

    /// Reads the breakers of these acknowledgements.
    pub(super) async fn read(tx: &mut Tx, acknowledgements: &[&NewAcknowledgement], vault: &'v Vault) -> Result<Self> {
        let mut breakers = Self::new(vault);
        let scopes: BTreeSet<(String, String)> = acknowledgements
            .iter()
            .flat_map(|one| limits(vault, one).map(|limit| (one.account.key(), limit.scope)))
            .collect();
        if scopes.is_empty() {
            return Ok(breakers);
        }
        let rows: Vec<Row> = scopes
            .into_iter()
            .map(|(account, scope)| row!({"account": account, "scope": scope}))
            .collect();
        let (sql, rows) = (READ.for_tx(tx), Row::array(&rows));
        let stored: Vec<(String, String, Millis, i64)> = on!(Tx, tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
        for (account, scope, start, used) in stored {
            breakers.windows.insert(
                (account, scope),
                Window {
                    start,
                    used,
                    changed: false,
                },
            );
        }
        Ok(breakers)
    }

    /// Whether it may go out at `now`, and counts it if so.
    pub(super) fn allow(&mut self, acknowledgement: &NewAcknowledgement, now: Millis) -> Allowed {
        let account = acknowledgement.account.key();
        let limits: Vec<Limit> = limits(self.vault, acknowledgement).collect();
        // What was answered today is not held back: nobody need be told.
        for limit in limits.iter().rev() {
            if self.used(&account, limit, now) >= limit.most {
                return match limit.length {
                    DAY => Allowed::Answered,
                    _ if limit.scope.is_empty() => Allowed::Held("acknowledgement_held_account"),
                    _ => Allowed::Held("acknowledgement_held_sender"),
                };
            }
        }
        for limit in limits {
            let window = self.windows.entry((account.clone(), limit.scope)).or_default();
            window.used += 1;
            window.changed = true;
        }
        Allowed::Yes
    }

    /// What is used of a window; one that is over begins anew.
    fn used(&mut self, account: &str, limit: &Limit, now: Millis) -> i64 {
        let window = self.windows.entry((account.to_owned(), limit.scope.clone())).or_default();
        // A clock that was set back must not hold the window open for days.
        if !(0..limit.length).contains(&(now - window.start)) {
            *window = Window {
                start: now,
                used: 0,
                changed: true,
            };
        }
        window.used
    }

    /// Adds what was used.
    pub(super) fn write(&self, script: &mut Script) {
        let changed = self.windows.iter().filter(|(_, window)| window.changed);
        let rows = changed.map(
            |((account, scope), window)| row!({"account": account, "scope": scope, "window_start": window.start, "used": window.used}),
        );
        script.add(&WRITE, rows.collect::<Vec<_>>());
    }
}

/// Whether something may be sent by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// It goes out.
    Yes,
    /// A limit of the hour holds it back; its name for metrics.
    Held(&'static str),
    /// The command has its answer already, of these 24 hours.
    Answered,
}

/// So many of something within a time.
#[derive(Debug)]
struct Limit {
    /// Empty for the account, else of a sender.
    scope: String,
    length: Millis,
    most: i64,
}

/// What limits a message, the widest first.
fn limits(vault: &Vault, new: &NewAcknowledgement) -> impl Iterator<Item = Limit> {
    let sender = sender(vault, new);
    let limit = |scope, length, most| Limit { scope, length, most };
    let day = new.answers.map(|command| limit(format!("{}:{sender}", command.as_str()), DAY, 1));
    let hour = [limit(String::new(), HOUR, i64::from(new.per_hour)), limit(sender, HOUR, PER_SENDER)];
    hour.into_iter().chain(day)
}

/// A sender, by the hash of the address, keyed where there is a key: the table is about counting, not about people.
fn sender(vault: &Vault, acknowledgement: &NewAcknowledgement) -> String {
    vault.index(Index::Sender, &Blobs::hash(acknowledgement.recipient.to_lowercase().as_bytes()))
}

/// The rows of one acknowledgement, added to the batch's sets, and its event.
pub(super) struct Queued<'a> {
    pub(super) acknowledgement: &'a NewAcknowledgement,
    pub(super) request_id: &'a str,
    pub(super) reference: &'a str,
    /// Of a mail: its Message-ID.
    pub(super) message_id: Option<&'a str>,
    /// When it is written: the evidence of an acknowledgement is not as old as what it acknowledges.
    pub(super) at: Millis,
    pub(super) position: i64,
}

impl Queued<'_> {
    /// # Errors
    /// The vault's.
    pub(super) fn add_to(&self, sets: &mut Sets<'_>) -> Result<NewEvent> {
        let (new, vault) = (self.acknowledgement, sets.vault);
        let (reply_id, interaction_id) = (id::new(), id::new());
        let (account, channel) = (new.account.key(), new.channel.as_str());
        let say = |text: &str| text.replace(REFERENCE, self.reference);
        let (subject, text) = (new.subject.as_deref().map(say), say(&new.text));
        sets.interactions.push(row!({
            "id": interaction_id, "position": self.position, "channel": channel, "account": account, "direction": "out",
            "native_id": vault.seal_some(Place::InteractionNativeId, &interaction_id, self.message_id)?,
            "from_address": vault.seal(Place::InteractionFromAddress, &interaction_id, &new.from)?,
            "to_address": vault.seal(Place::InteractionToAddress, &interaction_id, &new.recipient)?,
            "subject": vault.seal_some(Place::InteractionSubject, &interaction_id, subject.as_deref())?,
            "text": vault.seal(Place::InteractionText, &interaction_id, &text)?,
            "occurred_at": self.at, "received_at": self.at, "flags": "[]", "deliveries": 0, "reply_id": reply_id,
        }));
        sets.links
            .push(row!({"request_id": self.request_id, "interaction_id": interaction_id, "position": self.position}));
        sets.replies.push(row!({
            "id": reply_id, "position": self.position, "request_id": self.request_id, "interaction_id": interaction_id,
            "kind": "acknowledgement", "channel": channel, "account": account,
            "recipient": vault.seal(Place::ReplyRecipient, &reply_id, &new.recipient)?, "recipient_key": vault.address(&new.recipient),
            "subject": vault.seal_some(Place::ReplySubject, &reply_id, subject.as_deref())?,
            "text": vault.seal(Place::ReplyText, &reply_id, &text)?, "message_id": self.message_id,
            "in_reply_to": vault.seal_some(Place::ReplyInReplyTo, &reply_id, new.in_reply_to.as_deref())?,
            "mail_references": vault.seal_some(Place::ReplyReferences, &reply_id, new.references.as_deref())?, "state": "queued", "created_at": self.at, "due_at": self.at,
        }));
        Ok(NewEvent::of_request(EventKind::ReplyQueued, self.request_id)
            .with("reply_id", reply_id)
            .with("interaction_id", interaction_id)
            .with("channel", channel)
            .with("state", "queued"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::account::{Account, Channel, Kind};
    use voxea_rules::command::Command;

    fn to(recipient: &str, per_hour: u32) -> NewAcknowledgement {
        NewAcknowledgement {
            account: Account::new(Kind::Mailbox, "mairie"),
            channel: Channel::Email,
            from: "mairie@example.fr".to_owned(),
            recipient: recipient.to_owned(),
            subject: None,
            text: String::new(),
            message_id: None,
            in_reply_to: None,
            references: None,
            per_hour,
            answers: None,
        }
    }

    #[test]
    fn a_sender_gets_six_an_hour_and_the_account_its_own_limit() {
        let vault = Vault::off();
        let mut breakers = Breakers::new(&vault);
        let mut allow = |new: &NewAcknowledgement, at| breakers.allow(new, at) == Allowed::Yes;
        let allowed = (0..10).filter(|_| allow(&to("A@example.fr", 9), 1000)).count();
        assert_eq!(allowed, 6);
        assert!(!allow(&to("a@EXAMPLE.fr", 9), 1000), "case does not make another sender");
        let others = (0..10).filter(|n| allow(&to(&format!("{n}@example.fr"), 9), 1000)).count();
        assert_eq!(others, 3);
        assert!(allow(&to("a@example.fr", 9), 1000 + HOUR));
    }

    #[test]
    fn a_command_is_answered_once_in_24_hours_and_each_for_itself() {
        const NOW: Millis = 100 * DAY;
        let vault = Vault::off();
        let mut breakers = Breakers::new(&vault);
        let answer = |command| NewAcknowledgement {
            answers: Some(command),
            ..to("+33612345678", 100)
        };
        let (stop, help) = (answer(Command::Stop), answer(Command::Aide));
        assert_eq!(breakers.allow(&stop, NOW), Allowed::Yes);
        assert_eq!(breakers.allow(&stop, NOW), Allowed::Answered);
        assert_eq!(breakers.allow(&help, NOW), Allowed::Yes);
        assert_eq!(breakers.allow(&stop, NOW + DAY - 1), Allowed::Answered);
        assert_eq!(breakers.allow(&stop, NOW + DAY), Allowed::Yes);
        let another = NewAcknowledgement {
            recipient: "+33698765432".to_owned(),
            ..stop
        };
        assert_eq!(breakers.allow(&another, NOW), Allowed::Yes);
        // What was not sent counts as no answer.
        let none = NewAcknowledgement { per_hour: 0, ..help };
        assert_eq!(breakers.allow(&none, NOW + 2 * DAY), Allowed::Held("acknowledgement_held_account"));
        assert_eq!(
            breakers.allow(&NewAcknowledgement { per_hour: 1, ..none }, NOW + 2 * DAY),
            Allowed::Yes
        );
    }
}
