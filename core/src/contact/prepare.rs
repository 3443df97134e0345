//! Making a contact fit for the store before it waits for the committer: what a citizen sent must not be able to make a
//! statement fail.

use bytes::Bytes;
use voxea_rules::visible::straighten;

use super::contact::{Contact, Dedup, Flag, IntakeError, Joining, RAW_INLINE_BYTES, Raw};
use super::part::Part;
use crate::artefact::{Blobs, StoredBlob};
use crate::base::actor::Actor;
use crate::base::mutant;
use crate::citizen::Address;
use crate::vault::{Index, Vault};

/// An address, a name or an id is cut beyond this many bytes; PostgreSQL's index rows end at 2,700.
const NAME_BYTES: usize = 1000;
/// A subject is cut beyond this many bytes (an unfolded header line, RFC 5322 §2.1.1).
const SUBJECT_BYTES: usize = 4000;
/// A text is cut beyond this many bytes; the artefact has it all.
const TEXT_BYTES: usize = 4 * 1024 * 1024;
/// Ids of one thread that are looked at.
const THREAD_IDS: usize = 50;
/// Reply tokens that are looked at: a mail has one, and its quotes may have others.
const PROOFS: usize = 8;
/// Keys by which a mail finds its copy in another mailbox.
const TWIN_KEYS: usize = 4;

/// What is kept of a call's header fields.
const SIGNALLING_BYTES: usize = 16 * 1_024;
/// Keys of one contact.
const KEYS: usize = 16;
/// The longest PDU of a part: `message_payload` has 64 KiB.
const PART_BYTES: usize = 70_000;

/// A contact that the store will take.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) contact: Contact,
    /// `kind/name`.
    pub(super) account: String,
    pub(super) actor: String,
    /// By what its sender is found again ([`Address::match_key`]); `None` for nobody's.
    pub(super) sender: Option<String>,
    /// Blind indexes of the keys by which it is known again.
    pub(super) keys: Vec<String>,
    pub(super) raw: Option<PreparedRaw>,
}

/// An artefact and its hash.
#[derive(Debug, Clone)]
pub(super) struct PreparedRaw {
    pub(super) media_type: String,
    pub(super) blob: StoredBlob,
    /// `None` when the blob store has it.
    pub(super) bytes: Option<Bytes>,
}

/// A part that the store will take.
#[derive(Debug, Clone)]
pub(super) struct PreparedPart {
    pub(super) part: Part,
    pub(super) account: String,
    /// What is common to the parts, hashed with their number, as a blind index.
    pub(super) whole: String,
}

/// The blind index of a key by which a contact is known again.
pub(super) fn dedup_key(text: &str, vault: &Vault) -> String {
    vault.index(Index::Dedup, &key(text.to_owned()))
}

/// From here on whatever is only compared is a blind index: keys, fingerprints, Message-IDs.
pub(super) fn contact(mut contact: Contact, vault: &Vault) -> Result<Prepared, IntakeError> {
    let raw = match contact.raw.take() {
        None => None,
        Some(Raw::Stored { media_type, blob }) => Some(PreparedRaw {
            media_type: media_type.to_owned(),
            blob,
            bytes: None,
        }),
        Some(Raw::Inline { bytes, .. }) if bytes.len() > RAW_INLINE_BYTES => {
            return Err(IntakeError::Invalid(format!(
                "an artefact of {} bytes belongs in the blob store",
                bytes.len()
            )));
        }
        Some(Raw::Inline { media_type, bytes }) => Some(PreparedRaw::inline(media_type, bytes)),
    };
    clean(&mut contact);
    blind(&mut contact, vault);
    let keys = match &contact.dedup {
        Dedup::Key(key) => vec![key.clone()],
        Dedup::Keys(keys) => keys.clone(),
        Dedup::Never | Dedup::Redelivery(_) => Vec::new(),
    };
    let keys = keys.into_iter().take(KEYS);
    let mut keys: Vec<String> = keys.map(|key| dedup_key(&key, vault)).collect();
    keys.sort_unstable();
    keys.dedup();
    if mutant::active("no_dedup") {
        keys.clear();
    }
    let account = contact.account.key();
    let actor = contact
        .actor
        .clone()
        .unwrap_or_else(|| Actor::Channel(contact.account.clone()))
        .to_string();
    Ok(Prepared {
        sender: sender(&contact, vault),
        contact,
        account,
        actor,
        keys,
        raw,
    })
}

