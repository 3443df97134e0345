//! By what a mail is known again.

use std::fmt::Write as _;

use ring::digest::{Context, SHA256, digest};

use crate::mime::Mail;

/// SHA-256, lower-case hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// The key of a place in a mailbox. A UID is forever, but only under its UIDVALIDITY (RFC 9051 §2.3.1.1).
#[must_use]
pub fn place(mailbox: &str, folder: &str, validity: u32, uid: u32) -> String {
    format!("uid:{mailbox}:{folder}:{validity}:{uid}")
}

/// The key of a mail's content, wherever it lies.
///
/// With a Message-ID: a hash of that id, the sender, the date, the subject, the text and the attachments, so that the
/// same mail is known in another mailbox or after a migration, where the transport's fields differ; another body
/// under the same Message-ID is another mail. Without one, and when the mail could not be read: a hash of the bytes.
#[must_use]
pub fn content(mail: Option<&Mail>, raw: &[u8]) -> String {
    let Some((mail, id)) = mail.and_then(|mail| mail.message_id.as_deref().map(|id| (mail, id))) else {
        return format!("raw:{}", sha256(raw));
    };
    let mut hash = Context::new(&SHA256);
    let date = mail.date_ms.map(|date| date.to_string());
    for field in [
        Some(id),
        mail.from.as_deref(),
        date.as_deref(),
        mail.subject.as_deref(),
        mail.text.as_deref(),
    ] {
        let field = field.unwrap_or_default();
        // The length first: two fields must not flow into one another.
        hash.update(&(field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    for attachment in &mail.attachments {
        hash.update(digest(&SHA256, &attachment.bytes).as_ref());
    }
    format!("mail:{}", hex(hash.finish().as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime;

    #[test]
    fn the_same_mail_by_another_way_is_the_same() {
        let key = |raw: &str| content(mime::read(raw.as_bytes()).ok().as_ref(), raw.as_bytes());
        let here = key("Received: by a\nDelivered-To: a@x\nMessage-ID: <1@x>\nFrom: a@b\n\nBonjour\n");
        assert_eq!(here, key("Received: by b\nX-Spam: no\nMessage-ID: <1@x>\nFrom: a@b\n\nBonjour\n"));
        assert_ne!(
            here,
            key("Received: by a\nDelivered-To: a@x\nMessage-ID: <1@x>\nFrom: a@b\n\nBonsoir\n")
        );
        assert_ne!(key("From: a@b\n\nx"), key("From: a@b\n\ny"));
        assert_eq!(key("From: a@b\n\nx"), key("From: a@b\n\nx"));
    }
}
