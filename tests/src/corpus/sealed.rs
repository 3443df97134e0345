//! Signed and encrypted mails, and Outlook's `winmail.dat`: not to be broken, and often not to be read.

use super::encode::base64_lines;
use super::letter::{Letter, Without, file, known, multipart};
use super::mail::{Kind, Mail};

/// One of four: S/MIME (RFC 8551) signed or encrypted, OpenPGP (RFC 3156) signed or encrypted.
pub(super) fn sealed(mut letter: Letter, way: usize) -> Mail {
    let (size, boundary) = (1_500 + letter.number % 700, letter.boundary("sealed"));
    let random = letter.random(size);
    let armour = format!(
        "-----BEGIN PGP MESSAGE-----\r\n\r\n{}-----END PGP MESSAGE-----\r\n",
        base64_lines(&random)
    );
    let head = letter.head(Without::Nothing);
    let (body, attachment, readable) = match way % 4 {
        0 => {
            let (signature, seal) = file(
                "smime.p7s",
                "application/pkcs7-signature",
                ("; name=\"smime.p7s\"", "; filename=\"smime.p7s\""),
                &random,
            );
            let text = letter.text_part();
            let kind = "signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256";
            (multipart(kind, &boundary, &[text, signature]), Some(seal), true)
        }
        1 => {
            let body = format!(
                "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=\"smime.p7m\"\r\nContent-Disposition: attachment; \
                 filename=\"smime.p7m\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                base64_lines(&random)
            );
            (body.into_bytes(), Some(known("smime.p7m", &random)), false)
        }
        2 => {
            let signature = armour.replace("MESSAGE", "SIGNATURE");
            let signature = format!(
                "Content-Type: application/pgp-signature; name=\"signature.asc\"\r\nContent-Description: OpenPGP\r\n\r\n{signature}"
            );
            let text = letter.text_part();
            let kind = "signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha512";
            (multipart(kind, &boundary, &[text, signature.into_bytes()]), None, true)
        }
        _ => {
            let control = b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n".to_vec();
            let data = format!(
                "Content-Type: application/octet-stream; name=\"encrypted.asc\"\r\nContent-Disposition: inline; \
                 filename=\"encrypted.asc\"\r\n\r\n{armour}"
            );
            let kind = "encrypted; protocol=\"application/pgp-encrypted\"";
            (multipart(kind, &boundary, &[control, data.into_bytes()]), None, false)
        }
    };
    let mut mail = letter.mail(Kind::Sealed, [head, body].concat());
    mail.expected.attachments = attachment.into_iter().collect();
    if !readable {
        mail.expected.contains = None;
    }
    mail
}

/// A text beside Outlook's own envelope (MS-OXTNEF), which is kept as it is.
pub(super) fn tnef(mut letter: Letter) -> Mail {
    let content = [0x223E_9F78_u32.to_le_bytes().to_vec(), vec![1, 0], letter.random(6_000)].concat();
    let (part, known) = file(
        "winmail.dat",
        "application/ms-tnef",
        ("; name=\"winmail.dat\"", "; filename=\"winmail.dat\""),
        &content,
    );
    let (text, boundary) = (letter.text_part(), letter.boundary("mixed"));
    let bytes = [letter.head(Without::Nothing), multipart("mixed", &boundary, &[text, part])].concat();
    let mut mail = letter.mail(Kind::Tnef, bytes);
    mail.expected.attachments = vec![known];
    mail
}