pub(super) fn part(mut part: Part, vault: &Vault) -> Result<PreparedPart, IntakeError> {
    if part.number == 0 || part.number > part.total {
        return Err(IntakeError::Invalid(format!("there is no part {} of {}", part.number, part.total)));
    }
    if part.raw.len() > PART_BYTES || part.body.len() > PART_BYTES {
        return Err(IntakeError::Invalid(format!("a part has at most {PART_BYTES} bytes")));
    }
    name(&mut part.from);
    name(&mut part.to);
    let account = part.account.key();
    let whole = vault.index(Index::LongText, &Blobs::hash(format!("{}\n{}", part.total, part.whole).as_bytes()));
    part.redelivery.fingerprint = vault.index(Index::Delivery, &part.redelivery.fingerprint);
    Ok(PreparedPart { part, account, whole })
}

impl PreparedRaw {
    pub(super) fn inline(media_type: &str, bytes: Bytes) -> Self {
        let blob = StoredBlob {
            sha256: Blobs::hash(&bytes),
            size: bytes.len() as u64,
        };
        Self {
            media_type: media_type.to_owned(),
            blob,
            bytes: Some(bytes),
        }
    }
}

impl Prepared {
    /// The same without anything that was read out of the artefact: the last resort, when the store refuses it.
    pub(super) fn bare(&self) -> Self {
        let mut bare = self.clone();
        let contact = &mut bare.contact;
        contact.from_name = None;
        contact.subject = None;
        contact.text = None;
        contact.text_stripped = None;
        contact.authenticity = None;
        contact.fields = None;
        contact.native_id = None;
        contact.message_ids = Vec::new();
        contact.joining = Joining::New;
        contact.acknowledgement = None;
        contact.command = None;
        contact.flags.push(Flag::Quarantined);
        bare
    }
}

/// By what the sender of a contact is found again.
pub(super) fn sender(contact: &Contact, vault: &Vault) -> Option<String> {
    Address::of_sender(contact.channel, &contact.from).map(|address| address.match_key(vault))
}

fn clean(contact: &mut Contact) {
    name(&mut contact.from);
    name(&mut contact.to);
    // The artefact keeps what was taken out; whoever reads the name must not be led astray by it.
    contact.from_name.iter_mut().for_each(straighten);
    optional(&mut contact.from_name, NAME_BYTES);
    optional(&mut contact.native_id, NAME_BYTES);
    optional(&mut contact.theme, NAME_BYTES);
    contact.authenticity = contact.authenticity.take().filter(|facts| facts.len() <= SIGNALLING_BYTES);
    optional(&mut contact.subject, SUBJECT_BYTES);
    let long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > TEXT_BYTES);
    if (long(&contact.text) || long(&contact.text_stripped)) && !contact.flags.contains(&Flag::Truncated) {
        contact.flags.push(Flag::Truncated);
    }
    optional(&mut contact.text, TEXT_BYTES);
    optional(&mut contact.text_stripped, TEXT_BYTES);
    ids(&mut contact.message_ids);
    match &mut contact.joining {
        Joining::New | Joining::Conversation { .. } => (),
        Joining::Document { references } => references.truncate(THREAD_IDS),
        Joining::Thread {
            proofs,
            message_ids,
            twins,
            ..
        } => {
            proofs.truncate(PROOFS);
            ids(message_ids);
            for twins in [&mut twins.kept, &mut twins.sought] {
                twins.truncate(TWIN_KEYS);
                twins.iter_mut().for_each(|twin| *twin = key(std::mem::take(twin)));
            }
        }
    }
    for attachment in &mut contact.attachments {
        straighten(&mut attachment.name);
        name(&mut attachment.name);
        name(&mut attachment.media_type);
        optional(&mut attachment.content_id, NAME_BYTES);
    }
    if let Some(call) = &mut contact.call {
        name(&mut call.dialled);
        call.diverted_from.truncate(THREAD_IDS);
        call.diverted_from.iter_mut().for_each(name);
        call.signalling = call.signalling.take().filter(|facts| facts.to_string().len() <= SIGNALLING_BYTES);
    }
    if let Some(acknowledgement) = &mut contact.acknowledgement {
        name(&mut acknowledgement.recipient);
        optional(&mut acknowledgement.in_reply_to, NAME_BYTES);
        optional(&mut acknowledgement.references, SUBJECT_BYTES);
    }
}

