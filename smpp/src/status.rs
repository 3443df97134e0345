//! What an SMSC's command_status means: every one of SMPP 3.4 §5.1.3, with what is to be done about a text it refuses.

/// What a refusal of a text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The SMSC has enough for now: nothing is sent for a while, and then the same again.
    Throttled,
    /// It speaks of the SMSC's state rather than of the text: the same text is tried again later, as long as it lives.
    Passing,
    /// It speaks of the text or of the account: no other try would help.
    Final,
}

use Meaning::{Final, Passing, Throttled};

const TABLE: [(u32, &str, Meaning); 47] = [
    (0x01, "ESME_RINVMSGLEN", Final),
    (0x02, "ESME_RINVCMDLEN", Final),
    (0x03, "ESME_RINVCMDID", Final),
    // The SMSC took the bind for gone: the next one will do.
    (0x04, "ESME_RINVBNDSTS", Passing),
    (0x05, "ESME_RALYBND", Passing),
    (0x06, "ESME_RINVPRTFLG", Final),
    (0x07, "ESME_RINVREGDLVFLG", Final),
    (0x08, "ESME_RSYSERR", Passing),
    (0x0A, "ESME_RINVSRCADR", Final),
    (0x0B, "ESME_RINVDSTADR", Final),
    (0x0C, "ESME_RINVMSGID", Final),
    (0x0D, "ESME_RBINDFAIL", Final),
    (0x0E, "ESME_RINVPASWD", Final),
    (0x0F, "ESME_RINVSYSID", Final),
    (0x11, "ESME_RCANCELFAIL", Final),
    (0x13, "ESME_RREPLACEFAIL", Final),
    (0x14, "ESME_RMSGQFUL", Throttled),
    (0x15, "ESME_RINVSERTYP", Final),
    (0x33, "ESME_RINVNUMDESTS", Final),
    (0x34, "ESME_RINVDLNAME", Final),
    (0x40, "ESME_RINVDESTFLAG", Final),
    (0x42, "ESME_RINVSUBREP", Final),
    (0x43, "ESME_RINVESMCLASS", Final),
    (0x44, "ESME_RCNTSUBDL", Final),
    // It failed, says the standard, and not why; most SMSCs say so of a number or a text that they do not take.
    (0x45, "ESME_RSUBMITFAIL", Final),
    (0x48, "ESME_RINVSRCTON", Final),
    (0x49, "ESME_RINVSRCNPI", Final),
    (0x50, "ESME_RINVDSTTON", Final),
    (0x51, "ESME_RINVDSTNPI", Final),
    (0x53, "ESME_RINVSYSTYP", Final),
    (0x54, "ESME_RINVREPFLAG", Final),
    (0x55, "ESME_RINVNUMMSGS", Final),
    (0x58, "ESME_RTHROTTLED", Throttled),
    (0x61, "ESME_RINVSCHED", Final),
    (0x62, "ESME_RINVEXPIRY", Final),
    (0x63, "ESME_RINVDFTMSGID", Final),
    (0x64, "ESME_RX_T_APPN", Passing),
    (0x65, "ESME_RX_P_APPN", Final),
    (0x66, "ESME_RX_R_APPN", Final),
    (0x67, "ESME_RQUERYFAIL", Final),
    (0xC0, "ESME_RINVOPTPARSTREAM", Final),
    (0xC1, "ESME_ROPTPARNOTALLWD", Final),
    (0xC2, "ESME_RINVPARLEN", Final),
    (0xC3, "ESME_RMISSINGOPTPARAM", Final),
    (0xC4, "ESME_RINVOPTPARAMVAL", Final),
    (0xFE, "ESME_RDELIVERYFAILURE", Final),
    // It does not say what is wrong, so nobody can say that it will last.
    (0xFF, "ESME_RUNKNOWNERR", Passing),
];

/// The standard's name and number; the number alone where the standard has none.
#[must_use]
pub fn name(status: u32) -> String {
    match TABLE.iter().find(|(number, ..)| *number == status) {
        Some((_, name, _)) => format!("{name} (0x{status:02X})"),
        None => format!("command_status 0x{status:08X}"),
    }
}

/// What a refusal means; of a number that the standard has not, that it is final.
#[must_use]
pub fn meaning(status: u32) -> Meaning {
    TABLE
        .iter()
        .find(|(number, ..)| *number == status)
        .map_or(Final, |(.., meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_one_name_and_one_meaning() {
        for (at, (number, name, _)) in TABLE.iter().enumerate() {
            assert!(*number != 0 && name.starts_with("ESME_R"));
            let again = TABLE.iter().skip(at + 1).find(|(other, of, _)| other == number || of == name);
            assert_eq!(again, None, "in order and once");
        }
        assert!(TABLE.is_sorted_by_key(|(number, ..)| *number));
        let throttled: Vec<u32> = TABLE
            .iter()
            .filter(|(.., meaning)| *meaning == Throttled)
            .map(|(number, ..)| *number)
            .collect();
        assert_eq!(throttled, [0x14, 0x58]);
        assert_eq!(
            (meaning(0x08), meaning(0x64), meaning(0x0B), meaning(0x400)),
            (Passing, Passing, Final, Final)
        );
        assert_eq!(name(0x58), "ESME_RTHROTTLED (0x58)");
        assert_eq!(name(0x400), "command_status 0x00000400");
    }
}
