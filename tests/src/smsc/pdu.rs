//! SMPP 3.4 PDUs by hand, byte for byte.

/// deliver_sm.
pub const DELIVER_SM: u32 = 0x05;
/// submit_sm.
pub const SUBMIT_SM: u32 = 0x04;
/// query_sm.
pub const QUERY_SM: u32 = 0x03;
/// replace_sm.
pub const REPLACE_SM: u32 = 0x07;
/// cancel_sm.
pub const CANCEL_SM: u32 = 0x08;
/// unbind.
pub const UNBIND: u32 = 0x06;
/// enquire_link.
pub const ENQUIRE_LINK: u32 = 0x15;
/// generic_nack.
pub const GENERIC_NACK: u32 = 0x8000_0000;
/// Set in every response.
pub const RESPONSE: u32 = 0x8000_0000;

/// The GSM 7-bit default alphabet (3GPP TS 23.038 §6.2.1), each character at the place of its code.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                   ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// A whole PDU.
#[must_use]
pub fn pdu(id: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + body.len());
    for word in [u32::try_from(16 + body.len()).unwrap_or(u32::MAX), id, status, sequence] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.extend(body);
    bytes
}

/// The words of a header: command_length, command_id, command_status, sequence_number.
#[must_use]
pub fn header(bytes: &[u8]) -> Option<[u32; 4]> {
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes);
    Some([word(0)?, word(4)?, word(8)?, word(12)?])
}

/// A message that the peer delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// source_addr, digits.
    pub from: String,
    /// Its type of number; 1 is international.
    pub from_ton: u8,
    /// destination_addr.
    pub to: String,
    /// esm_class: 0x40 with a user data header, 0x04 for a receipt.
    pub esm_class: u8,
    /// data_coding: 0, 3, 8.
    pub data_coding: u8,
    /// short_message, its header included.
    pub body: Vec<u8>,
    /// Optional parameters, coded.
    pub tlvs: Vec<u8>,
}

impl Message {
    /// As a telephone sends it: in the SMSC's default alphabet, GSM 7-bit, when that has every character, else UTF-16.
    #[must_use]
    pub fn plain(from: &str, text: &str) -> Self {
        let Some(body) = gsm(text) else { return Self::ucs2(from, text) };
        Self {
            from: from.to_owned(),
            from_ton: 1,
            to: "36123".to_owned(),
            esm_class: 0,
            data_coding: 0,
            body,
            tlvs: Vec::new(),
        }
    }

    /// UTF-16, big-endian.
    #[must_use]
    pub fn ucs2(from: &str, text: &str) -> Self {
        let body = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        Self {
            data_coding: 8,
            body,
            ..Self::plain(from, "")
        }
    }

    /// ISO 8859-1; other characters become question marks.
    #[must_use]
    pub fn latin1(from: &str, text: &str) -> Self {
        let body = text.chars().map(|char| u8::try_from(u32::from(char)).unwrap_or(b'?')).collect();
        Self {
            data_coding: 3,
            body,
            ..Self::plain(from, "")
        }
    }

    /// Makes it one part of a long message, with an 8-bit reference.
    #[must_use]
    pub fn part(mut self, reference: u8, total: u8, number: u8) -> Self {
        self.esm_class |= 0x40;
        self.body.splice(0..0, [5, 0, 3, reference, total, number]);
        self
    }

    /// A delivery receipt in the wording of SMPP 3.4 appendix B, from the citizen to us.
    #[must_use]
    pub fn receipt(from: &str, id: &str, state: &str) -> Self {
        let text = format!("id:{id} sub:001 dlvrd:001 submit date:2611240800 done date:2611240801 stat:{state} err:000 text:");
        Self {
            esm_class: 0x04,
            ..Self::plain(from, &text)
        }
    }

    /// The body of its deliver_sm.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        let mut body = vec![0, self.from_ton, 1];
        body.extend(self.from.as_bytes());
        body.extend([0, 3, 0]);
        body.extend(self.to.as_bytes());
        // protocol_id, priority, two times, registered_delivery, replace, data_coding, default message.
        body.extend([0, self.esm_class, 0, 0, 0, 0, 0, 0, self.data_coding, 0]);
        body.push(u8::try_from(self.body.len()).unwrap_or(u8::MAX));
        body.extend(self.body.iter().take(255));
        body.extend(&self.tlvs);
        body
    }
}

