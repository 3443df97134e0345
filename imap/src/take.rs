//! From a fetched mail to the contact that the core takes in.

use bytes::Bytes;
use serde_json::json;
use voxea_core::Core;
use voxea_core::artefact::StoredBlob;
use voxea_core::base::account::{Account, Channel};
use voxea_core::base::time::Millis;
use voxea_core::base::{id, mutant};
use voxea_core::contact::{Contact, Dedup, Flag, Joining, NewAcknowledgement, NewAttachment, RAW_INLINE_BYTES, REFERENCE, Raw, Twins};
use voxea_rules::moment::Zone;
use voxea_rules::{receipt, reference};

use crate::authenticity::{self, Authenticity, Outcome};
use crate::config::Config;
use crate::dedup::Copies;
use crate::mime::{self, Mail};
use crate::planner::Taken;
use crate::trust::Trust;
use crate::{automatic, compose, dedup, scan, token};

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
    /// By which its copies in other mailboxes are found.
    copies: Copies,
    /// What the trusted server found out, as the core keeps it.
    authenticity: Option<String>,
    flags: Vec<Flag>,
}

impl Read {
    /// What is kept of it as files: itself when it is large, then its attachments in their order.
    pub(crate) fn files(&self) -> impl Iterator<Item = Bytes> + '_ {
        let itself = self.is_large().then(|| self.raw.clone());
        itself.into_iter().chain(self.mail.attachments.iter().map(|one| one.bytes.clone()))
    }

    /// Too large to be kept in the database.
    fn is_large(&self) -> bool {
        self.raw.len() > RAW_INLINE_BYTES
    }
}

/// What is known before a mail is looked at.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    zone: Zone,
    trust: Trust,
}

impl Reader {
    /// Looks at a mail's bytes. Takes a moment of one core; never panics.
    pub(crate) fn read(&self, taken: Taken, raw: Bytes) -> Read {
        let mut flags = Vec::new();
        if mutant::active("no_mail_bounds") {
            drop(mail_parser::MessageParser::default().parse(&raw[..]));
        }
        let mut mail = if taken.quarantined {
            // The process died at this mail; nothing of it is given to any parser.
            flags.push(Flag::Quarantined);
            Mail::default()
        } else if taken.oversize {
            flags.push(Flag::Oversize);
            mime::headers(&raw)
        } else {
            mime::read(&raw).unwrap_or_else(|_| {
                flags.push(Flag::Undecodable);
                mime::headers(&raw)
            })
        };
        if mail.from.as_deref().is_some_and(|from| self.trust.is_form(from)) {
            mail = filled_in(mail, &self.trust);
        }
        let spam = |(field, value): &(String, String)| authenticity::spam(&raw, field, value);
        let marks = [
            (mail.automatic.is_some(), Flag::Automatic),
            (mail.list, Flag::List),
            (self.trust.spam.as_ref().is_some_and(spam), Flag::Spam),
            (mail.signed, Flag::Signed),
            (mail.encrypted, Flag::Encrypted),
            (mail.invitation.is_some(), Flag::Invitation),
            (mail.tnef, Flag::Tnef),
            (mail.text_cut, Flag::Truncated),
        ];
        flags.extend(marks.into_iter().filter_map(|(holds, flag)| holds.then_some(flag)));
        if let Some(invitation) = &mail.invitation {
            let told = invitation.described(&self.zone);
            for text in [&mut mail.text, &mut mail.text_stripped] {
                *text = Some(match text.take() {
                    Some(text) => format!("{text}\n\n{told}"),
                    None => told.clone(),
                });
            }
        }
        let trusted = self.trust.authserv_id.as_deref();
        let content = dedup::content(&raw, !taken.oversize);
        Read {
            copies: dedup::copies(&raw, !taken.oversize, &content),
            content,
            authenticity: trusted.and_then(|name| authenticity::trusted(&raw, name)).map(|found| json(&found)),
            taken,
            raw,
            mail,
            flags,
        }
    }
}

