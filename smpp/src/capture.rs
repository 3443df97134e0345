//! PDUs for support, with numbers, texts and passwords masked.
//!
//! What is not known to be harmless is masked: a field is copied only when its place in the PDU says what it is, and the
//! rest of a body that cannot be walked is masked to its end. Lengths stay, so that a masked PDU is a PDU: a dissector
//! reads it.

use voxea_rules::redact;

use crate::cursor::Cursor;
use crate::frame::HEADER;
use crate::pdu::command;

/// What stands in the place of an octet that is not shown.
const MASK: u8 = b'*';
/// The longest system_id, message_id and number without their ends (SMPP 3.4 §5.2); what is longer is something else.
const ID: usize = 15;
const MESSAGE_ID: usize = 64;
const NUMBER: usize = 20;

/// Names of commands (SMPP 3.4 §5.1.2.1, SMPP 5.0 §4.7.5).
const COMMANDS: [(u32, &str); 17] = [
    (0x01, "bind_receiver"),
    (0x02, "bind_transmitter"),
    (0x03, "query_sm"),
    (0x04, "submit_sm"),
    (0x05, "deliver_sm"),
    (0x06, "unbind"),
    (0x07, "replace_sm"),
    (0x08, "cancel_sm"),
    (0x09, "bind_transceiver"),
    (0x0B, "outbind"),
    (0x15, "enquire_link"),
    (0x21, "submit_multi"),
    (0x0102, "alert_notification"),
    (0x0103, "data_sm"),
    (0x0111, "broadcast_sm"),
    (0x0112, "query_broadcast_sm"),
    (0x0113, "cancel_broadcast_sm"),
];

