//! Codes by time (RFC 6238): SHA-1, 30 s, 6 digits, which is what every phone's application reckons with.

use ring::hmac;

use super::token;
use crate::base::error::Result;
use crate::base::percent;
use crate::base::time::Millis;

/// How long a code is shown.
const STEP_MS: Millis = 30_000;
/// Bytes of a secret: those of the hash (RFC 4226 §4 R6).
const SECRET_BYTES: usize = 20;
/// The clock of a phone may be so many steps off.
const DRIFT: i64 = 1;

/// A fresh secret.
///
/// # Errors
/// The system gives no random bytes.
pub(super) fn secret() -> Result<Vec<u8>> {
    token::random(SECRET_BYTES)
}

/// The step whose code this is, not more than one from now; of two the later one.
pub(super) fn step(secret: &[u8], code: &str, now: Millis) -> Option<i64> {
    let current = now / STEP_MS;
    let typed: String = code.chars().filter(|char| !char.is_whitespace()).collect();
    let mut found = None;
    for step in current - DRIFT..=current + DRIFT {
        // Every step is reckoned, whichever fits.
        if token::same(format!("{:06}", value(secret, step) % 1_000_000).as_bytes(), typed.as_bytes()) {
            found = Some(step);
        }
    }
    found
}

/// RFC 4226 §5.3: 31 bits of the HMAC, from the offset that its last four bits say.
fn value(secret: &[u8], step: i64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or_default() & 0xf);
    let chosen = bytes.iter().skip(offset).take(4);
    chosen.fold(0, |value, byte| value << 8 | u32::from(*byte)) & 0x7fff_ffff
}

/// The secret as a person types it into a phone (RFC 4648 §6, without padding).
pub(super) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let letters = (chunk.len() * 8).div_ceil(5);
        text.extend((0..letters).map(|at| char::from(ALPHABET[(bits >> (35 - 5 * at) & 31) as usize])));
    }
    text
}

/// What a phone reads as a QR code. `issuer` names the town.
pub(super) fn uri(issuer: &str, login: &str, secret: &[u8]) -> String {
    let (issuer, login) = (percent::encode(issuer), percent::encode(login));
    format!(
        "otpauth://totp/{issuer}:{login}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period=30",
        base32(secret)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn the_vectors_of_rfc_6238() {
        for (seconds, code) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            assert_eq!(value(SECRET, seconds / 30) % 100_000_000, code, "{seconds}");
        }
        assert_eq!(step(SECRET, "287082", 59_000), Some(1));
        assert_eq!(step(SECRET, "287 082", 89_999), Some(1), "one step late");
        assert_eq!(step(SECRET, "287082", 0), Some(1), "one step early");
        assert_eq!(step(SECRET, "287082", 90_000), None);
        assert_eq!(step(SECRET, "87082", 59_000), None);
        assert_eq!(
            step(SECRET, "081804", 1_111_111_109_000),
            Some(37_037_036),
            "with its zero in front"
        );
    }

    #[test]
    fn a_phone_reads_the_secret() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(
            uri("Mairie d'Ys", "a.b@ys.fr", b"foo"),
            "otpauth://totp/Mairie%20d%27Ys:a.b%40ys.fr?secret=MZXW6&issuer=Mairie%20d%27Ys&algorithm=SHA1&digits=6&period=30"
        );
    }
}
