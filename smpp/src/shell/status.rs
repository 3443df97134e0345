//! What an SMSC's command_status means to people (SMPP 3.4 §5.1.3).

const NAMES: [(u32, &str); 26] = [
    (0x01, "ESME_RINVMSGLEN"),
    (0x02, "ESME_RINVCMDLEN"),
    (0x03, "ESME_RINVCMDID"),
    (0x04, "ESME_RINVBNDSTS"),
    (0x05, "ESME_RALYBND"),
    (0x08, "ESME_RSYSERR"),
    (0x0A, "ESME_RINVSRCADR"),
    (0x0B, "ESME_RINVDSTADR"),
    (0x0D, "ESME_RBINDFAIL"),
    (0x0E, "ESME_RINVPASWD"),
    (0x0F, "ESME_RINVSYSID"),
    (0x14, "ESME_RMSGQFUL"),
    (0x15, "ESME_RINVSERTYP"),
    (0x43, "ESME_RINVESMCLASS"),
    (0x45, "ESME_RSUBMITFAIL"),
    (0x48, "ESME_RINVSRCTON"),
    (0x49, "ESME_RINVSRCNPI"),
    (0x50, "ESME_RINVDSTTON"),
    (0x51, "ESME_RINVDSTNPI"),
    (0x53, "ESME_RINVSYSTYP"),
    (0x58, "ESME_RTHROTTLED"),
    (0x62, "ESME_RINVEXPIRY"),
    (0x64, "ESME_RX_T_APPN"),
    (0x65, "ESME_RX_P_APPN"),
    (0x66, "ESME_RX_R_APPN"),
    (0xFF, "ESME_RUNKNOWNERR"),
];

/// The standard's name and number; the number alone where the standard has none.
pub(super) fn name(status: u32) -> String {
    match NAMES.iter().find(|(number, _)| *number == status) {
        Some((_, name)) => format!("{name} (0x{status:02X})"),
        None => format!("command_status 0x{status:08X}"),
    }
}

/// Whether a refusal speaks of the SMSC's state rather than of the text: worth a few more tries.
pub(super) const fn is_passing(status: u32) -> bool {
    matches!(status, 0x04 | 0x08 | 0x64)
}
