//! The header in front of a part of a long text (3GPP TS 23.040 §9.2.3.24).
//!
//! A length byte, then elements: an id, a length, a value. Reading never fails: what runs over the end of the header is
//! left out, and ids that are not known are passed over.

use crate::gsm7::Shifts;

/// The element of an 8-bit reference (§9.2.3.24.1).
const CONCATENATED: u8 = 0x00;
/// The element of a 16-bit reference (§9.2.3.24.8).
const CONCATENATED_16: u8 = 0x08;
/// National language single shift (§9.2.3.24.15).
const SINGLE_SHIFT: u8 = 0x24;
/// National language locking shift (§9.2.3.24.16).
const LOCKING_SHIFT: u8 = 0x25;

/// What holds the parts of one text together: the same for all of them, another for the next text to the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartReference {
    /// 0 to 255.
    Eight(u8),
    /// 0 to 65,535: two texts at once are told apart more surely, at one septet or unit a part.
    Sixteen(u16),
}

/// The header of a part, with its length byte: 6 bytes, or 7 with a 16-bit reference. `number` counts from 1.
#[must_use]
pub fn concatenation(reference: PartReference, total: u8, number: u8) -> Vec<u8> {
    match reference {
        PartReference::Eight(reference) => vec![5, CONCATENATED, 3, reference, total, number],
        PartReference::Sixteen(reference) => {
            let [high, low] = reference.to_be_bytes();
            vec![6, CONCATENATED_16, 4, high, low, total, number]
        }
    }
}

/// The elements of a header that begins with its length byte: id and value, in order.
pub fn elements(header: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let (length, mut rest) = match header {
        [length, rest @ ..] => (usize::from(*length), rest),
        [] => (0, header),
    };
    rest = &rest[..length.min(rest.len())];
    std::iter::from_fn(move || {
        let [id, length, behind @ ..] = rest else { return None };
        let (value, behind) = behind.split_at_checked(usize::from(*length))?;
        rest = behind;
        Some((*id, value))
    })
}

/// The tables by which a header wants the septets behind it to be read. Of several elements of one kind the last counts
/// (§9.2.3.24).
#[must_use]
pub fn shifts(header: &[u8]) -> Shifts {
    let mut shifts = Shifts::default();
    for element in elements(header) {
        match element {
            (SINGLE_SHIFT, [code]) => shifts.shift(*code),
            (LOCKING_SHIFT, [code]) => shifts.lock(*code),
            _ => {}
        }
    }
    shifts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gsm7::Language;
    use proptest::prelude::*;

    fn all(header: &[u8]) -> Vec<(u8, Vec<u8>)> {
        elements(header).map(|(id, value)| (id, value.to_vec())).collect()
    }

    #[test]
    fn headers_of_parts_to_the_byte() {
        assert_eq!(
            concatenation(PartReference::Eight(0x2A), 3, 2),
            [0x05, 0x00, 0x03, 0x2A, 0x03, 0x02]
        );
        assert_eq!(
            concatenation(PartReference::Sixteen(0x012C), 2, 1),
            [0x06, 0x08, 0x04, 0x01, 0x2C, 0x02, 0x01]
        );
        assert_eq!(all(&concatenation(PartReference::Eight(1), 2, 2)), [(0, vec![1, 2, 2])]);
    }

    #[test]
    fn elements_to_the_end_of_the_header_and_no_further() {
        assert_eq!(
            all(b"\x08\x00\x03\x01\x02\x01\x24\x01\x01text"),
            [(0, vec![1, 2, 1]), (0x24, vec![1])]
        );
        assert_eq!(all(b"\x03\x24\x01\x01\x25\x01\x01"), [(0x24, vec![1])], "what follows is text");
        assert_eq!(all(b"\x20\x24\x01\x03"), [(0x24, vec![3])], "a length that runs over the end");
        assert_eq!(all(b"\x03\x00\x09\x01"), [], "an element that does");
        assert_eq!(all(b""), []);
        assert_eq!(all(b"\x00"), []);
    }

    #[test]
    fn languages() {
        for (header, locking, single, unknown) in [
            (&b"\x03\x24\x01\x01"[..], None, Some(Language::Turkish), false),
            (
                b"\x06\x25\x01\x03\x24\x01\x03",
                Some(Language::Portuguese),
                Some(Language::Portuguese),
                false,
            ),
            (b"\x08\x00\x03\x01\x02\x01\x24\x01\x02", None, Some(Language::Spanish), false),
            (b"\x03\x25\x01\x02", None, None, true),
            (b"\x03\x24\x01\x0E", None, None, true),
            (b"\x03\x24\x01\x00", None, None, false),
            (b"\x06\x24\x01\x01\x24\x01\x0D", None, Some(Language::Urdu), false),
            (b"\x04\x24\x02\x01\x01", None, None, false),
            (b"\x05\x00\x03\x01\x02\x01", None, None, false),
        ] {
            assert_eq!(shifts(header), Shifts { locking, single, unknown }, "{header:x?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_too_odd(header in proptest::collection::vec(any::<u8>(), 0..160)) {
            let read: usize = elements(&header).map(|(_, value)| value.len() + 2).sum();
            prop_assert!(read < header.len().max(1));
            let _ = shifts(&header);
        }
    }
}