/// A mail that a form sent is the mail of whoever filled it in, if they gave an address at which a person can be reached.
fn filled_in(mail: Mail, trust: &Trust) -> Mail {
    let reached = |address: &str| compose::recipient(address).is_some() && !automatic::nobody(address) && !trust.is_form(address);
    let Some(person) = mail.reply_to.clone().filter(|person| reached(&person.address)) else {
        return mail;
    };
    Mail {
        from: Some(person.address),
        from_name: person.name.or(mail.from_name),
        automatic: mail.automatic.filter(|reason| !automatic::spoken_for(reason)),
        ..mail
    }
}

fn json(found: &Authenticity) -> String {
    let one = |outcome: &Outcome| json!({"result": outcome.result, "domain": outcome.domain});
    json!({
        "by": found.by,
        "spf": found.spf.as_ref().map(one),
        "dkim": found.dkim.iter().map(one).collect::<Vec<_>>(),
        "dmarc": found.dmarc.as_ref().map(one),
    })
    .to_string()
}

/// Where contacts come from and how they are acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Desk<'a> {
    pub(crate) config: &'a Config,
    pub(crate) core: &'a Core,
    pub(crate) account: Account,
    pub(crate) epoch: i64,
    pub(crate) zone: Zone,
    /// The folder that is followed.
    pub(crate) folder: &'a str,
    pub(crate) validity: u32,
}

