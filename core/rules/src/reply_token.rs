//! What a reply token looks like: 26 octets in base32 (RFC 4648 §6), in lower case and without padding, so that it survives
//! in the local part of an address whatever folds its case. What the octets mean, and whether they are ours, is the caller's.

/// Octets of a token: 16 of the request's id, 10 of what proves it.
pub const OCTETS: usize = 26;
/// Characters of a token.
pub const CHARS: usize = 42;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Spells a token.
#[must_use]
pub fn encode(octets: &[u8; OCTETS]) -> String {
    let mut text = String::with_capacity(CHARS);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for octet in octets {
        held = held << 8 | u32::from(*octet);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(digit(held >> bits));
        }
        held &= (1 << bits) - 1;
    }
    text.push(digit(held << (5 - bits)));
    text
}

fn digit(value: u32) -> char {
    ALPHABET.get((value & 31) as usize).map_or('a', |byte| char::from(*byte))
}

/// Reads a token, in any case. `None` for what is none, and for a second spelling of one.
#[must_use]
pub fn decode(text: &str) -> Option<[u8; OCTETS]> {
    if text.len() != CHARS {
        return None;
    }
    let mut octets = [0; OCTETS];
    let mut places = octets.iter_mut();
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in text.bytes() {
        let value = match byte.to_ascii_lowercase() {
            letter @ b'a'..=b'z' => letter - b'a',
            number @ b'2'..=b'7' => number - b'2' + 26,
            _ => return None,
        };
        held = held << 5 | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *places.next()? = u8::try_from(held >> bits & 0xff).ok()?;
            held &= (1 << bits) - 1;
        }
    }
    (held == 0).then_some(octets)
}

/// What stands where a token may in one address or Message-ID: the last part of what is before its last `@`, after a plus sign
/// or a dot. Only what looks like a token.
#[must_use]
pub fn of_address(address: &str) -> Option<&str> {
    let (local, _) = address.rsplit_once('@')?;
    let at = local.rfind(['+', '.'])?;
    let token = local.get(at + 1..)?;
    decode(token).map(|_| token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spelled_as_the_standard_does() {
        // RFC 4648 §10: "foobar" is MZXW6YTBOI; five octets are eight characters.
        let mut octets = [0; OCTETS];
        octets[..5].copy_from_slice(b"fooba");
        let token = encode(&octets);
        assert_eq!((&token[..8], token.len()), ("mzxw6ytb", CHARS));
        assert_eq!(decode(&token.to_uppercase()), Some(octets));
    }

    #[test]
    fn found_where_it_stands() {
        let token = encode(&[7; OCTETS]);
        assert_eq!(of_address(&format!("mairie+{token}@example.fr")), Some(token.as_str()));
        assert_eq!(of_address(&format!("accueil+rh+{token}@example.fr")), Some(token.as_str()));
        assert_eq!(of_address(&format!("0190a.{token}@example.fr")), Some(token.as_str()));
        for none in [
            String::new(),
            token.clone(),
            format!("mairie{token}@example.fr"),
            format!("mairie+{}@example.fr", &token[1..]),
            format!("mairie+{token}x@example.fr"),
            format!("mairie+{}1@example.fr", &token[1..]),
            format!("mairie+{}é@example.fr", &token[2..]),
            "mairie+@example.fr".to_owned(),
        ] {
            assert_eq!(of_address(&none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(octets in proptest::array::uniform26(any::<u8>())) {
            let token = encode(&octets);
            prop_assert_eq!(decode(&token), Some(octets));
        }

        #[test]
        fn one_spelling_each(text in "[a-z2-7]{42}") {
            if let Some(octets) = decode(&text) {
                prop_assert_eq!(encode(&octets), text);
            }
        }

        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,80}") {
            let _ = (decode(&text), of_address(&text));
        }
    }
}
