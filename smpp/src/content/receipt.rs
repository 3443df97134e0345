//! Delivery receipts: optional parameters first, then the text that SMPP 3.4 appendix B only suggests.

use crate::pdu::Tlvs;

/// How far a text of ours has come (§5.2.28).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptState {
    /// It reached the handset.
    Delivered,
    /// It will not: expired, deleted, undeliverable, rejected, skipped.
    Failed,
    /// It is on its way: scheduled, en route, accepted.
    OnTheWay,
    /// The SMSC does not know, or does not say.
    Unknown,
}

/// How an SMSC writes in its receipts the ids that it gave in its responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ids {
    /// Nobody says: as it comes, and turned between decimal and hexadecimal where that is no guess.
    #[default]
    Any,
    /// In the same way.
    Same,
    /// In decimal what its responses write in hexadecimal.
    Decimal,
    /// In hexadecimal what its responses write in decimal.
    Hexadecimal,
}

impl Ids {
    /// What the response may have said, of a receipt that names `spelled` (the first as it came).
    #[must_use]
    pub fn of(self, spelled: &[String]) -> Vec<String> {
        let Some(id) = spelled.first() else { return Vec::new() };
        let turned = match self {
            Self::Any => return spelled.to_vec(),
            Self::Same => None,
            Self::Decimal => id.parse::<u128>().ok().map(|number| format!("{number:x}")),
            Self::Hexadecimal => u128::from_str_radix(id, 16).ok().map(|number| number.to_string()),
        };
        vec![turned.unwrap_or_else(|| id.clone())]
    }
}

/// A receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Every way in which the SMSC may have written the message's id in its submit_sm_resp, the
    /// likeliest first; empty when the receipt names none.
    pub ids: Vec<String>,
    /// What it says.
    pub state: ReceiptState,
    /// The SMSC's own word for it, and its error code: `UNDELIV err 011`.
    pub reason: Option<String>,
}

const STATES: [(u8, &str, ReceiptState); 10] = [
    (0, "SCHED", ReceiptState::OnTheWay),
    (1, "ENROU", ReceiptState::OnTheWay),
    (2, "DELIV", ReceiptState::Delivered),
    (3, "EXPIR", ReceiptState::Failed),
    (4, "DELET", ReceiptState::Failed),
    (5, "UNDEL", ReceiptState::Failed),
    (6, "ACCEP", ReceiptState::OnTheWay),
    (7, "UNKNO", ReceiptState::Unknown),
    (8, "REJEC", ReceiptState::Failed),
    (9, "SKIPP", ReceiptState::Failed),
];

const FULL: [&str; 10] = [
    "SCHEDULED",
    "ENROUTE",
    "DELIVRD",
    "EXPIRED",
    "DELETED",
    "UNDELIV",
    "ACCEPTD",
    "UNKNOWN",
    "REJECTD",
    "SKIPPED",
];

/// What a message_state says (SMPP 3.4 §5.2.28), and the word for it in a receipt; `None` for a number that the standard
/// has not.
#[must_use]
pub fn message_state(state: u8) -> Option<(ReceiptState, &'static str)> {
    let (number, _, state) = STATES.iter().find(|(number, ..)| *number == state)?;
    Some((*state, FULL.get(usize::from(*number)).copied()?))
}

