//! What the standards print, digit by digit, and the packets by which libsrtp's own tests know a right implementation.

use ctr::cipher::{KeyIvInit as _, StreamCipher as _};

use super::keys::{Counter, Session, derive};
use super::transform::{open_rtcp, open_rtp, seal_rtcp, seal_rtp};
use super::{Master, Receiver, Refused, Sender, Suite};

fn hex<const N: usize>(text: &str) -> [u8; N] {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let octets = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    octets.collect::<Vec<u8>>().try_into().unwrap()
}

/// RFC 3711 §B.2; its §B.1 is of AES-f8, which we have not.
#[test]
fn key_stream_of_rfc_3711_appendix_b_2() {
    let key: [u8; 16] = hex("2B7E151628AED2A6ABF7158809CF4F3C");
    for (iv, expected) in [
        (
            "F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000",
            "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0",
        ),
        (
            "F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF",
            "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44",
        ),
    ] {
        let mut stream = [0; 48];
        Counter::new(&key.into(), &hex::<16>(iv).into()).apply_keystream(&mut stream);
        assert_eq!(stream, hex::<48>(expected));
    }
}

const MASTER: &str = "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6";

/// RFC 3711 §B.3: of the authentication key it prints more than HMAC-SHA1 takes.
#[test]
fn session_keys_of_rfc_3711_appendix_b_3() {
    let master = Master::new(Suite::AesCm, hex(MASTER));
    assert_eq!(derive::<16>(&master, 0), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(derive::<14>(&master, 2), hex("30CBBC08863D8C85D49DB34A9AE1"));
    let authentication = hex(
        "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098 \
         6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2",
    );
    assert_eq!(derive::<94>(&master, 1), authentication);
}

/// `srtp_validate` of libsrtp's test/srtp_driver.c: AES_CM_128_HMAC_SHA1_80, sound and a report.
#[test]
fn packets_by_which_libsrtp_is_known() {
    let master = Master::new(Suite::AesCm, hex(MASTER));
    let (mut sender, mut receiver) = (Sender::new(&master), Receiver::new(&master));
    let plain: [u8; 28] = hex("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    let sealed: [u8; 38] = hex("800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb");
    assert_eq!(sender.protect(&plain).unwrap(), sealed);
    assert_eq!(receiver.open(&sealed).unwrap(), plain);
    let plain: [u8; 24] = hex("81c8000b cafebabe abababab abababab abababab abababab");
    let sealed: [u8; 38] = hex("81c8000b cafebabe 7128035b e487b9bd bef89041 f977a5a8 80000001 993e08cd 54d6c123 0798");
    assert_eq!(sender.protect_report(&plain).unwrap(), sealed);
    assert_eq!(receiver.open_report(&sealed).unwrap(), plain);
}

fn quid_pro_quo() -> Session {
    Session::gcm(hex("000102030405060708090a0b0c0d0e0f"), hex("517569642070726f2071756f"))
}

/// RFC 7714 §16.1.1 and §16.1.2.
#[test]
fn gcm_of_rfc_7714_section_16_1() {
    let plain: [u8; 50] =
        hex("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573");
    let expected: [u8; 66] = hex(
        "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d \
         7f27beb1 6a9152cf 765ee439 0cce",
    );
    let mut packet = plain.to_vec();
    seal_rtp(&quid_pro_quo(), &mut packet, 12, 0x5501_a0b2, 0xf17b).unwrap();
    assert_eq!(packet, expected);
    open_rtp(&quid_pro_quo(), &mut packet, 12, 0x5501_a0b2, 0xf17b).unwrap();
    assert_eq!(packet, plain);
}

const REPORT: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef";

/// RFC 7714 §17.1.
#[test]
fn gcm_of_rfc_7714_section_17_1() {
    let plain: [u8; 52] = hex(REPORT);
    let expected: [u8; 72] = hex(
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b \
         c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
    );
    let mut packet = plain.to_vec();
    seal_rtcp(&quid_pro_quo(), &mut packet, 0x5d4).unwrap();
    assert_eq!(packet, expected);
    assert_eq!(open_rtcp(&quid_pro_quo(), &mut packet), Ok(0x5d4));
    assert_eq!(packet, plain);
}

/// RFC 7714 §17.3: a report that is authentic and not encrypted. Its tag is right, and it is refused all the same: nobody
/// agreed on UNENCRYPTED_SRTCP (RFC 4568 §6.3.2).
#[test]
fn what_is_only_authentic_is_refused() {
    let tagged = format!("{REPORT} 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4");
    let mut packet = hex::<72>(&tagged).to_vec();
    assert_eq!(open_rtcp(&quid_pro_quo(), &mut packet), Err(Refused));
}
