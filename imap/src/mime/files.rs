//! What came with a mail, and how a mail is sealed.

use bytes::Bytes;
use mail_parser::{HeaderName, Message, MessagePart};

use super::mail::Attachment;
use super::{head, part};
use crate::fields;
use crate::words::Parameters;
use crate::{ids, name, prescan};

/// The media type of a `winmail.dat`.
pub(super) const TNEF: &str = "application/ms-tnef";
/// How much of a text is looked at for OpenPGP's marks, in bytes.
const MARKS_BYTES: usize = 64 * 1024;

/// The files, in their order.
pub(super) fn attachments(message: &Message<'_>, raw: &[u8]) -> Vec<Attachment> {
    let ids = message.attachments.iter().take(prescan::PARTS);
    // Beside other parts it may be both: what a text is made of depends on them.
    let alone = message.parts.len() == 1;
    let text = |one: &&MessagePart<'_>| broken_text(one, raw) || (alone && part::is_text_by_default(one, raw) && !is_file(one, raw));
    let parts = ids.filter_map(|id| message.part(*id)).filter(|one| !text(one));
    parts.map(|one| attachment(one, raw)).collect()
}

/// Whether the parser holds a part for a file only because its text is badly encoded.
pub(super) fn broken_text(one: &MessagePart<'_>, raw: &[u8]) -> bool {
    let text = || matches!(part::content_type(one, raw).value.as_str(), "" | "text/plain" | "text/html");
    one.is_encoding_problem && text() && !is_file(one, raw)
}

/// Whether its sender calls a part a file.
pub(super) fn is_file(one: &MessagePart<'_>, raw: &[u8]) -> bool {
    part::disposition(one, raw).value == "attachment" || raw_name(one, raw).is_some()
}

/// The name that its sender gave a part.
pub(super) fn raw_name(one: &MessagePart<'_>, raw: &[u8]) -> Option<String> {
    let disposition = part::disposition(one, raw);
    let named = disposition.get("filename").filter(|name| !name.is_empty()).map(str::to_owned);
    named.or_else(|| {
        part::content_type(one, raw)
            .get("name")
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
    })
}

fn attachment(one: &MessagePart<'_>, raw: &[u8]) -> Attachment {
    let kind = part::content_type(one, raw);
    let octets = part::octets(one, raw, usize::MAX);
    let given = raw_name(one, raw);
    let declared = declared(&kind);
    let media_type = sniff(&octets).map_or(declared, str::to_owned);
    let title = || {
        let message = kind.value == "message/rfc822" || kind.value == "message/global";
        let (header, _) = fields::split(&octets);
        let subject = fields::of(header).find(|field| field.is("Subject")).filter(|_| message)?;
        Some(format!("{}.eml", head::subject(subject.value)))
    };
    let title = given.or_else(title).unwrap_or_default();
    let content_id = part::field(one, raw, &HeaderName::ContentId).and_then(ids::own);
    let disposition = part::disposition(one, raw).value;
    Attachment {
        name: name::file(&title, extension(&media_type)),
        // Programs that show HTML go by the id; some write "inline" on every file, so the word alone says nothing.
        inline: content_id.is_some() && disposition != "attachment" && media_type.starts_with("image/"),
        media_type,
        content_id,
        bytes: Bytes::from(octets.into_owned()),
    }
}

fn declared(kind: &Parameters) -> String {
    let well_formed = kind.value.len() <= 100
        && kind.value.split('/').filter(|half| !half.is_empty()).count() == 2
        && kind
            .value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"/.+-_".contains(&byte));
    if well_formed {
        kind.value.clone()
    } else if kind.value.is_empty() {
        "text/plain".to_owned()
    } else {
        "application/octet-stream".to_owned()
    }
}

/// What the first bytes say; a declared type is only a claim.
fn sniff(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 10] = [
        (b"%PDF-", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"\x7fELF", "application/x-executable"),
        (b"MZ", "application/x-msdownload"),
        (b"%!PS", "application/postscript"),
        (b"\x1f\x8b", "application/gzip"),
        (b"{\\rtf", "application/rtf"),
        // MS-OXTNEF §2.1.3.1
        (b"\x78\x9f\x3e\x22", TNEF),
    ];
    MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind)
}

fn extension(media_type: &str) -> &'static str {
    match media_type {
        "application/pdf" => "pdf",
        "image/png" => "png",
        "image/jpeg" => "jpg",
        "image/gif" => "gif",
        "message/rfc822" | "message/global" => "eml",
        "text/plain" => "txt",
        "text/html" => "html",
        "text/calendar" => "ics",
        TNEF => "dat",
        "application/pgp-signature" => "asc",
        "application/pkcs7-signature" | "application/x-pkcs7-signature" => "p7s",
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => "p7m",
        _ => "",
    }
}

/// How a mail is sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seal {
    pub(super) signed: bool,
    pub(super) encrypted: bool,
}

/// What the parts and the marks in the text say of it. Nothing is verified or opened.
pub(super) fn seal(message: &Message<'_>, raw: &[u8], text: Option<&str>) -> Seal {
    let mut seal = Seal::default();
    for one in &message.parts {
        let kind = part::content_type(one, raw);
        match kind.value.as_str() {
            // RFC 1847
            "multipart/signed" | "application/pgp-signature" | "application/pkcs7-signature" | "application/x-pkcs7-signature" => {
                seal.signed = true;
            }
            "multipart/encrypted" | "application/pgp-encrypted" => seal.encrypted = true,
            // RFC 8551 §3.2.2: without the parameter it is usually encrypted.
            "application/pkcs7-mime" | "application/x-pkcs7-mime" => match kind.get("smime-type").unwrap_or_default() {
                "signed-data" => seal.signed = true,
                "certs-only" | "compressed-data" => {}
                _ => seal.encrypted = true,
            },
            _ => {}
        }
    }
    // RFC 9580 §6.2 and §7
    let text = name::cut(text.unwrap_or_default(), MARKS_BYTES);
    let marked = |mark: &str| text.starts_with(mark) || text.contains(&format!("\n{mark}"));
    seal.encrypted |= marked("-----BEGIN PGP MESSAGE-----");
    seal.signed |= marked("-----BEGIN PGP SIGNED MESSAGE-----");
    seal
}