/// Reads a receipt.
pub(super) fn read(text: &str, tlvs: &Tlvs) -> Receipt {
    let fields = Fields::read(text);
    let id = tlvs
        .receipted_message_id
        .as_deref()
        .filter(|id| !id.trim().is_empty())
        .or(fields.id);
    let by_number = tlvs
        .message_state
        .and_then(|state| STATES.iter().find(|(number, ..)| *number == state));
    let by_word = || {
        let word = fields.stat?.to_ascii_uppercase();
        STATES.iter().find(|(_, begin, _)| word.starts_with(begin))
    };
    let state = by_number.or_else(by_word);
    let word = fields
        .stat
        .or_else(|| state.and_then(|(number, ..)| FULL.get(usize::from(*number)).copied()));
    let error = fields
        .err
        .map(str::to_owned)
        .or_else(|| tlvs.network_error.map(|(_, code)| code.to_string()));
    let reason = match (word, error) {
        (Some(word), Some(error)) => Some(format!("{word} err {error}")),
        (Some(word), None) => Some(word.to_owned()),
        (None, Some(error)) => Some(format!("err {error}")),
        (None, None) => None,
    };
    Receipt {
        ids: id.map(spellings).unwrap_or_default(),
        state: state.map_or(ReceiptState::Unknown, |(.., state)| *state),
        reason: reason.map(|reason| reason.chars().filter(|char| !char.is_control()).take(100).collect()),
    }
}

/// The id as it came, and turned between decimal and hexadecimal, for SMSCs that write it one way
/// in the response and the other way in the receipt. Case and leading zeros are for whoever compares.
///
/// A short number that could be either is not turned: "16" is not the "10" of another message.
fn spellings(id: &str) -> Vec<String> {
    const PLAIN: usize = 8;
    let id = id.trim();
    let lettered = |text: &str| text.bytes().any(|byte| byte.is_ascii_alphabetic());
    let mut all = vec![id.to_owned()];
    if id.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(number) = id.parse::<u128>()
    {
        let hexadecimal = format!("{number:x}");
        if lettered(&hexadecimal) || id.len() >= PLAIN {
            all.push(hexadecimal);
        }
    }
    if (lettered(id) || id.len() >= PLAIN)
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        && let Ok(number) = u128::from_str_radix(id, 16)
    {
        all.push(number.to_string());
    }
    all
}

#[derive(Default)]
struct Fields<'a> {
    id: Option<&'a str>,
    stat: Option<&'a str>,
    err: Option<&'a str>,
}

/// Every key that may stand in a receipt; what stands between two keys is the value of the first.
const KEYS: [&str; 12] = [
    "id:",
    "sub:",
    "dlvrd:",
    "submit date:",
    "submit_date:",
    "done date:",
    "done_date:",
    "stat:",
    "status:",
    "state:",
    "err:",
    "error:",
];

impl<'a> Fields<'a> {
    /// What stands behind `text:` is a citizen's, or ours; it counts only when nothing better came before it.
    fn read(text: &'a str) -> Self {
        let cut = place(text, "text:").unwrap_or(text.len());
        let (before, after) = text.split_at(cut);
        let (mut fields, rest) = (Self::scan(before), Self::scan(after));
        fields.id = fields.id.or(rest.id);
        fields.stat = fields.stat.or(rest.stat);
        fields.err = fields.err.or(rest.err);
        fields
    }

    fn scan(text: &'a str) -> Self {
        let mut found: Vec<(usize, &str)> = KEYS.iter().filter_map(|key| Some((place(text, key)?, *key))).collect();
        found.sort_unstable();
        let mut fields = Self::default();
        for (at, (start, key)) in found.iter().enumerate() {
            let end = found.get(at + 1).map_or(text.len(), |(next, _)| *next);
            let value = text
                .get(start + key.len()..end)
                .and_then(|value| value.split(parts).map(|word| word.trim_matches('"')).find(|word| !word.is_empty()));
            match *key {
                "id:" => fields.id = fields.id.or(value),
                "stat:" | "status:" | "state:" => fields.stat = fields.stat.or(value),
                "err:" | "error:" => fields.err = fields.err.or(value),
                _ => {}
            }
        }
        fields
    }
}

/// What ends a value. U+FFFD is how a NUL reads, with which some SMSCs end the text as if it were a C string.
fn parts(char: char) -> bool {
    char.is_whitespace() || matches!(char, ',' | ';' | char::REPLACEMENT_CHARACTER)
}

