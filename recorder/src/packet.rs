//! One RTP packet, as far as the recorder needs it (RFC 3550 §5.1).

use rtp_rs::RtpReader;

/// The payload type of comfort noise (RFC 3389 §4).
pub const COMFORT_NOISE: u8 = 13;

/// The longest payload taken: 200 ms of G.711, beyond any packet time in use.
pub const MAX_PAYLOAD: usize = 1_600;

/// A parsed RTP packet, borrowing its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Synchronisation source.
    pub ssrc: u32,
    /// 16-bit sequence number.
    pub sequence: u16,
    /// 32-bit timestamp, in samples.
    pub timestamp: u32,
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// The marker bit: the first packet of a talk spurt (RFC 3551 §4.1).
    pub marker: bool,
    /// The payload without padding.
    pub payload: &'a [u8],
}

/// The octets are not an RTP version 2 packet, or an absurdly long one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an RTP packet")]
pub struct Malformed;

impl<'a> Packet<'a> {
    /// Reads one datagram.
    ///
    /// # Errors
    /// [`Malformed`] for a wrong version, truncated headers, impossible
    /// padding, or a payload above [`MAX_PAYLOAD`].
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let reader = RtpReader::new(datagram).map_err(|_| Malformed)?;
        let payload = reader.payload();
        if payload.len() > MAX_PAYLOAD {
            return Err(Malformed);
        }
        Ok(Self {
            ssrc: reader.ssrc(),
            sequence: reader.sequence_number().into(),
            timestamp: reader.timestamp(),
            payload_type: reader.payload_type(),
            marker: reader.mark(),
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_header_extension_and_padding() {
        let mut datagram = vec![0xB0, 0x88, 0x12, 0x34, 0, 0, 0, 160, 0xDE, 0xAD, 0xBE, 0xEF];
        datagram.extend([0xBE, 0xDE, 0, 1, 1, 2, 3, 4]); // one word of extension
        datagram.extend([0xAA, 0xBB, 0xCC, 0, 0, 3]); // three octets, three of padding
        let packet = Packet::parse(&datagram).unwrap();
        assert_eq!(packet.payload, [0xAA, 0xBB, 0xCC]);
        assert_eq!((packet.ssrc, packet.sequence, packet.timestamp), (0xDEAD_BEEF, 0x1234, 160));
        assert_eq!((packet.payload_type, packet.marker), (8, true));
    }

    #[test]
    fn refuses_what_is_not_rtp() {
        assert_eq!(Packet::parse(b""), Err(Malformed));
        assert_eq!(Packet::parse(&[0x80; 11]), Err(Malformed));
        assert_eq!(Packet::parse(&[0x00; 172]), Err(Malformed), "version 0, as STUN has it");
        let mut padded = [0x80u8; 20];
        padded[0] = 0xA0;
        padded[19] = 200;
        assert_eq!(Packet::parse(&padded), Err(Malformed), "padding longer than the packet");
        assert_eq!(Packet::parse(&vec![0x80; 12 + MAX_PAYLOAD + 1]), Err(Malformed));
    }

    proptest! {
        #[test]
        fn never_panics(datagram in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = Packet::parse(&datagram);
        }
    }
}