impl Desk<'_> {
    /// What reads the mails of this mailbox.
    pub(crate) fn reader(&self) -> Reader {
        Reader {
            zone: self.zone.clone(),
            trust: self.config.trust.clone(),
        }
    }

    /// The contact of a mail, whose [`Read::files`] are stored as `blobs`.
    pub(crate) async fn contact(&self, read: &Read, blobs: Vec<StoredBlob>, now: Millis) -> Contact {
        let Read { taken, mail, .. } = read;
        // When the town's server had it; a clock ahead of ours is not believed.
        let received_at = if taken.internal_ms > 0 { taken.internal_ms.min(now) } else { now };
        let place = dedup::place(&self.config.name, self.folder, self.validity, taken.uid);
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
        contact.authenticity.clone_from(&read.authenticity);
        contact.joining = joining(read);
        contact.default_theme.clone_from(&self.config.theme);
        contact.acknowledgement = self.acknowledgement(read, received_at);
        let mut blobs = blobs.into_iter();
        contact.raw = if read.is_large() {
            blobs.next().map(|blob| Raw::Stored { media_type: RFC822, blob })
        } else {
            Some(Raw::Inline {
                media_type: RFC822,
                bytes: read.raw.clone(),
            })
        };
        for (attachment, blob) in mail.attachments.iter().zip(blobs) {
            contact.attachments.push(NewAttachment {
                name: attachment.name.clone(),
                media_type: attachment.media_type.clone(),
                blob,
                inline: attachment.inline,
                content_id: attachment.content_id.clone(),
            });
        }
        if let Some(paper) = &self.config.paper {
            scan::mail::adapt(&mut contact, mail, paper, &self.core.counters).await;
        }
        contact
    }

    /// `None` for automatic mail (RFC 3834) and spam, for what was there before us, and where nothing can be sent.
    fn acknowledgement(&self, read: &Read, received_at: Millis) -> Option<NewAcknowledgement> {
        let Read { taken, mail, .. } = read;
        let submission = self.config.submission.as_ref().filter(|_| self.config.acknowledge)?;
        let recipient = mail.from.as_deref().and_then(compose::recipient)?;
        let ourselves = recipient.eq_ignore_ascii_case(&submission.from_address);
        if mail.automatic.is_some() || read.flags.contains(&Flag::Spam) || taken.import || taken.quarantined || ourselves {
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
    Joining::Thread {
        proofs: token::all(&read.raw, &message_ids),
        message_ids,
        reference,
        twins: Twins {
            kept: read.copies.kept.clone(),
            sought: read.copies.sought.clone(),
        },
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

    fn reader() -> Reader {
        Reader {
            zone: Zone::named("Europe/Paris").unwrap(),
            trust: Trust::default(),
        }
    }

    fn of(uid: u32, raw: &str) -> Read {
        reader().read(taken(uid), Bytes::from(raw.to_owned()))
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
            reader()
                .read(
                    Taken {
                        quarantined: true,
                        ..taken(1)
                    },
                    Bytes::from_static(b"From: a@b\n\nx")
                )
                .mail,
            Mail::default()
        );
        let large = reader().read(
            Taken {
                oversize: true,
                ..taken(1)
            },
            Bytes::from_static(b"From: a@b\nSubject: gros\n\n"),
        );
        assert_eq!((large.flags, large.mail.subject.as_deref()), (vec![Flag::Oversize], Some("gros")));
    }

    #[test]
    fn a_form_speaks_for_whoever_filled_it_in() {
        let town = Reader {
            trust: Trust {
                forms: vec!["noreply@ville.example".to_owned()],
                ..Trust::default()
            },
            ..reader()
        };
        let sender = |raw: &'static str| {
            let read = town.read(taken(1), Bytes::from_static(raw.as_bytes()));
            (read.mail.from.unwrap_or_default(), read.mail.from_name, read.flags)
        };
        let form = "From: Site <NoReply@ville.example>\nReply-To: Zo\u{e9} <zoe@example.org>\nAuto-Submitted: auto-generated\n\nx";
        assert_eq!(sender(form), ("zoe@example.org".to_owned(), Some("Zo\u{e9}".to_owned()), vec![]));
        // Nobody gave an address, it is no form of ours, or it is our own mail: all as they say.
        for (raw, from) in [
            ("From: noreply@ville.example\n\nx", "noreply@ville.example"),
            ("From: noreply@ville.example\nReply-To: aucun\n\nx", "noreply@ville.example"),
            (
                "From: noreply@ville.example\nReply-To: zoe b@example.org\n\nx",
                "noreply@ville.example",
            ),
            (
                "From: noreply@ville.example\nReply-To: mailer-daemon@example.org\n\nx",
                "noreply@ville.example",
            ),
            (
                "From: noreply@other.example\nReply-To: zoe@example.org\n\nx",
                "noreply@other.example",
            ),
            (
                "From: noreply@ville.example\nReply-To: zoe@example.org\nX-Voxea-Loop: mairie\n\nx",
                "zoe@example.org",
            ),
        ] {
            let (found, _, flags) = sender(raw);
            assert_eq!((found.as_str(), flags), (from, vec![Flag::Automatic]), "{raw}");
        }
    }

    #[test]
    fn what_a_mail_is_stands_in_its_flags() {
        let invited = "From: a@b\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nVenez !\n--b\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\n\nBEGIN:VCALENDAR\nMETHOD:REQUEST\nBEGIN:VEVENT\nSUMMARY:Conseil\nDTSTART:20261124T080000Z\nEND:VEVENT\nEND:VCALENDAR\n--b--\n";
        let read = of(1, invited);
        assert_eq!(read.flags, [Flag::Invitation]);
        let told = "Venez !\n\nInvitation : Conseil\nQuand : mardi 24 novembre 2026 à 9 h 00";
        assert_eq!(
            (read.mail.text.as_deref(), read.mail.text_stripped.as_deref()),
            (Some(told), Some(told))
        );

        let trusting = Reader {
            trust: Trust {
                authserv_id: Some("mx.example.fr".to_owned()),
                forms: Vec::new(),
                spam: Some(("X-Spam-Flag".to_owned(), "YES".to_owned())),
            },
            ..reader()
        };
        let raw = "Authentication-Results: mx.example.fr; spf=pass smtp.mailfrom=a@b.example\nX-Spam-Flag: YES\nList-Id: <x.example>\n\nx";
        let read = trusting.read(taken(1), Bytes::from_static(raw.as_bytes()));
        assert_eq!(read.flags, [Flag::Automatic, Flag::List, Flag::Spam]);
        assert_eq!(
            read.authenticity.as_deref(),
            Some("{\"by\":\"mx.example.fr\",\"dkim\":[],\"dmarc\":null,\"spf\":{\"domain\":\"b.example\",\"result\":\"pass\"}}")
        );
        let read = of(1, raw);
        assert_eq!((read.flags, read.authenticity), (vec![Flag::Automatic, Flag::List], None));
    }
}