/// Where a key begins, in any case, at the start or behind something that is neither letter nor digit.
fn place(text: &str, key: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let fits = |(at, window): (usize, &[u8])| {
        let parted = at == 0 || bytes.get(at - 1).is_some_and(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
        (parted && window.eq_ignore_ascii_case(key.as_bytes())).then_some(at)
    };
    bytes.windows(key.len()).enumerate().find_map(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_text(text: &str) -> Receipt {
        read(text, &Tlvs::default())
    }

    fn receipt(ids: &[&str], state: ReceiptState, reason: Option<&str>) -> Receipt {
        Receipt {
            ids: ids.iter().map(ToString::to_string).collect(),
            state,
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn texts_as_smscs_write_them() {
        for (text, expected) in [
            (
                "id:42 sub:001 dlvrd:001 submit date:2611240800 done date:2611240801 stat:DELIVRD err:000 text:Votre demande",
                receipt(&["42", "2a"], ReceiptState::Delivered, Some("DELIVRD err 000")),
            ),
            (
                "id:0001 stat:UNDELIV err:011",
                receipt(&["0001"], ReceiptState::Failed, Some("UNDELIV err 011")),
            ),
            (
                "stat:EXPIRED id:x-y.z_1",
                receipt(&["x-y.z_1"], ReceiptState::Failed, Some("EXPIRED")),
            ),
            ("ID: 7 STAT: acceptd", receipt(&["7"], ReceiptState::OnTheWay, Some("acceptd"))),
            (
                "id:7 done date:2611 stat:REJECTD text:id:9 stat:DELIVRD",
                receipt(&["7"], ReceiptState::Failed, Some("REJECTD")),
            ),
            (
                "text:Bonjour id:7 stat:DELIVRD",
                receipt(&["7"], ReceiptState::Delivered, Some("DELIVRD")),
            ),
            ("id:7", receipt(&["7"], ReceiptState::Unknown, None)),
            ("stat:UNKNOWN", receipt(&[], ReceiptState::Unknown, Some("UNKNOWN"))),
            ("", receipt(&[], ReceiptState::Unknown, None)),
        ] {
            assert_eq!(of_text(text), expected, "{text:?}");
        }
    }

    /// One message, as it is told by SMSCs that have read the appendix with more or less care.
    #[test]
    fn one_receipt_in_the_hands_of_many_vendors() {
        for text in [
            "id:x1 sub:001 dlvrd:001 submit date:2611240800 done date:2611240801 stat:DELIVRD err:000 text:Votre demande a ete",
            "id:x1 sub:001 dlvrd:001 submit date:2611240800 done date:2611240801 stat:DELIVRD err:000 text:",
            "id:x1 sub:001 dlvrd:001 submit date:261124080000 done date:261124080107 stat:DELIVRD err:000 Text:Votre",
            "id:x1 sub:1 dlvrd:1 submit date:20261124080000 done date:20261124080107 stat:DELIVRD err:000",
            "id:x1 submit date:2611240800 done date:2611240801 stat:DELIVRD err:000",
            "id:x1 dlvrd:001 stat:DELIVRD err:000",
            "id:x1 submit_date:2611240800 done_date:2611240801 stat:DELIVRD err:000",
            "id:x1 submit date:26-11-24 08:00:01 done date:26-11-24 08:00:07 stat:DELIVRD err:000",
            "stat:DELIVRD err:000 id:x1",
            "err:000 done date:2611240801 stat:DELIVRD id:x1 text:",
            "ID:x1 SUB:001 DLVRD:001 SUBMIT DATE:2611240800 DONE DATE:2611240801 STAT:DELIVRD ERR:000 TEXT:OUI",
            "Id: x1 Sub: 001 Stat: DELIVRD Err: 000",
            "id:x1,sub:001,dlvrd:001,stat:DELIVRD,err:000",
            "id:x1; stat:DELIVRD; err:000;",
            "id:x1\r\nsub:001\r\nstat:DELIVRD\r\nerr:000\r\ntext:",
            "id:\"x1\" sub:\"001\" stat:\"DELIVRD\" err:\"000\"",
            "  id:x1  sub:001   stat:DELIVRD  err:000  ",
            "id:x1 stat:DELIVRD err:000\u{fffd}",
            "stat:DELIVRD err:000 id:x1\u{fffd}",
            "message id:x1 status:DELIVRD error:000",
        ] {
            assert_eq!(
                of_text(text),
                receipt(&["x1"], ReceiptState::Delivered, Some("DELIVRD err 000")),
                "{text:?}"
            );
        }
        for (word, state) in [
            ("DELIVRD", ReceiptState::Delivered),
            ("Delivered", ReceiptState::Delivered),
            ("EXPIRED", ReceiptState::Failed),
            ("DELETED", ReceiptState::Failed),
            ("UNDELIV", ReceiptState::Failed),
            ("undeliverable", ReceiptState::Failed),
            ("REJECTD", ReceiptState::Failed),
            ("REJECTED", ReceiptState::Failed),
            ("SKIPPED", ReceiptState::Failed),
            ("ACCEPTD", ReceiptState::OnTheWay),
            ("ENROUTE", ReceiptState::OnTheWay),
            ("SCHEDULED", ReceiptState::OnTheWay),
            ("UNKNOWN", ReceiptState::Unknown),
            ("BUFFERED", ReceiptState::Unknown),
        ] {
            let read = of_text(&format!("id:x1 sub:001 stat:{word} err:011"));
            assert_eq!(read, receipt(&["x1"], state, Some(&format!("{word} err 011"))));
        }
        assert_eq!(of_text("id: sub:001 stat:DELIVRD").ids, [""; 0], "an empty id is none");
    }

    #[test]
    fn parameters_go_first() {
        let tlvs = Tlvs {
            receipted_message_id: Some("abc-1".to_owned()),
            message_state: Some(5),
            network_error: Some((3, 11)),
            sar: None,
        };
        assert_eq!(
            read("id:9 stat:DELIVRD", &tlvs),
            receipt(&["abc-1"], ReceiptState::Failed, Some("DELIVRD err 11"))
        );
        assert_eq!(read("", &tlvs), receipt(&["abc-1"], ReceiptState::Failed, Some("UNDELIV err 11")));
        let blank = Tlvs {
            receipted_message_id: Some(" ".to_owned()),
            ..Tlvs::default()
        };
        assert_eq!(read("id:x9 stat:DELIVRD", &blank).ids, ["x9"], "an id of blanks is none");
        assert_eq!(read("", &blank).ids, [""; 0]);
    }

    #[test]
    fn ids_are_turned_only_where_that_is_no_guess() {
        for (id, all) in [
            ("2591", &["2591", "a1f"][..]),
            ("A1F", &["A1F", "2591"]),
            ("16", &["16"]),
            ("305419896", &["305419896", "12345678", "12973086870"]),
            ("xyz", &["xyz"]),
            ("123e4567-e89b", &["123e4567-e89b"]),
            (
                "99999999999999999999999999999999999999999999999999",
                &["99999999999999999999999999999999999999999999999999"],
            ),
        ] {
            assert_eq!(spellings(id), all, "{id}");
        }
    }

    #[test]
    fn an_account_may_say_how_ids_are_written() {
        for (how, id, expected) in [
            (Ids::Any, "2591", &["2591", "a1f"][..]),
            (Ids::Same, "2591", &["2591"]),
            (Ids::Decimal, "16", &["10"]),
            (Ids::Decimal, "xyz", &["xyz"]),
            (Ids::Hexadecimal, "10", &["16"]),
            (Ids::Hexadecimal, "0A1F", &["2591"]),
        ] {
            assert_eq!(how.of(&spellings(id)), expected, "{how:?} {id}");
        }
        assert_eq!(Ids::Decimal.of(&[]), [""; 0]);
    }

    proptest! {
        #[test]
        fn nothing_is_too_odd(text in "\\PC{0,200}", words in "((id|stat|err|text|sub):? ?[a-zéA-Z0-9]{0,9}[ ,é]?){0,9}") {
            let _ = (of_text(&text), of_text(&words));
        }
    }
}
