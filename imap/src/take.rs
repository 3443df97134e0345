//! From a fetched mail to the contact that the core takes in.

use bytes::Bytes;
use voxea_core::Core;
use voxea_core::artefact::StoredBlob;
use voxea_core::base::account::{Account, Channel};
use voxea_core::base::error::Result;
use voxea_core::base::id;
use voxea_core::base::time::Millis;
use voxea_core::contact::{Contact, Dedup, Flag, Joining, NewAcknowledgement, NewAttachment, RAW_INLINE_BYTES, REFERENCE, Raw};
use voxea_rules::moment::Zone;
use voxea_rules::{receipt, reference};

use crate::config::Config;
use crate::mime::{self, Mail};
use crate::planner::Taken;
use crate::{compose, dedup};

/// The media type of a mail.
const RFC822: &str = "message/rfc822";

/// What a mail is, after its bytes were looked at and before anything was stored.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) taken: Taken,
    pub(crate) raw: Bytes,
    pub(crate) mail: Mail,
    /// By which its content is known again.
    pub(crate) content: String,
    flags: Vec<Flag>,
}

/// Looks at a mail's bytes. Takes a moment of one core; never panics.
pub(crate) fn read(taken: Taken, raw: Bytes) -> Read {
    let mut flags = Vec::new();
    let mut understood = true;
    let mail = if taken.quarantined {
        // The process died at this mail; nothing of it is given to any parser.
        flags.push(Flag::Quarantined);
        understood = false;
        Mail::default()
    } else if taken.oversize {
        flags.push(Flag::Oversize);
        understood = false;
        mime::headers(&raw)
    } else {
        mime::read(&raw).unwrap_or_else(|_| {
            flags.push(Flag::Undecodable);
            understood = false;
            mime::headers(&raw)
        })
    };
    if mail.automatic.is_some() {
        flags.push(Flag::Automatic);
    }
    if mail.text_cut {
        flags.push(Flag::Truncated);
    }
    let content = dedup::content(understood.then_some(&mail), &raw);
    Read {
        taken,
        raw,
        mail,
        content,
        flags,
    }
}

/// Where contacts come from and how they are acknowledged.
#[derive(Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) config: &'a Config,
    pub(crate) core: &'a Core,
    pub(crate) account: Account,
    pub(crate) epoch: i64,
    pub(crate) zone: Zone,
    pub(crate) validity: u32,
}

impl Desk<'_> {
    /// The contact. What is large goes to the blob store first.
    ///
    /// # Errors
    /// The blob store's.
    pub(crate) async fn contact(&self, read: &Read, now: Millis) -> Result<Contact> {
        let Read { taken, mail, .. } = read;
        // When the town's server had it; a clock ahead of ours is not believed.
        let received_at = if taken.internal_ms > 0 { taken.internal_ms.min(now) } else { now };
        let place = dedup::place(&self.config.name, &self.config.folder, self.validity, taken.uid);
        let keys = Dedup::Keys(vec![place, read.content.clone()]);
        let from = mail.from.clone().unwrap_or_default();
        let to = mail.to.clone().unwrap_or_else(|| self.config.user.clone());
        let mut contact = Contact::new(self.account.clone(), self.epoch, Channel::Email, keys, from, to, received_at);
        let message_id = mail.message_id.as_deref().map(bracketed);
        contact.native_id.clone_from(&message_id);
        contact.message_ids = message_id.into_iter().collect();
        contact.from_name.clone_from(&mail.from_name);
        contact.subject.clone_from(&mail.subject);
        contact.text.clone_from(&mail.text);
        contact.text_stripped.clone_from(&mail.text_stripped);
        contact.occurred_at = mail.date_ms.map_or(received_at, |date| date.min(received_at));
        contact.flags.clone_from(&read.flags);
        contact.joining = joining(read);
        contact.default_theme.clone_from(&self.config.theme);
        contact.acknowledgement = self.acknowledgement(read, received_at);
        contact.raw = Some(self.raw(&read.raw).await?);
        for attachment in &mail.attachments {
            let blob = self.core.blobs.put(attachment.bytes.clone()).await?;
            contact.attachments.push(NewAttachment {
                name: attachment.name.clone(),
                media_type: attachment.media_type.clone(),
                blob,
            });
        }
        Ok(contact)
    }

    async fn raw(&self, raw: &Bytes) -> Result<Raw> {
        if raw.len() <= RAW_INLINE_BYTES {
            return Ok(Raw::Inline {
                media_type: RFC822,
                bytes: raw.clone(),
            });
        }
        let blob: StoredBlob = self.core.blobs.put(raw.clone()).await?;
        Ok(Raw::Stored { media_type: RFC822, blob })
    }

    /// `None` for automatic mail (RFC 3834), for what was there before us, and where nothing can be sent.
    fn acknowledgement(&self, read: &Read, received_at: Millis) -> Option<NewAcknowledgement> {
        let Read { taken, mail, .. } = read;
        let submission = self.config.submission.as_ref().filter(|_| self.config.acknowledge)?;
        let recipient = mail.from.as_deref().and_then(compose::address)?;
        let ourselves = recipient.eq_ignore_ascii_case(&submission.from_address);
        if mail.automatic.is_some() || taken.import || taken.quarantined || ourselves {
            return None;
        }
        let inputs = receipt::Inputs {
            organisation: &self.core.organisation,
            reference: REFERENCE,
            received_at,
            zone: &self.zone,
            telephone: None,
            postal: None,
        };
        let written = receipt::email(&inputs);
        let mut thread: Vec<String> = mail.references.iter().map(|id| bracketed(id)).collect();
        let parent = mail.message_id.as_deref().map(bracketed);
        thread.extend(parent.clone());
        let domain = submission.from_address.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        Some(NewAcknowledgement {
            account: self.account.clone(),
            channel: Channel::Email,
            from: submission.from_address.clone(),
            recipient: recipient.to_owned(),
            subject: Some(written.subject),
            text: written.body,
            message_id: Some(format!("<{}@{domain}>", id::new())),
            in_reply_to: parent,
            references: (!thread.is_empty()).then(|| thread.join(" ")),
            per_hour: self.config.acknowledge_per_hour,
            answers: None,
        })
    }
}