/// The fields of a body, in their order.
#[derive(Clone, Copy)]
enum Field {
    /// A C-octet string that is shown when it is no longer than this.
    Shown(&'static str, usize),
    /// A time of §7.1.1, sixteen characters or none.
    Time(&'static str),
    /// A C-octet string that is not.
    Secret(&'static str),
    /// TON, NPI and number, of which the ends are shown.
    Address(&'static str),
    /// An integer of one octet.
    Number(&'static str),
    /// An octet with the length, and so many octets of text.
    Text(&'static str),
}

use Field::{Address, Number, Secret, Shown, Text, Time};

/// Its values are digits and letters: 0x34 and 0x50. No text stands in a bind.
const VERSION: &str = "interface_version";
const BIND: &[Field] = &[
    Shown("system_id", ID),
    Secret("password"),
    Shown("system_type", 12),
    Number(VERSION),
    Address("address_range"),
];
const MESSAGE: &[Field] = &[
    Shown("service_type", 5),
    Address("source_addr"),
    Address("destination_addr"),
    Number("esm_class"),
    Number("protocol_id"),
    Number("priority_flag"),
    Time("schedule_delivery_time"),
    Time("validity_period"),
    Number("registered_delivery"),
    Number("replace_if_present_flag"),
    Number("data_coding"),
    Number("sm_default_msg_id"),
    Text("short_message"),
];
const DATA: &[Field] = &[
    Shown("service_type", 5),
    Address("source_addr"),
    Address("destination_addr"),
    Number("esm_class"),
    Number("registered_delivery"),
    Number("data_coding"),
];
const REPLACE: &[Field] = &[
    Shown("message_id", MESSAGE_ID),
    Address("source_addr"),
    Time("schedule_delivery_time"),
    Time("validity_period"),
    Number("registered_delivery"),
    Number("sm_default_msg_id"),
    Text("short_message"),
];
const CANCEL: &[Field] = &[
    Shown("service_type", 5),
    Shown("message_id", MESSAGE_ID),
    Address("source_addr"),
    Address("destination_addr"),
];
const QUERY_RESP: &[Field] = &[
    Shown("message_id", MESSAGE_ID),
    Time("final_date"),
    Number("message_state"),
    Number("error_code"),
];

/// Mandatory fields by command; what is not here is masked throughout.
const LAYOUTS: [(u32, &[Field]); 19] = [
    (0x01, BIND),
    (0x02, BIND),
    (0x09, BIND),
    (0x8000_0001, &[Shown("system_id", ID)]),
    (0x8000_0002, &[Shown("system_id", ID)]),
    (0x8000_0009, &[Shown("system_id", ID)]),
    (command::OUTBIND, &[Shown("system_id", ID), Secret("password")]),
    (0x04, MESSAGE),
    (command::DELIVER_SM, MESSAGE),
    (command::DATA_SM, DATA),
    (command::SUBMIT_SM_RESP, &[Shown("message_id", MESSAGE_ID)]),
    (0x8000_0005, &[Shown("message_id", MESSAGE_ID)]),
    (0x8000_0103, &[Shown("message_id", MESSAGE_ID)]),
    (0x03, &[Shown("message_id", MESSAGE_ID), Address("source_addr")]),
    (0x8000_0003, QUERY_RESP),
    (0x07, REPLACE),
    (0x08, CANCEL),
    (command::ALERT_NOTIFICATION, &[Address("source_addr"), Address("esme_addr")]),
    (command::ENQUIRE_LINK, &[]),
];

/// receipted_message_id (SMPP 3.4 §5.3.2.12).
const RECEIPTED: u16 = 0x001E;
/// Optional parameters whose values are shown (SMPP 3.4 §5.3.2); of others the tag and the length are.
const TLVS: [(u16, &str); 11] = [
    (RECEIPTED, "receipted_message_id"),
    (0x0204, "user_message_reference"),
    (0x020C, "sar_msg_ref_num"),
    (0x020E, "sar_total_segments"),
    (0x020F, "sar_segment_seqnum"),
    (0x0210, "sc_interface_version"),
    (0x0422, "ms_availability_status"),
    (0x0423, "network_error_code"),
    (0x0426, "more_messages_to_send"),
    (0x0427, "message_state"),
    (0x0428, "congestion_state"),
];

/// What a masked PDU says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The command's name, or its number where the standard has none.
    pub command: String,
    /// command_length: octets of the PDU as it was.
    pub length: u32,
    /// command_status.
    pub status: u32,
    /// sequence_number.
    pub sequence: u32,
    /// Fields and optional parameters that could be walked, in their order.
    pub fields: Vec<(String, String)>,
}

/// A copy of a whole PDU without numbers, texts and passwords, of the same length.
#[must_use]
pub fn mask(pdu: &[u8]) -> Vec<u8> {
    let mut masked = vec![MASK; pdu.len()];
    let header = pdu.len().min(HEADER);
    masked.splice(..header, pdu.iter().take(header).copied());
    walk(pdu, |at, octets, seen| {
        let place = masked.get_mut(at..at + octets.len());
        let Some(place) = place else { return };
        match seen {
            Seen::Shown(_) | Seen::Integer(_) | Seen::Structure | Seen::Tlv(_, true) => place.copy_from_slice(octets),
            Seen::Address(_) => place.copy_from_slice(&ends(octets)),
            Seen::Hidden(_) | Seen::Tlv(_, false) => {}
        }
    });
    masked
}

/// Reads what [`mask`] made, or its beginning.
#[must_use]
pub fn describe(masked: &[u8]) -> Described {
    let word = |at: usize| {
        let word = masked.get(at..at + 4).and_then(|word| word.try_into().ok());
        word.map_or(0, u32::from_be_bytes)
    };
    let mut fields = Vec::new();
    walk(masked, |_, octets, seen| match seen {
        Seen::Structure => {}
        Seen::Shown(name) => fields.push((name.to_owned(), octets.escape_ascii().to_string())),
        Seen::Integer(name) if octets == [MASK] => fields.push((name.to_owned(), "(1 octets)".to_owned())),
        Seen::Integer(name) => fields.push((name.to_owned(), hexadecimal(octets))),
        Seen::Address(name) => fields.push((name.to_owned(), redact::Number(&String::from_utf8_lossy(octets)).to_string())),
        Seen::Hidden(name) => fields.push((name.to_owned(), format!("({} octets)", octets.len()))),
        Seen::Tlv(tag, known) => {
            let name = TLVS.iter().find(|(number, _)| *number == tag).map(|(_, name)| (*name).to_owned());
            let value = match known {
                true if tag == RECEIPTED => octets.strip_suffix(&[0]).unwrap_or(octets).escape_ascii().to_string(),
                true => hexadecimal(octets),
                false => format!("({} octets)", octets.len()),
            };
            fields.push((name.unwrap_or_else(|| format!("0x{tag:04X}")), value));
        }
    });
    Described {
        command: name(word(4)),
        length: word(0),
        status: word(8),
        sequence: word(12),
        fields,
    }
}

fn name(id: u32) -> String {
    if id == command::GENERIC_NACK {
        return "generic_nack".to_owned();
    }
    let known = COMMANDS.iter().find(|(number, _)| *number == id & !command::RESPONSE);
    match known {
        Some((_, name)) if id & command::RESPONSE != 0 => format!("{name}_resp"),
        Some((_, name)) => (*name).to_owned(),
        None => format!("0x{id:08X}"),
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    let digits: String = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    format!("0x{digits}")
}

/// What the walk found.
enum Seen {
    /// Ends of strings, tags and lengths.
    Structure,
    Shown(&'static str),
    Integer(&'static str),
    Address(&'static str),
    Hidden(&'static str),
    /// The value of an optional parameter, and whether it is shown.
    Tlv(u16, bool),
}

/// A walk that tells of each field with its place.
struct Walk<'a, F> {
    pdu: &'a [u8],
    cursor: Cursor<'a>,
    found: F,
}

/// Calls with the place and the octets of each field; what it is not called with is not known to be anything.
fn walk(pdu: &[u8], found: impl FnMut(usize, &[u8], Seen)) {
    let id = pdu.get(4..8).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes);
    let layout = LAYOUTS.iter().find(|(command, _)| Some(*command) == id);
    let cursor = Cursor::new(pdu.get(HEADER..).unwrap_or_default());
    let mut walk = Walk { pdu, cursor, found };
    if let Some((_, fields)) = layout
        && fields.iter().try_for_each(|field| walk.field(*field)).is_some()
    {
        while walk.cursor.left() > 0 && walk.tlv().is_some() {}
    }
}

impl<F: FnMut(usize, &[u8], Seen)> Walk<'_, F> {
    fn at(&self) -> usize {
        self.pdu.len() - self.cursor.left()
    }

    fn field(&mut self, field: Field) -> Option<()> {
        let printable = |text: &[u8]| text.iter().all(|octet| (0x20..0x7F).contains(octet));
        match field {
            Shown(name, longest) => self.string(|text| match text.len() <= longest && printable(text) {
                true => Seen::Shown(name),
                false => Seen::Hidden(name),
            }),
            Time(name) => self.string(|text| match text {
                [] | [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, b'+' | b'-' | b'R'] if printable(text) => Seen::Shown(name),
                _ => Seen::Hidden(name),
            }),
            Secret(name) => self.string(|_| Seen::Hidden(name)),
            Address(name) => {
                let at = self.at();
                let kind = self.cursor.take(2)?;
                (self.found)(at, kind, Seen::Structure);
                self.string(|text| match text.len() <= NUMBER && printable(text) {
                    true => Seen::Address(name),
                    false => Seen::Hidden(name),
                })
            }
            Number(name) => {
                let at = self.at();
                let octet = self.cursor.take(1)?;
                // No value of a message's fields is a letter or a digit: a text stands here that is out of step.
                let out_of_step = name != VERSION && octet.iter().all(u8::is_ascii_alphanumeric);
                (self.found)(at, octet, if out_of_step { Seen::Hidden(name) } else { Seen::Integer(name) });
                Some(())
            }
            Text(name) => {
                let at = self.at();
                let length = self.cursor.take(1)?;
                (self.found)(at, length, Seen::Structure);
                let text = self.cursor.take(usize::from(*length.first()?))?;
                (self.found)(at + 1, text, Seen::Hidden(name));
                Some(())
            }
        }
    }

    fn string(&mut self, seen: impl FnOnce(&[u8]) -> Seen) -> Option<()> {
        let at = self.at();
        let text = self.cursor.text()?;
        (self.found)(at, text, seen(text));
        (self.found)(at + text.len(), &[0], Seen::Structure);
        Some(())
    }

    fn tlv(&mut self) -> Option<()> {
        let at = self.at();
        let head = self.cursor.take(4)?;
        let [high, low, long, short] = *head else { return None };
        let (tag, length) = (u16::from_be_bytes([high, low]), u16::from_be_bytes([long, short]));
        let value = self.cursor.take(usize::from(length))?;
        // A known one is short; whatever else stands under its tag is not what the standard says.
        let short = value.len() <= 4 || tag == RECEIPTED && value.len() <= MESSAGE_ID + 1;
        let known = short && TLVS.iter().any(|(number, _)| *number == tag);
        (self.found)(at, head, Seen::Structure);
        (self.found)(at + 4, value, Seen::Tlv(tag, known));
        Some(())
    }
}

/// The octets of a number that [`redact::Number`] shows; the others are masked.
fn ends(number: &[u8]) -> Vec<u8> {
    let (first, last) = match number {
        [b'+', ..] if number.len() >= 10 => (4, 2),
        [b'0'..=b'9', ..] if number.len() >= 9 => (2, 2),
        _ => (1, 0),
    };
    let last = number.len().saturating_sub(last);
    let masked = number.iter().enumerate();
    masked
        .map(|(at, octet)| if at < first || at >= last && last >= first { *octet } else { MASK })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pdu(id: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).unwrap();
        [&length.to_be_bytes()[..], &id.to_be_bytes(), &[0; 4], &[0, 0, 0, 7], body].concat()
    }

    fn deliver(number: &str, text: &[u8]) -> Vec<u8> {
        let length = u8::try_from(text.len()).unwrap();
        let head = [b"CMT\0\x01\x01", number.as_bytes(), b"\0\x03\x0036123\0\x40\0\0\0\0\0\0\x08\0"].concat();
        pdu(
            5,
            &[
                &head[..],
                &[length],
                text,
                &[0x02, 0x0C, 0, 2, 1, 2, 0x04, 0x24, 0, 3, b'a', b'b', b'c'],
            ]
            .concat(),
        )
    }

    #[test]
    fn a_text_keeps_its_frame_and_loses_its_words() {
        let original = deliver("33612345678", b"Bonjour la mairie");
        let masked = mask(&original);
        assert_eq!(masked.len(), original.len());
        let described = describe(&masked);
        assert_eq!(
            (described.command.as_str(), described.sequence, described.status),
            ("deliver_sm", 7, 0)
        );
        let field = |name: &str| {
            described
                .fields
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
        };
        assert_eq!(field("source_addr"), Some("33•••••78"));
        assert_eq!(field("destination_addr"), Some("3•••••"));
        assert_eq!(
            (field("service_type"), field("esm_class"), field("data_coding")),
            (Some("CMT"), Some("0x40"), Some("0x08"))
        );
        assert_eq!(field("short_message"), Some("(17 octets)"));
        assert_eq!((field("sar_msg_ref_num"), field("0x0424")), (Some("0x0102"), Some("(3 octets)")));
        assert_eq!(describe(&mask(&masked)), described, "masking twice changes nothing");
    }

    #[test]
    fn passwords_are_not_kept() {
        for (id, body) in [(9, &b"voxea\0secret\0\0\x34\0\0\0"[..]), (0x0B, b"smsc\0secret\0")] {
            let masked = mask(&pdu(id, body));
            assert!(!masked.windows(6).any(|six| six == b"secret"));
            let fields = describe(&masked).fields;
            assert_eq!(fields[1], ("password".to_owned(), "(6 octets)".to_owned()));
            let version = ("interface_version".to_owned(), "0x34".to_owned());
            assert_eq!(fields.get(3), (id == 9).then_some(&version));
        }
        assert_eq!(describe(&pdu(0x8000_0000, b"")).command, "generic_nack");
        assert_eq!(
            describe(&mask(&pdu(0x8000_0004, b"A1\0"))).fields,
            [("message_id".to_owned(), "A1".to_owned())]
        );
        assert_eq!(describe(&mask(&pdu(0x666, b"33612345678"))).command, "0x00000666");
    }

    #[test]
    fn what_is_asked_about_a_text_is_shown_without_its_words() {
        let value = |described: &Described, name: &str| {
            let field = described.fields.iter().find(|(known, _)| known == name);
            field.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let replace = mask(&pdu(7, b"A1\0\x03\x0036123\0\x00000002000000000R\0\x01\x00\x07Bonsoir"));
        assert!(!leaks(&replace, b"Bonsoir"));
        let replace = describe(&replace);
        for (name, shown) in [
            ("message_id", "A1"),
            ("source_addr", "3•••••"),
            ("schedule_delivery_time", ""),
            ("validity_period", "000002000000000R"),
            ("registered_delivery", "0x01"),
            ("short_message", "(7 octets)"),
        ] {
            assert_eq!(value(&replace, name), shown, "{name}");
        }
        assert_eq!(replace.command, "replace_sm");
        let query = describe(&mask(&pdu(3, b"A1\0\x03\x0036123\0")));
        assert_eq!((query.command.as_str(), value(&query, "message_id")), ("query_sm", "A1".to_owned()));
        let told = describe(&mask(&pdu(0x8000_0003, b"A1\x00261124080100004+\0\x02\0")));
        assert_eq!(
            (value(&told, "final_date").as_str(), value(&told, "message_state").as_str()),
            ("261124080100004+", "0x02")
        );
        assert_eq!(describe(&mask(&pdu(0x8000_0007, b""))).command, "replace_sm_resp");
    }

    /// Whether three letters or digits in a row of `secret` stand in `shown`.
    fn leaks(shown: &[u8], secret: &[u8]) -> bool {
        secret.windows(3).any(|three| shown.windows(3).any(|other| other == three))
    }

    proptest! {
        /// The mutant that turns it red: copy `Seen::Hidden` too, or a field of any length.
        #[test]
        fn nothing_personal_is_left_however_broken(
            // Its middle has no 3, by which what is shown of its beginning would be taken for it.
            number in "33[67][124589]{8}",
            // No letter of the service_type, CMT, which is shown.
            text in "[ABD-LN-SU-Z]{6,80}",
            cut in 0_usize..200,
            gone in 0_usize..40,
            id in prop_oneof![Just(5_u32), Just(4), Just(0x103), Just(0x102), Just(7), Just(8), Just(3), any::<u32>()],
        ) {
            let mut original = deliver(&number, text.as_bytes());
            original[4..8].copy_from_slice(&id.to_be_bytes());
            // An octet that is missing puts all that follows out of step.
            original.remove(HEADER + gone.min(original.len() - HEADER - 1));
            original.truncate(cut.max(HEADER));
            let masked = mask(&original);
            prop_assert_eq!(masked.len(), original.len());
            let middle = &number.as_bytes()[2..9];
            let values = describe(&masked).fields.into_iter().map(|(_, value)| value);
            let printed = values.filter(|value| !value.ends_with(" octets)")).collect::<Vec<_>>().join(" ");
            for shown in [&masked[HEADER..], printed.as_bytes()] {
                prop_assert!(!leaks(shown, middle), "{:?}", String::from_utf8_lossy(shown));
                prop_assert!(!leaks(shown, text.as_bytes()), "{:?}", String::from_utf8_lossy(shown));
            }
        }

        #[test]
        fn it_never_fails(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            prop_assert_eq!(mask(&bytes).len(), bytes.len());
            let _ = describe(&bytes);
        }
    }
}
