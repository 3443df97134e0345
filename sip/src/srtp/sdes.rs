//! `a=crypto` (RFC 4568): what an offer brings, and what we write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::{Master, Suite};

/// One line of an offer or answer that we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Offered {
    /// Its number, which the answer repeats.
    pub(crate) tag: u32,
    /// The writer's key.
    pub(crate) master: Master,
}

impl Offered {
    /// Reads what stands behind `a=crypto:`. `None` for another suite, for session parameters that would change the packets
    /// (RFC 4568 §6.3), for a key with an identifier in each packet (MKI), and for what is malformed.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag: u32 = words.next()?.parse().ok().filter(|tag| *tag < 1_000_000_000)?;
        let name = words.next()?;
        let suite = Suite::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))?;
        let inline = words.next()?.strip_prefix("inline:")?;
        // A hint for the window of repetitions changes no packet.
        if words.any(|parameter| !parameter.starts_with("WSH=")) {
            return None;
        }
        // Of several keys they would change between them; the first is enough of one, with the time of its life or without.
        let (text, life) = inline.split_once('|').map_or((inline, None), |(text, life)| (text, Some(life)));
        if inline.contains(';') || life.is_some_and(|life| !is_lifetime(life)) {
            return None;
        }
        // Some leave out the padding that belongs there.
        let text = text.trim_end_matches('=');
        let octets = base64::engine::general_purpose::STANDARD_NO_PAD.decode(text).ok()?;
        if octets.len() != suite.length() {
            return None;
        }
        let mut master = [0; 30];
        master[..octets.len()].copy_from_slice(&octets);
        Some(Self {
            tag,
            master: Master::new(suite, master),
        })
    }
}

/// Whether it is a number of packets, as `2^20` or in full (RFC 4568 §6.1). No call has so many that a key would end: the
/// shortest that anybody writes are hours.
fn is_lifetime(text: &str) -> bool {
    let number = text.strip_prefix("2^").unwrap_or(text);
    !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit())
}

/// A message in which no key can be read: what is kept of a call must not open what somebody on the way has kept of it.
#[cfg_attr(not(feature = "shell"), expect(dead_code, reason = "only the store keeps messages"))]
pub(crate) fn hidden(message: &Bytes) -> Bytes {
    const INLINE: &[u8] = b"inline:";
    let mut from = 0;
    let mut kept = None;
    while let Some(at) = message[from..]
        .windows(INLINE.len())
        .position(|octets| octets.eq_ignore_ascii_case(INLINE))
    {
        from += at + INLINE.len();
        let key = message[from..]
            .iter()
            .take_while(|octet| !octet.is_ascii_whitespace() && **octet != b'|')
            .count();
        kept.get_or_insert_with(|| message.to_vec())[from..from + key].fill(b'*');
        from += key;
    }
    kept.map_or_else(|| message.clone(), Bytes::from)
}

/// The line of one of our keys.
pub(crate) fn attribute(tag: u32, master: &Master) -> String {
    format!(
        "a=crypto:{tag} {} inline:{}\r\n",
        master.suite().name(),
        STANDARD.encode(master.octets())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn the_example_of_rfc_4568_is_read_and_written() {
        let line = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20");
        let found = Offered::parse(&line).unwrap();
        assert_eq!((found.tag, found.master.suite()), (1, Suite::AesCm));
        assert_eq!(
            attribute(1, &found.master),
            format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n")
        );
        let gcm = Master::new(Suite::AesGcm, [9; 30]);
        let written = attribute(7, &gcm);
        let back = Offered::parse(written.trim_end().strip_prefix("a=crypto:").unwrap()).unwrap();
        assert_eq!((back.tag, back.master), (7, gcm));
    }

    #[test]
    fn what_would_change_packets_is_passed_by() {
        for line in [
            // The forms of RFC 4568 §6.1: an identifier (MKI) behind the lifetime, or without one.
            "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80 inline:YUJDZGVmZ2hpSktMbW9QUXJzVHVWd3l6MTIzNDU2|1066:4".to_owned(),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|soon"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|2^20"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4;inline:{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=1"),
            format!("1 AEAD_AES_128_GCM inline:{KEY}"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ=".to_owned(),
            "x AES_CM_128_HMAC_SHA1_80".to_owned(),
            String::new(),
        ] {
            assert_eq!(Offered::parse(&line), None, "{line}");
        }
        for life in ["", "|2^20", "|2^48", "|1048576"] {
            let line = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{life}");
            assert!(Offered::parse(&line).is_some(), "{line}");
        }
        let window = format!("2 aes_cm_128_hmac_sha1_80 inline:{KEY} WSH=128");
        assert_eq!(Offered::parse(&window).unwrap().tag, 2);
    }

    #[test]
    fn what_is_kept_shows_no_key() {
        let message = format!("INVITE x\r\n\r\na=crypto:1 S inline:{KEY}|2^20 WSH=1\r\na=crypto:2 S INLINE:{KEY}");
        let stars = "*".repeat(KEY.len());
        let kept = hidden(&Bytes::from(message.clone()));
        assert_eq!(kept, message.replace(KEY, &stars).as_bytes());
        let plain = Bytes::from_static(b"INVITE x\r\n\r\na=inline");
        assert_eq!(hidden(&plain), plain);
    }

    proptest! {
        #[test]
        fn never_panics(value in ".{0,120}") {
            let _ = Offered::parse(&value);
        }
    }
}
