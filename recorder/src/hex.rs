//! Hexadecimal, lower case.

use std::fmt::Write as _;

/// Two digits an octet.
pub(crate) fn encode(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// Octets of a text of exactly so many; none for any other spelling than [`encode`]'s, so that a text cannot be changed and
/// still mean the same.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    for (octet, pair) in out.iter_mut().zip(digits.as_chunks::<2>().0) {
        *octet = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_alone_is_read() {
        assert_eq!(encode(&[0, 0xab, 0xff]), "00abff");
        assert_eq!(decode::<3>("00abff"), Some([0, 0xab, 0xff]));
        for other in ["00ABFF", "0abff", "00abf", "00abfg", "00abff00", ""] {
            assert_eq!(decode::<3>(other), None, "{other}");
        }
    }
}
