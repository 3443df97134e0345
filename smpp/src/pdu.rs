//! PDUs read and written, with rusmpp's types underneath.
//!
//! The fields that a deliver_sm must have are read by rusmpp. Its optional parameters (SMPP 3.4
//! §5.3) are walked here: one with an odd value must not cost a citizen his text, and one whose
//! length runs over the end makes the whole PDU unreadable.

use bytes::{Bytes, BytesMut};
use rusmpp::decode::DecodeWithLength;
use rusmpp::encode::{Length, owned::Encode};
use rusmpp::pdus::{BindReceiver, BindTransceiver, BindTransmitter};
use rusmpp::types::COctetString;
use rusmpp::values::InterfaceVersion;
use rusmpp::{Command, CommandStatus, Pdu};

use crate::cursor::Cursor;
use crate::frame::{Frame, HEADER};

/// command_id (SMPP 3.4 §5.1.2.1) of what this side must know by number.
pub mod command {
    /// generic_nack.
    pub const GENERIC_NACK: u32 = 0x8000_0000;
    /// submit_sm.
    pub const SUBMIT_SM: u32 = 0x0000_0004;
    /// submit_sm_resp.
    pub const SUBMIT_SM_RESP: u32 = 0x8000_0004;
    /// query_sm_resp.
    pub const QUERY_SM_RESP: u32 = 0x8000_0003;
    /// replace_sm_resp.
    pub const REPLACE_SM_RESP: u32 = 0x8000_0007;
    /// cancel_sm_resp.
    pub const CANCEL_SM_RESP: u32 = 0x8000_0008;
    /// deliver_sm.
    pub const DELIVER_SM: u32 = 0x0000_0005;
    /// unbind.
    pub const UNBIND: u32 = 0x0000_0006;
    /// unbind_resp.
    pub const UNBIND_RESP: u32 = 0x8000_0006;
    /// outbind, which nobody answers.
    pub const OUTBIND: u32 = 0x0000_000B;
    /// enquire_link.
    pub const ENQUIRE_LINK: u32 = 0x0000_0015;
    /// enquire_link_resp.
    pub const ENQUIRE_LINK_RESP: u32 = 0x8000_0015;
    /// alert_notification, which nobody answers.
    pub const ALERT_NOTIFICATION: u32 = 0x0000_0102;
    /// data_sm.
    pub const DATA_SM: u32 = 0x0000_0103;
    /// Set in every response.
    pub const RESPONSE: u32 = 0x8000_0000;
}

/// command_status (SMPP 3.4 §5.1.3) of what is acted upon.
pub mod status {
    /// Done.
    pub const OK: u32 = 0x00;
    /// command_length is invalid.
    pub const INVALID_LENGTH: u32 = 0x02;
    /// command_id is unknown.
    pub const INVALID_COMMAND: u32 = 0x03;
    /// Not in this state of the bind.
    pub const INVALID_BIND_STATE: u32 = 0x04;
    /// The bind failed.
    pub const BIND_FAILED: u32 = 0x0D;
    /// The password is wrong.
    pub const INVALID_PASSWORD: u32 = 0x0E;
    /// The system_id is unknown.
    pub const INVALID_SYSTEM_ID: u32 = 0x0F;
    /// The SMSC's queue is full: later.
    pub const QUEUE_FULL: u32 = 0x14;
    /// Too fast: later.
    pub const THROTTLED: u32 = 0x58;
    /// This message will never be taken; it is not to be sent again.
    pub const PERMANENT_REFUSAL: u32 = 0x65;
}

/// A number with what SMPP says of it (§5.2.5, §5.2.6).
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// Type of number.
    pub ton: u8,
    /// Numbering plan.
    pub npi: u8,
    /// At most 20 characters.
    pub number: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = voxea_rules::redact::Number(&self.number);
        write!(f, "{}:{}:{shown}", self.ton, self.npi)
    }
}

/// One part of a long message (SMPP 3.4 §5.3.2.22 to 24, or 3GPP TS 23.040 §9.2.3.24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The same in all parts of a message, within the width that the sender uses.
    pub reference: u16,
    /// How many parts there are, from 1.
    pub total: u8,
    /// Which this is, from 1 to `total`.
    pub number: u8,
}

/// Optional parameters that are acted upon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tlvs {
    /// receipted_message_id (§5.3.2.12).
    pub receipted_message_id: Option<String>,
    /// message_state (§5.2.28).
    pub message_state: Option<u8>,
    /// network_error_code (§5.3.2.31): network type and code.
    pub network_error: Option<(u8, u16)>,
    /// sar_msg_ref_num, sar_total_segments, sar_segment_seqnum, when they fit together.
    pub sar: Option<Part>,
}

