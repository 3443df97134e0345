//! Captures that nobody needs to be root for: what one side kept of a TCP connection, written as libpcap's classic format
//! with made-up IPv4 and TCP headers, for a dissector to read.

use std::collections::BTreeMap;

/// The port of the side that listens, in every capture.
pub const PORT: u16 = 2775;

/// LINKTYPE_RAW: packets begin with their IP header.
const RAW: u32 = 101;
/// Longest payload of one packet.
const LONGEST: usize = 60_000;

/// Bytes on their way.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Which connection; below 10,000.
    pub link: u16,
    /// Whether the side that listens sent them.
    pub from_listener: bool,
    /// What was sent.
    pub bytes: &'a [u8],
}

/// A capture of these pieces in their order, a packet each, a millisecond apart.
#[must_use]
pub fn written<'a>(pieces: impl IntoIterator<Item = Piece<'a>>) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xA1B2_C3D4_u32, 0x0004_0002, 0, 0, 65_535, RAW] {
        file.extend(word.to_le_bytes());
    }
    let (mut sent, mut milliseconds) = (BTreeMap::<(u16, bool), u32>::new(), 0_u32);
    for piece in pieces {
        for bytes in piece.bytes.chunks(LONGEST) {
            let [ours, theirs] = [piece.from_listener, !piece.from_listener].map(|side| *sent.entry((piece.link, side)).or_insert(1));
            let packet = packet(piece, bytes, ours, theirs);
            let length = u32::try_from(packet.len()).unwrap_or(0);
            for word in [milliseconds / 1000, milliseconds % 1000 * 1000, length, length] {
                file.extend(word.to_le_bytes());
            }
            file.extend(packet);
            milliseconds += 1;
            sent.insert(
                (piece.link, piece.from_listener),
                ours.wrapping_add(u32::try_from(bytes.len()).unwrap_or(0)),
            );
        }
    }
    file
}

/// IPv4 (RFC 791) and TCP (RFC 9293) around a payload. The TCP checksum is left out, which dissectors do not mind.
fn packet(piece: Piece<'_>, payload: &[u8], sequence: u32, acknowledged: u32) -> Vec<u8> {
    const HEADERS: usize = 40;
    let length = u16::try_from(HEADERS + payload.len()).unwrap_or(u16::MAX);
    let client = 40_000 + piece.link;
    let (from, to) = if piece.from_listener { (PORT, client) } else { (client, PORT) };
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
    let sum: u32 = packet
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let folded = (sum & 0xFFFF) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xFFFF) + (folded >> 16)).unwrap_or(0);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(from.to_be_bytes());
    packet.extend(to.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend(acknowledged.to_be_bytes());
    packet.extend([0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0]);
    packet.extend(payload);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_where_they_belong() {
        let piece = |from_listener, bytes| Piece {
            link: 1,
            from_listener,
            bytes,
        };
        let file = written([piece(false, b"abc".as_slice()), piece(true, b"d"), piece(false, b"e")]);
        assert_eq!(
            (&file[..4], file.len()),
            ([0xD4, 0xC3, 0xB2, 0xA1].as_slice(), 24 + 3 * (16 + 40) + 5)
        );
        let third = &file[24 + 2 * 56 + 4 + 16..];
        assert_eq!((&third[..2], third[40]), ([0x45, 0].as_slice(), b'e'));
        // What the first packet had is counted in its sequence, what the second had in its acknowledgement.
        assert_eq!((&third[24..28], &third[28..32]), ([0, 0, 0, 4].as_slice(), [0, 0, 0, 2].as_slice()));
        let sum: u32 = third[..20]
            .chunks_exact(2)
            .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum();
        assert_eq!((sum & 0xFFFF) + (sum >> 16), 0xFFFF);
    }
}
