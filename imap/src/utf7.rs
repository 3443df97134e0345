//! Folder names as IMAP4rev1 writes them (RFC 3501 §5.1.3): `Traités` is `Trait&AOk-s`.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, general_purpose::NO_PAD};

/// The name in modified UTF-7.
#[must_use]
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut pending = String::new();
    for c in name.chars() {
        if !matches!(c, ' '..='~') {
            pending.push(c);
            continue;
        }
        flush(&mut pending, &mut out);
        out.push(c);
        if c == '&' {
            out.push('-');
        }
    }
    flush(&mut pending, &mut out);
    out
}

fn flush(pending: &mut String, out: &mut String) {
    if pending.is_empty() {
        return;
    }
    let units: Vec<u8> = pending.encode_utf16().flat_map(u16::to_be_bytes).collect();
    // The alphabet has a comma where base64 has a slash; a slash divides folders.
    let engine = GeneralPurpose::new(&alphabet::IMAP_MUTF7, NO_PAD);
    out.push('&');
    out.push_str(&engine.encode(units));
    out.push('-');
    pending.clear();
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn names_are_those_of_the_standard() {
        assert_eq!(encode("INBOX"), "INBOX");
        assert_eq!(encode("Traités/Été"), "Trait&AOk-s/&AMk-t&AOk-");
        assert_eq!(encode("R&D"), "R&-D");
        assert_eq!(encode("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
    }
}