/// A submit_sm as it came, field by field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// Type, plan and digits of the source.
    pub source: (u8, u8, String),
    /// Type, plan and digits of the destination.
    pub destination: (u8, u8, String),
    /// esm_class.
    pub esm_class: u8,
    /// priority_flag.
    pub priority: u8,
    /// validity_period.
    pub validity: String,
    /// registered_delivery.
    pub registered_delivery: u8,
    /// data_coding.
    pub data_coding: u8,
    /// short_message.
    pub message: Vec<u8>,
    /// Optional parameters, as they came.
    pub tlvs: Vec<u8>,
    /// The id that this SMSC gave, and the one that its receipts bear.
    pub ids: (String, String),
}

impl Submit {
    /// Reads the body of a submit_sm; `None` when it is cut off.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let mut rest = body;
        text(&mut rest)?;
        let source = (byte(&mut rest)?, byte(&mut rest)?, text(&mut rest)?);
        let destination = (byte(&mut rest)?, byte(&mut rest)?, text(&mut rest)?);
        let esm_class = byte(&mut rest)?;
        let (_protocol, priority) = (byte(&mut rest)?, byte(&mut rest)?);
        let (_schedule, validity) = (text(&mut rest)?, text(&mut rest)?);
        let registered_delivery = byte(&mut rest)?;
        let _replace = byte(&mut rest)?;
        let data_coding = byte(&mut rest)?;
        let _canned = byte(&mut rest)?;
        let length = usize::from(byte(&mut rest)?);
        let (message, tlvs) = (rest.get(..length)?.to_vec(), rest.get(length..)?.to_vec());
        Some(Self {
            source,
            destination,
            esm_class,
            priority,
            validity,
            registered_delivery,
            data_coding,
            message,
            tlvs,
            ids: Default::default(),
        })
    }

    /// The text, when it is UTF-16 or GSM 7-bit without its extension table.
    #[must_use]
    pub fn text(&self) -> String {
        if self.data_coding == 8 {
            let units: Vec<u16> = self
                .message
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16_lossy(&units)
        } else {
            let char = |code: &u8| GSM.chars().nth(usize::from(*code)).unwrap_or(char::REPLACEMENT_CHARACTER);
            self.message.iter().map(char).collect()
        }
    }
}

/// A replace_sm as it came, field by field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replace {
    /// message_id: what is to be replaced.
    pub id: String,
    /// Type, plan and digits of the source.
    pub source: (u8, u8, String),
    /// schedule_delivery_time.
    pub schedule: String,
    /// validity_period.
    pub validity: String,
    /// registered_delivery.
    pub registered_delivery: u8,
    /// short_message.
    pub message: Vec<u8>,
}

impl Replace {
    /// Reads the body of a replace_sm; `None` when it is cut off, or longer than it says.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let mut rest = body;
        let id = text(&mut rest)?;
        let source = (byte(&mut rest)?, byte(&mut rest)?, text(&mut rest)?);
        let (schedule, validity) = (text(&mut rest)?, text(&mut rest)?);
        let registered_delivery = byte(&mut rest)?;
        let _canned = byte(&mut rest)?;
        let length = usize::from(byte(&mut rest)?);
        (rest.len() == length).then(|| Self {
            id,
            source,
            schedule,
            validity,
            registered_delivery,
            message: rest.to_vec(),
        })
    }
}

/// GSM 7-bit, a code an octet; `None` when a character is not in it.
fn gsm(text: &str) -> Option<Vec<u8>> {
    let code = |char| GSM.chars().position(|known| known == char).and_then(|at| u8::try_from(at).ok());
    text.chars().map(code).collect()
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    Some(*first)
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let text = String::from_utf8_lossy(&rest[..end]).into_owned();
    *rest = &rest[end + 1..];
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_sent_as_a_telephone_sends_it() {
        assert_eq!(GSM.chars().count(), 128);
        let gsm = Message::plain("33612345678", "Déjà cassé @_$ à l'école");
        assert_eq!((gsm.data_coding, &gsm.body[..10]), (0, b"D\x05j\x7f cass\x05".as_slice()));
        assert_eq!(&gsm.body[11..14], [0x00, 0x11, 0x02]);
        let ucs2 = Message::plain("33612345678", "prêt");
        assert_eq!((ucs2.data_coding, ucs2.body.as_slice()), (8, b"\0p\0r\0\xea\0t".as_slice()));
        let ascii = Message::plain("33612345678", "Bonjour, texte 7");
        assert_eq!((ascii.data_coding, ascii.body.as_slice()), (0, b"Bonjour, texte 7".as_slice()));
    }
}
