//! A mail that brings a document: what a fax gateway or a copier sends.

use bytes::Bytes;
use voxea_core::base::count::Counters;
use voxea_core::contact::{Contact, Flag};

use super::config::Paper;
use super::document::Kind;
use super::paper;
use super::sender::From;
use crate::mime::Mail;

/// Makes the contact of a mail one of the document that it brings. The mail's own sender is a machine: it is nobody's address,
/// its automatic mail is the citizen's word, and it is never answered.
pub(crate) async fn adapt(contact: &mut Contact, mail: &Mail, paper: &Paper, counters: &Counters) {
    contact.channel = paper.channel;
    contact.from = sender(mail, paper).unwrap_or_default();
    contact.from_name = None;
    contact.flags.retain(|flag| !matches!(flag, Flag::Automatic | Flag::List));
    for (attachment, brought) in contact.attachments.iter_mut().zip(&mail.attachments) {
        if let Some(kind) = Kind::of(&brought.bytes) {
            kind.media_type().clone_into(&mut attachment.media_type);
        }
    }
    let attached = mail.attachments.iter().map(|attachment| &attachment.bytes);
    let documents: Vec<Bytes> = attached.filter(|bytes| Kind::of(bytes).is_some()).cloned().collect();
    let searched = paper::search(&documents, &contact.account, counters).await;
    paper::place(contact, &searched);
}

fn sender(mail: &Mail, paper: &Paper) -> Option<String> {
    let rule = paper.sender.as_ref()?;
    let find = |text: &Option<String>| text.as_deref().and_then(|text| rule.pattern.find(text));
    match rule.from {
        From::Subject => find(&mail.subject),
        From::Sender => find(&mail.from_name).or_else(|| find(&mail.from)),
        From::FileName => mail.attachments.iter().find_map(|attachment| rule.pattern.find(&attachment.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxea_core::base::account::{Account, Channel, Kind as AccountKind};
    use voxea_core::contact::{Dedup, Joining};

    use crate::mime;
    use crate::scan::sender::Rule;

    const FAX: &[u8] = b"From: \"0140205050\" <fax@pbx.example>\r\nTo: fax@example.fr\r\nSubject: Fax de +33 1 40 20 50 51, 2 pages\r\nAuto-Submitted: auto-generated\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/octet-stream; name=\"0140205052_7.tif\"\r\n\r\nnot really\r\n--b--\r\n";

    fn paper(from: From, pattern: &str) -> Paper {
        Paper {
            channel: Channel::Fax,
            sender: Some(Rule {
                from,
                pattern: pattern.parse().unwrap(),
            }),
        }
    }

    #[test]
    fn the_sender_is_where_the_gateway_writes_it() {
        let mail = mime::read(FAX).unwrap();
        let digits = r"(\+?[0-9][0-9 ]{8,})";
        for (from, number) in [
            (From::Subject, "+33140205051"),
            (From::Sender, "+33140205050"),
            (From::FileName, "+33140205052"),
        ] {
            assert_eq!(sender(&mail, &paper(from, digits)).as_deref(), Some(number), "{from:?}");
        }
        assert_eq!(sender(&mail, &paper(From::Subject, "numéro ([0-9]+)")), None);
    }

    #[tokio::test]
    async fn automatic_mail_is_the_citizens_word() {
        let mail = mime::read(FAX).unwrap();
        let account = Account::new(AccountKind::Mailbox, "fax");
        let mut contact = Contact::new(
            account,
            1,
            Channel::Email,
            Dedup::Never,
            "fax@pbx.example".to_owned(),
            String::new(),
            0,
        );
        contact.flags = vec![Flag::Automatic, Flag::Truncated];
        let paper = paper(From::Subject, r"de (\+[0-9 ]+)");
        adapt(&mut contact, &mail, &paper, &Counters::default()).await;
        assert_eq!((contact.channel, contact.from.as_str()), (Channel::Fax, "+33140205051"));
        assert_eq!((contact.flags, contact.to_qualify), (vec![Flag::Truncated], true));
        assert_eq!(contact.joining, Joining::Document { references: Vec::new() });
        assert!(contact.acknowledgement.is_none());
    }
}