fn joining(read: &Read) -> Joining {
    let mail = &read.mail;
    let thread = mail.in_reply_to.iter().chain(mail.references.iter().rev());
    let mut message_ids: Vec<String> = Vec::new();
    for id in thread.map(|id| bracketed(id)) {
        if !message_ids.contains(&id) {
            message_ids.push(id);
        }
    }
    let reference = mail.subject.as_deref().and_then(reference::find).map(|found| found.to_string());
    // Without a Message-ID equal bytes may be two mails to two boxes, and one request for both is still right.
    Joining::Thread {
        message_ids,
        reference,
        twin: Some(read.content.clone()),
    }
}

/// The form in which the core keeps Message-IDs.
pub(crate) fn bracketed(id: &str) -> String {
    format!("<{id}>")
}

/// Who may be committed together: a mail that answers another of the batch, or repeats it, comes in a later wave, so
/// that it finds its request. Waves are in order; the mails of a wave are too.
pub(crate) fn waves(mails: Vec<Read>) -> Vec<Vec<Read>> {
    const WAVES: usize = 4;
    let mut wave_of: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    let mut waves: Vec<Vec<Read>> = Vec::new();
    for read in mails {
        let mentioned = read.mail.in_reply_to.iter().chain(&read.mail.references);
        let after = mentioned.filter_map(|id| wave_of.get(id)).chain(wave_of.get(&read.content)).max();
        let wave = after.map_or(0, |wave| (wave + 1).min(WAVES - 1));
        if let Some(id) = &read.mail.message_id {
            wave_of.insert(id.clone(), wave);
        }
        wave_of.insert(read.content.clone(), wave);
        if waves.len() <= wave {
            waves.resize_with(wave + 1, Vec::new);
        }
        if let Some(wave) = waves.get_mut(wave) {
            wave.push(read);
        }
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(uid: u32) -> Taken {
        Taken {
            uid,
            internal_ms: 0,
            oversize: false,
            quarantined: false,
            import: false,
        }
    }

    fn of(uid: u32, raw: &str) -> Read {
        read(taken(uid), Bytes::from(raw.to_owned()))
    }

    #[test]
    fn an_answer_waits_for_its_question() {
        let waves = waves(vec![
            of(1, "Message-ID: <a@x>\n\nun"),
            of(2, "Message-ID: <b@x>\nIn-Reply-To: <a@x>\n\ndeux"),
            of(3, "Message-ID: <c@x>\n\ntrois"),
            of(4, "Message-ID: <a@x>\n\nun"),
            of(5, "Message-ID: <d@x>\nReferences: <a@x> <b@x>\n\ncinq"),
        ]);
        let uids: Vec<Vec<u32>> = waves.iter().map(|wave| wave.iter().map(|read| read.taken.uid).collect()).collect();
        assert_eq!(uids, [vec![1, 3], vec![2, 4], vec![5]]);
    }

    #[test]
    fn what_cannot_be_read_says_so() {
        assert_eq!(of(1, &"Content-Type: message/rfc822\n\n".repeat(70)).flags, [Flag::Undecodable]);
        assert_eq!(
            read(
                Taken {
                    quarantined: true,
                    ..taken(1)
                },
                Bytes::from_static(b"From: a@b\n\nx")
            )
            .mail,
            Mail::default()
        );
        let large = read(
            Taken {
                oversize: true,
                ..taken(1)
            },
            Bytes::from_static(b"From: a@b\nSubject: gros\n\n"),
        );
        assert_eq!((large.flags, large.mail.subject.as_deref()), (vec![Flag::Oversize], Some("gros")));
    }
}
