//! Transfer encodings (RFC 2045 §6), forgiving: what is broken loses itself and not the rest.

/// What is not of the alphabet of base64, and its padding.
const NONE: u8 = 0x80;
const PADDING: u8 = 0x40;

/// The values of the letters of base64 (RFC 4648 §4).
static LETTERS: [u8; 256] = letters();

const fn letters() -> [u8; 256] {
    let mut table = [NONE; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => PADDING,
            _ => NONE,
        };
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

/// The value of a letter, [`PADDING`] or [`NONE`].
fn letter(byte: u8) -> u8 {
    LETTERS.get(usize::from(byte)).copied().unwrap_or(NONE)
}

/// Octets of base64. What is not of its alphabet is passed over (RFC 2045 §6.8), padding may be missing or stand in the
/// middle, where encoded pieces were joined.
#[must_use]
pub fn base64(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0_u32);
    let mut rest = text;
    loop {
        // Most of it is whole fours of letters.
        while count == 0
            && let Some((four, after)) = rest.split_first_chunk::<4>()
        {
            let [a, b, c, d] = four.map(letter);
            if (a | b | c | d) >= PADDING {
                break;
            }
            out.extend_from_slice(&[a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
            rest = after;
        }
        let Some((byte, after)) = rest.split_first() else { break };
        rest = after;
        let value = letter(*byte);
        if value == PADDING {
            // The bits that are left over are no octet.
            (bits, count) = (0, 0);
        } else if value < PADDING {
            bits = bits << 6 | u32::from(value);
            count += 6;
            if count >= 8 {
                count -= 8;
                out.push((bits >> count & 0xff) as u8);
            }
        }
    }
    out
}

/// Octets of quoted-printable. An equals sign without two hexadecimal digits stands for itself; line ends stay as they
/// are, blanks before them go (RFC 2045 §6.7).
#[must_use]
pub fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (line, end) = match line {
            [rest @ .., b'\r', b'\n'] => (rest, b"\r\n".as_slice()),
            [rest @ .., b'\n'] => (rest, b"\n".as_slice()),
            rest => (rest, b"".as_slice()),
        };
        let line = line.trim_ascii_end();
        match line.strip_suffix(b"=") {
            // A soft line break.
            Some(rest) => escaped(&mut out, rest, b'='),
            None => {
                escaped(&mut out, line, b'=');
                out.extend_from_slice(end);
            }
        }
    }
    out
}

/// Octets of the text of an encoded word of kind Q (RFC 2047 §4.2): an underscore is a blank.
#[must_use]
pub fn quoted_word(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'_' { b' ' } else { *byte }).collect();
    escaped(&mut out, &spaced, b'=');
    out
}

/// Octets of a percent-encoded value (RFC 2231 §7).
#[must_use]
pub fn percent(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    escaped(&mut out, text, b'%');
    out
}

fn escaped(out: &mut Vec<u8>, text: &[u8], mark: u8) {
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let pair = match tail {
            [high, low, ..] if *first == mark => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                out.push(high << 4 | low);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn broken_base64_loses_itself_alone() {
        for (text, octets) in [
            (b"w6l0w6k=".as_slice(), "été".as_bytes()),
            (b"w6l0w6k", "été".as_bytes()),
            (b"w6l0\r\n w6k=\r\n", "été".as_bytes()),
            (b"w6l0!w6k=?", "été".as_bytes()),
            (b"w6k=dMOp", "été".as_bytes()),
            (b"====", b""),
            (b"w6l0w6l0\r\nw6l0", "ététét".as_bytes()),
            (b"+/+/AAz9", b"\xfb\xff\xbf\x00\x0c\xfd"),
            (b"", b""),
        ] {
            assert_eq!(base64(text), octets, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn broken_quoted_printable_stands_for_itself() {
        for (text, octets) in [
            (b"=C3=A9t=c3=a9".as_slice(), "été".as_bytes()),
            (b"un =\r\ndeux  \r\ntrois", b"un deux\r\ntrois"),
            (b"un =  \ndeux", b"un deux"),
            (b"a=b=3", b"a=b=3"),
            (b"a==C3=A9", b"a=\xc3\xa9"),
            (b"fin=", b"fin"),
            (b"\xe9t\xe9", b"\xe9t\xe9"),
        ] {
            assert_eq!(quoted_printable(text), octets, "{}", String::from_utf8_lossy(text));
        }
        assert_eq!(quoted_word(b"un_=C3=A9t=C3=A9_?"), "un été ?".as_bytes());
        assert_eq!(percent(b"100%25 %C3%A9%"), "100% é%".as_bytes());
    }

    /// A letter at a time.
    fn slowly(text: &[u8]) -> Vec<u8> {
        let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
        for byte in text {
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            if *byte == b'=' {
                (bits, count) = (0, 0);
            } else if let Some(value) = alphabet.iter().position(|letter| letter == byte) {
                (bits, count) = (bits << 6 | value as u32, count + 6);
                if count >= 8 {
                    count -= 8;
                    out.push((bits >> count) as u8);
                }
            }
        }
        out
    }

    proptest! {
        #[test]
        fn fours_of_letters_are_read_as_single_ones(text in "[A-Za-z0-9+/=\r\n !é]{0,200}") {
            prop_assert_eq!(base64(text.as_bytes()), slowly(text.as_bytes()));
        }

        #[test]
        fn nothing_grows(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(base64(&text).len() <= text.len());
            prop_assert!(quoted_printable(&text).len() <= text.len());
            prop_assert!(percent(&text).len() <= text.len());
        }
    }
}