fn blind(contact: &mut Contact, vault: &Vault) {
    let ids = |ids: &mut Vec<String>| ids.iter_mut().for_each(|id| *id = vault.index(Index::MessageId, id));
    ids(&mut contact.message_ids);
    if let Joining::Thread { message_ids, twins, .. } = &mut contact.joining {
        ids(message_ids);
        for twin in twins.kept.iter_mut().chain(&mut twins.sought) {
            *twin = vault.index(Index::Dedup, twin);
        }
    }
    if let Dedup::Redelivery(text) = &mut contact.dedup {
        text.fingerprint = vault.index(Index::Delivery, &text.fingerprint);
    }
}

fn ids(ids: &mut Vec<String>) {
    ids.truncate(THREAD_IDS);
    ids.iter_mut().for_each(name);
    ids.retain(|id| !id.is_empty());
}

fn optional(text: &mut Option<String>, bytes: usize) {
    if let Some(text) = text {
        cut(text, bytes);
    }
}

fn name(text: &mut String) {
    cut(text, NAME_BYTES);
}

/// PostgreSQL refuses NUL in a text, and one contact's NUL would take its batch with it.
fn cut(text: &mut String, bytes: usize) {
    text.truncate(text.floor_char_boundary(bytes));
    if text.contains('\0') {
        text.retain(|char| char != '\0');
    }
}

/// A key that may be long or odd is known by its hash instead.
fn key(key: String) -> String {
    if key.len() > NAME_BYTES || key.contains('\0') {
        format!("hash:{}", Blobs::hash(key.as_bytes()))
    } else {
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::account::{Account, Channel, Kind};

    fn plain() -> Contact {
        let account = Account::new(Kind::Mailbox, "mairie");
        Contact::new(
            account,
            1,
            Channel::Email,
            Dedup::Key("k".to_owned()),
            "a@example.fr".to_owned(),
            "b@example.fr".to_owned(),
            0,
        )
    }

    #[test]
    fn nothing_that_a_citizen_sent_is_refused() {
        let mut odd = plain();
        odd.from = "é".repeat(5000);
        odd.from_name = Some("Claire\u{202e}tnegA".to_owned());
        odd.text = Some("a\0b".to_owned());
        odd.dedup = Dedup::Keys(vec!["x".repeat(5000), "y\0".to_owned(), "z".to_owned(), "z".to_owned()]);
        let prepared = contact(odd, &Vault::off()).unwrap();
        assert!(prepared.contact.from.len() <= NAME_BYTES);
        assert_eq!(prepared.contact.text.as_deref(), Some("ab"));
        assert_eq!(prepared.contact.from_name.as_deref(), Some("ClairetnegA"));
        assert_eq!(prepared.keys.len(), 3);
        assert!(prepared.keys.iter().all(|key| key.len() < 100 && !key.contains('\0')));
    }

    #[test]
    fn a_large_artefact_needs_the_blob_store() {
        let mut large = plain();
        large.raw = Some(Raw::Inline {
            media_type: "message/rfc822",
            bytes: Bytes::from(vec![0; RAW_INLINE_BYTES + 1]),
        });
        assert!(matches!(contact(large, &Vault::off()), Err(IntakeError::Invalid(_))));
    }
}
