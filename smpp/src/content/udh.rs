//! User data headers (3GPP TS 23.040 §9.2.3.24).

use bytes::Bytes;

use crate::pdu::Part;

/// A header and what follows it.
pub(super) struct Split {
    /// With its length byte.
    pub(super) header: Bytes,
    pub(super) rest: Bytes,
    pub(super) part: Option<Part>,
}

/// Parts the header from the text; `None` when it runs over the end.
pub(super) fn split(body: &Bytes) -> Option<Split> {
    let length = usize::from(*body.first()?) + 1;
    if length > body.len() {
        return None;
    }
    let header = body.slice(..length);
    let part = concatenation(&header[1..]);
    Some(Split {
        rest: body.slice(length..),
        header,
        part,
    })
}

/// The first sound concatenation element, of 8 bits (§9.2.3.24.1) or 16 (§9.2.3.24.8); others are passed over.
fn concatenation(mut elements: &[u8]) -> Option<Part> {
    while let [id, length, rest @ ..] = elements {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        let part = match (id, value) {
            (0x00, [reference, total, number]) => Some((u16::from(*reference), *total, *number)),
            (0x08, [high, low, total, number]) => Some((u16::from_be_bytes([*high, *low]), *total, *number)),
            _ => None,
        };
        if let Some((reference, total, number)) = part
            && total > 1
            && (1..=total).contains(&number)
        {
            return Some(Part { reference, total, number });
        }
        elements = rest;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part_of(bytes: &'static [u8]) -> Option<Part> {
        split(&Bytes::from_static(bytes)).unwrap().part
    }

    #[test]
    fn elements() {
        assert_eq!(
            part_of(b"\x05\x00\x03\x2A\x03\x02rest"),
            Some(Part {
                reference: 42,
                total: 3,
                number: 2
            })
        );
        assert_eq!(
            part_of(b"\x06\x08\x04\x01\x2C\x02\x01"),
            Some(Part {
                reference: 300,
                total: 2,
                number: 1
            })
        );
        // A port element before it; then one that is cut off.
        assert_eq!(
            part_of(b"\x0B\x05\x04\x23\xF4\x00\x00\x00\x03\x01\x02\x02"),
            Some(Part {
                reference: 1,
                total: 2,
                number: 2
            })
        );
        assert_eq!(part_of(b"\x03\x00\x09\x01"), None);
        // Number 0, number beyond the total, a whole in one part: no parts (§9.2.3.24.1).
        for bytes in [
            &b"\x05\x00\x03\x01\x02\x00"[..],
            b"\x05\x00\x03\x01\x02\x03",
            b"\x05\x00\x03\x01\x01\x01",
        ] {
            assert_eq!(concatenation(&bytes[1..]), None);
        }
        assert!(split(&Bytes::from_static(b"\x05\x00")).is_none());
        assert!(split(&Bytes::new()).is_none());
        assert_eq!(&split(&Bytes::from_static(b"\x00ab")).unwrap().rest[..], b"ab");
    }
}