/// A deliver_sm or data_sm that could be read. What it says is for [`crate::content`] to find out.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Who wrote, or whom a receipt is about.
    pub source: Address,
    /// To which of our numbers.
    pub destination: Address,
    /// esm_class (§5.2.12).
    pub esm_class: u8,
    /// data_coding (§5.2.19).
    pub data_coding: u8,
    /// short_message, or message_payload where that is given.
    pub body: Bytes,
    /// Optional parameters.
    pub tlvs: Tlvs,
    /// The whole PDU as it came.
    pub raw: Bytes,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("source", &self.source)
            .field("esm_class", &self.esm_class)
            .field("data_coding", &self.data_coding)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A deliver_sm or data_sm that could not be read, with what was found before it went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong with it.
    pub what: &'static str,
    /// source_addr.
    pub source: Option<Address>,
    /// destination_addr.
    pub destination: Option<Address>,
    /// esm_class.
    pub esm_class: Option<u8>,
}

/// The mandatory fields, found by their places; `end` only when all are there.
#[derive(Default)]
struct Walked {
    source: Option<Address>,
    destination: Option<Address>,
    esm_class: Option<u8>,
    end: Option<usize>,
}

/// TON, NPI and number; of a number longer than any, its beginning.
pub(crate) fn read_address(cursor: &mut Cursor<'_>) -> Option<Address> {
    let (ton, npi) = (cursor.byte()?, cursor.byte()?);
    let number = String::from_utf8_lossy(cursor.text()?).chars().take(64).collect();
    Some(Address { ton, npi, number })
}

fn walk(body: &[u8], data_sm: bool) -> Walked {
    fn step(cursor: &mut Cursor<'_>, data_sm: bool, walked: &mut Walked) -> Option<()> {
        cursor.text()?;
        walked.source = Some(read_address(cursor)?);
        walked.destination = Some(read_address(cursor)?);
        walked.esm_class = Some(cursor.byte()?);
        if data_sm {
            cursor.take(2)?;
            return Some(());
        }
        cursor.take(2)?;
        cursor.text()?;
        cursor.text()?;
        cursor.take(4)?;
        let length = cursor.byte()?;
        cursor.take(usize::from(length)).map(|_| ())
    }
    let (mut cursor, mut walked) = (Cursor::new(body), Walked::default());
    if step(&mut cursor, data_sm, &mut walked).is_some() {
        walked.end = Some(body.len() - cursor.left());
    }
    walked
}

/// Reads a deliver_sm or data_sm.
///
/// # Errors
/// [`Unreadable`] when a mandatory field or the structure of the optional ones is broken.
pub fn read_delivery(frame: &Frame) -> Result<Delivery, Unreadable> {
    let walked = walk(frame.body(), frame.id() == command::DATA_SM);
    match delivery(frame, walked.end) {
        Ok(delivery) => Ok(delivery),
        Err(what) => Err(Unreadable {
            what,
            source: walked.source,
            destination: walked.destination,
            esm_class: walked.esm_class,
        }),
    }
}

fn delivery(frame: &Frame, end: Option<usize>) -> Result<Delivery, &'static str> {
    let end = end.ok_or("a mandatory field is cut off")?;
    let (tlvs, payload) = tlvs(frame.bytes(), HEADER + end)?;
    let mandatory = frame.bytes().get(4..HEADER + end).unwrap_or_default();
    let (source, destination, esm_class, data_coding, short) = match decode(mandatory) {
        Some(Pdu::DeliverSm(pdu)) => (
            address(pdu.source_addr_ton.into(), pdu.source_addr_npi.into(), pdu.source_addr.as_str()),
            address(pdu.dest_addr_ton.into(), pdu.dest_addr_npi.into(), pdu.destination_addr.as_str()),
            pdu.esm_class,
            pdu.data_coding,
            frame.bytes().slice(HEADER + end - pdu.short_message().length()..HEADER + end),
        ),
        Some(Pdu::DataSm(pdu)) => (
            address(pdu.source_addr_ton.into(), pdu.source_addr_npi.into(), pdu.source_addr.as_str()),
            address(pdu.dest_addr_ton.into(), pdu.dest_addr_npi.into(), pdu.destination_addr.as_str()),
            pdu.esm_class,
            pdu.data_coding,
            Bytes::new(),
        ),
        _ => return Err("a mandatory field is not what the standard allows"),
    };
    Ok(Delivery {
        source,
        destination,
        esm_class: esm_class.into(),
        data_coding: data_coding.into(),
        body: payload.unwrap_or(short),
        tlvs,
        raw: frame.bytes().clone(),
    })
}

fn address(ton: u8, npi: u8, number: &str) -> Address {
    Address {
        ton,
        npi,
        number: number.to_owned(),
    }
}

/// Decodes a PDU given without its command_length.
fn decode(bytes: &[u8]) -> Option<Pdu> {
    let mut buffer = BytesMut::from(bytes);
    let (command, _) = <Command as DecodeWithLength>::decode(&mut buffer, bytes.len()).ok()?;
    command.pdu().cloned()
}

/// Walks the optional parameters from `start`; a message_payload is handed back beside them.
fn tlvs(bytes: &Bytes, start: usize) -> Result<(Tlvs, Option<Bytes>), &'static str> {
    const CUT: &str = "an optional parameter is cut off";
    let (mut tlvs, mut payload) = (Tlvs::default(), None);
    let (mut reference, mut total, mut number) = (None, None, None);
    let mut cursor = Cursor::new(bytes.get(start..).unwrap_or_default());
    while cursor.left() > 0 {
        let tag = cursor.word().ok_or(CUT)?;
        let length = usize::from(cursor.word().ok_or(CUT)?);
        let value = cursor.take(length).ok_or(CUT)?;
        match (tag, value) {
            (0x001E, id) => {
                let id = id.split(|byte| *byte == 0).next().unwrap_or_default();
                tlvs.receipted_message_id = Some(String::from_utf8_lossy(id).chars().take(65).collect());
            }
            (0x0427, [state]) => tlvs.message_state = Some(*state),
            (0x0423, [network, high, low]) => {
                tlvs.network_error = Some((*network, u16::from_be_bytes([*high, *low])));
            }
            (0x020C, [high, low]) => reference = Some(u16::from_be_bytes([*high, *low])),
            (0x020E, [count]) => total = Some(*count),
            (0x020F, [count]) => number = Some(*count),
            (0x0424, value) => payload = Some(bytes.slice_ref(value)),
            _ => {}
        }
    }
    if let (Some(reference), Some(total), Some(number)) = (reference, total, number)
        && total > 1
        && (1..=total).contains(&number)
    {
        tlvs.sar = Some(Part { reference, total, number });
    }
    Ok((tlvs, payload))
}

/// The message_id of a submit_sm_resp (§4.4.2); `None` when it has none.
#[must_use]
pub fn message_id(frame: &Frame) -> Option<String> {
    let id = match decode(frame.bytes().get(4..).unwrap_or_default()) {
        Some(Pdu::SubmitSmResp(resp)) => resp.message_id().as_str().to_owned(),
        // Longer than allowed, or without its end: an id all the same.
        _ => {
            let id = frame.body().split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(id).chars().take(65).collect()
        }
    };
    (!id.is_empty()).then_some(id)
}

/// interface_version of SMPP 5.0 (§4.7.13 there).
pub const VERSION_5: u8 = 0x50;

/// In which directions a bind carries messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    /// Both.
    Transceiver,
    /// Only ours.
    Transmitter,
    /// Only the SMSC's.
    Receiver,
}

impl Bind {
    /// command_id of its response.
    #[must_use]
    pub const fn response(self) -> u32 {
        match self {
            Self::Receiver => 0x8000_0001,
            Self::Transmitter => 0x8000_0002,
            Self::Transceiver => 0x8000_0009,
        }
    }
}

/// What a bind request says (§4.1).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// At most 15 characters.
    pub system_id: String,
    /// At most 8 characters.
    pub password: String,
    /// At most 12 characters, mostly empty.
    pub system_type: String,
    /// 0x34 or 0x50.
    pub version: u8,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.system_id)
    }
}

/// A field is longer than SMPP allows, or not ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is longer than SMPP allows, or not ASCII")]
pub struct Unwritable(pub &'static str);

/// A field that ends with a NUL.
pub(crate) fn text<const MAX: usize>(name: &'static str, text: &str) -> Result<COctetString<1, MAX>, Unwritable> {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    COctetString::from_vec(bytes).map_err(|_| Unwritable(name))
}

/// A bind request.
///
/// # Errors
/// [`Unwritable`].
pub fn bind(bind: Bind, credentials: &Credentials) -> Result<Pdu, Unwritable> {
    let transceiver = BindTransceiver {
        system_id: text("system_id", &credentials.system_id)?,
        password: text("password", &credentials.password)?,
        system_type: text("system_type", &credentials.system_type)?,
        interface_version: InterfaceVersion::from(credentials.version),
        ..BindTransceiver::default()
    };
    let BindTransceiver {
        system_id,
        password,
        system_type,
        interface_version,
        addr_ton,
        addr_npi,
        address_range,
    } = transceiver.clone();
    Ok(match bind {
        Bind::Transceiver => transceiver.into(),
        Bind::Transmitter => BindTransmitter::new(
            system_id,
            password,
            system_type,
            interface_version,
            addr_ton,
            addr_npi,
            address_range,
        )
        .into(),
        Bind::Receiver => BindReceiver::new(
            system_id,
            password,
            system_type,
            interface_version,
            addr_ton,
            addr_npi,
            address_range,
        )
        .into(),
    })
}

/// Appends a whole PDU to what is to be sent.
pub fn write(out: &mut BytesMut, status: u32, sequence: u32, pdu: Pdu) {
    let command = Command::new(CommandStatus::from(status), sequence, pdu);
    let length = 4 + command.length();
    out.reserve(length);
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    command.encode(out);
}
