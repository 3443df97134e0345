//! Offer and answer (RFC 3264): one stream of sound: PCMA, PCMU or G.722.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use super::{Codec, Description, Direction, Media, Sources};
use crate::srtp::{self, Keys, Policy, Security, Suite};

/// The payload type that our offer gives to telephone events.
const EVENTS: u8 = 101;

/// Our side of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Where our RTP socket is, as the peer reaches it.
    pub address: SocketAddr,
    /// `sess-id` of `o=`: stays for the whole call.
    pub session: u64,
    /// `sess-version` of `o=`: rises with every description.
    pub version: u64,
    /// Whether sound is to be encrypted, and our keys.
    pub security: Security,
}

/// What both sides agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// Where the peer wants our packets; `None` while it holds the call the old way.
    pub remote: Option<SocketAddr>,
    /// The codec, the same both ways.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// Payload type of DTMF events (RFC 4733), when the peer knows them.
    pub events: Option<u8>,
    /// Who sends, seen from us.
    pub direction: Direction,
    /// Where the peer wants reports, when not on the port after that of sound.
    pub rtcp: Option<SocketAddr>,
    /// Whether reports share the port of sound.
    pub rtcp_mux: bool,
    /// The sources by which the peer sends, where it names them (RFC 5576).
    pub sources: Sources,
    /// The keys, when sound is encrypted, and the number of the line that was taken (RFC 4568 §5.1.2).
    pub srtp: Option<(Keys, u32)>,
}

/// An answer and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The description to send.
    pub sdp: String,
    /// What it agrees on.
    pub media: Negotiated,
}

/// There is no sound that can be recorded in the offer: 488.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no media that can be recorded")]
pub struct NotAcceptable;

/// Answers an offer. The first codec of the offer that we know is taken, or `keep` when it is still offered.
///
/// # Errors
/// [`NotAcceptable`] when no stream has a codec of ours.
pub fn answer(offer: &Description, local: &Local, keep: Option<Codec>) -> Result<Answer, NotAcceptable> {
    let chosen = offer
        .media
        .iter()
        .enumerate()
        .filter(|(_, media)| of_family(media, local.address.ip()))
        .find_map(|(at, media)| Some((at, agree(media, keep, &local.security)?)));
    let (at, media) = chosen.ok_or(NotAcceptable)?;
    let mut sdp = session(local);
    for (index, section) in offer.media.iter().enumerate() {
        if index == at {
            audio(
                &mut sdp,
                section.protocol.as_str(),
                local,
                &[(media.payload_type, media.codec)],
                &media,
            );
        } else {
            let format = token(section.formats.first().map_or("", String::as_str), "0");
            let (kind, protocol) = (token(&section.kind, "application"), token(&section.protocol, "RTP/AVP"));
            // RFC 3264 §6: a stream is refused with port 0, in its place.
            let _ = write!(sdp, "m={kind} 0 {protocol} {format}\r\n");
        }
    }
    Ok(Answer { sdp, media })
}

/// Our offer, for an INVITE that brought none (RFC 3264 §4, RFC 3261 §13.2.1).
#[must_use]
pub fn offer(local: &Local) -> String {
    let mut sdp = session(local);
    let secure = local.security.policy == Policy::Required;
    let ours = Negotiated {
        remote: None,
        codec: Codec::Pcma,
        payload_type: 8,
        events: Some(EVENTS),
        direction: Direction::BOTH,
        rtcp: None,
        rtcp_mux: true,
        sources: Sources::default(),
        srtp: None,
    };
    let protocol = if secure { "RTP/SAVP" } else { "RTP/AVP" };
    let codecs = [(8, Codec::Pcma), (0, Codec::Pcmu), (9, Codec::G722)];
    audio(&mut sdp, protocol, local, &codecs, &ours);
    if secure {
        for (tag, suite) in (1..).zip(Suite::ALL) {
            sdp.push_str(&srtp::attribute(tag, &local.security.master(suite)));
        }
    }
    sdp
}

/// Reads the answer to our offer, which was the description `ours`.
///
/// # Errors
/// [`NotAcceptable`] when it takes none of our codecs, or is encrypted where we are not.
pub fn accept(answer: &Description, local: &Local, ours: &str) -> Result<Negotiated, NotAcceptable> {
    let mut security = local.security;
    security.policy = if ours.contains(" RTP/SAVP") {
        Policy::Required
    } else {
        Policy::Off
    };
    let agreed = answer.media.iter().find_map(|media| agree(media, None, &security));
    let agreed = agreed.ok_or(NotAcceptable)?;
    // What was offered may be an earlier answer of ours, by which a session is refreshed.
    let offered = Description::parse(ours).unwrap_or(Description { media: Vec::new() });
    let offered = offered.media.iter().find(|media| media.port != 0);
    // RFC 3264 §5.1: what comes to us has the numbers of our offer, whatever those of the answer are.
    let events = agreed.events.and_then(|_| offered.and_then(Media::events));
    // RFC 5761 §5.1.1: nobody may take what was not offered.
    let rtcp_mux = agreed.rtcp_mux && offered.is_some_and(|media| media.rtcp_mux);
    Ok(Negotiated {
        events,
        rtcp_mux,
        ..agreed
    })
}

/// Where the stream that [`answer`] takes wants its packets: what decides the family of our own address. The address is
/// unspecified while the peer holds the call the old way.
#[must_use]
pub fn sound(offer: &Description) -> Option<IpAddr> {
    let any = Security::new(Policy::Optional, [0; 30]);
    let taken = offer.media.iter().find(|media| agree(media, None, &any).is_some());
    taken.and_then(|media| media.address)
}

/// Whether packets can go between this stream and our address; nothing is known of ours while it is unspecified.
fn of_family(media: &Media, ours: IpAddr) -> bool {
    // Who holds the old way may write 0.0.0.0 in a call over IPv6.
    let theirs = media.address.filter(|theirs| !theirs.is_unspecified());
    ours.is_unspecified() || theirs.is_none_or(|theirs| theirs.is_ipv4() == ours.is_ipv4())
}

fn agree(media: &Media, keep: Option<Codec>, security: &Security) -> Option<Negotiated> {
    let secure = media.is_secure_audio();
    let fits = match security.policy {
        Policy::Required => secure,
        Policy::Optional => secure || media.is_plain_audio(),
        Policy::Off => media.is_plain_audio(),
    };
    // A name as address would need a resolver between offer and answer; telephone systems send addresses.
    if !fits || media.address.is_none() {
        return None;
    }
    let known = || {
        media
            .formats
            .iter()
            .filter_map(|format| Some((format.parse().ok()?, media.codec(format)?)))
    };
    let (payload_type, codec) = known().find(|(_, codec)| Some(*codec) == keep).or_else(|| known().next())?;
    let direction = media.effective_direction().mirrored();
    Some(Negotiated {
        remote: media.target(),
        codec,
        payload_type,
        events: media.events(),
        direction,
        rtcp: media.reports(),
        rtcp_mux: media.rtcp_mux,
        sources: media.sources(),
        // The offer's order is its wish (RFC 4568 §5.1.1).
        srtp: media.crypto.first().filter(|_| secure).map(|offered| {
            let ours = security.master(offered.master.suite());
            let theirs = offered.master;
            (Keys { ours, theirs }, offered.tag)
        }),
    })
}

fn session(local: &Local) -> String {
    let family = match local.address.ip() {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    };
    let (ip, session, version) = (local.address.ip(), local.session, local.version);
    format!("v=0\r\no=- {session} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n")
}

fn audio(sdp: &mut String, protocol: &str, local: &Local, codecs: &[(u8, Codec)], media: &Negotiated) {
    let _ = write!(sdp, "m=audio {} {protocol}", local.address.port());
    for (number, _) in codecs {
        let _ = write!(sdp, " {number}");
    }
    if let Some(events) = media.events {
        let _ = write!(sdp, " {events}");
    }
    sdp.push_str("\r\n");
    for (number, codec) in codecs {
        let _ = write!(sdp, "a=rtpmap:{number} {}/8000\r\n", codec.name());
    }
    if let Some(events) = media.events {
        let _ = write!(sdp, "a=rtpmap:{events} telephone-event/8000\r\na=fmtp:{events} 0-15\r\n");
    }
    if let Some((keys, tag)) = &media.srtp {
        sdp.push_str(&srtp::attribute(*tag, &keys.ours));
    }
    if media.rtcp_mux {
        sdp.push_str("a=rtcp-mux\r\n");
    }
    let _ = write!(sdp, "a=ptime:20\r\na={}\r\n", media.direction.as_str());
}

/// What is echoed is cut down to what may stand there; where nothing is left, `otherwise` keeps the line a line.
fn token(text: &str, otherwise: &str) -> String {
    let kept = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '.' | '_'));
    let kept: String = kept.take(64).collect();
    if kept.is_empty() { otherwise.to_owned() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::Master;

    fn local() -> Local {
        Local {
            address: "192.0.2.10:40000".parse().unwrap(),
            session: 7,
            version: 1,
            security: Security::new(Policy::Optional, [3; 30]),
        }
    }

    fn answered(media: &str) -> Result<Answer, NotAcceptable> {
        let text = format!("v=0\r\no=x 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}");
        answer(&Description::parse(&text).unwrap(), &local(), None)
    }

    #[test]
    fn the_offers_order_decides_and_events_are_taken() {
        let found = answered("m=audio 5000 RTP/AVP 18 0 8 96\r\na=rtpmap:96 telephone-event/8000\r\n").unwrap();
        assert_eq!(
            (found.media.codec, found.media.payload_type, found.media.events),
            (Codec::Pcmu, 0, Some(96))
        );
        assert_eq!(found.media.remote, Some("192.0.2.1:5000".parse().unwrap()));
        assert!(found.sdp.contains("m=audio 40000 RTP/AVP 0 96\r\na=rtpmap:0 PCMU/8000\r\n"));
        assert!(found.sdp.ends_with("a=ptime:20\r\na=sendrecv\r\n"));
    }

    #[test]
    fn wideband_is_taken_where_the_offer_prefers_it() {
        let found = answered("m=audio 5000 RTP/AVP 9 8 0\r\n").unwrap();
        assert_eq!((found.media.codec, found.media.payload_type), (Codec::G722, 9));
        assert!(found.sdp.contains("RTP/AVP 9\r\na=rtpmap:9 G722/8000\r\n"), "{}", found.sdp);
        assert_eq!(answered("m=audio 5000 RTP/AVP 8 9\r\n").unwrap().media.codec, Codec::Pcma);
        let wrong = answered("m=audio 5000 RTP/AVP 9\r\na=rtpmap:9 G722/16000\r\n");
        assert_eq!(wrong, Err(NotAcceptable), "its clock is 8000");
    }

    #[test]
    fn a_mapping_of_a_static_number_must_not_contradict_it() {
        let found = answered("m=audio 5000 RTP/AVP 97 8\r\na=rtpmap:97 opus/48000/2\r\na=rtpmap:8 PCMA/8000/1\r\n").unwrap();
        assert_eq!((found.media.codec, found.media.payload_type), (Codec::Pcma, 8));
    }

    #[test]
    fn a_stream_that_cannot_be_echoed_keeps_its_place() {
        let found = answered("m=\u{6}\u{10a} 0 RTP/AVP 18\r\nm=audio 5000 RTP/AVP 0\r\n").unwrap();
        let read = Description::parse(&found.sdp).unwrap();
        assert_eq!((read.media.len(), read.media[1].is_plain_audio()), (2, true));
    }

    #[test]
    fn other_streams_are_refused_in_their_place() {
        let found = answered("m=video 6000 RTP/AVP 31\r\nm=audio 5000 RTP/AVP 8\r\nm=audio 5002 RTP/AVP 8\r\n").unwrap();
        let media: Vec<&str> = found.sdp.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(media, ["m=video 0 RTP/AVP 31", "m=audio 40000 RTP/AVP 8", "m=audio 0 RTP/AVP 8"]);
    }

    #[test]
    fn hold_is_answered_in_kind() {
        for (offered, expected) in [("sendonly", "recvonly"), ("inactive", "inactive"), ("recvonly", "sendonly")] {
            let found = answered(&format!("m=audio 5000 RTP/AVP 8\r\na={offered}\r\n")).unwrap();
            assert!(found.sdp.ends_with(&format!("a={expected}\r\n")), "{offered}");
        }
        let old = answered("m=audio 5000 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n").unwrap();
        assert_eq!((old.media.remote, old.media.direction.sends), (None, false));
    }

    #[test]
    fn what_cannot_be_recorded_is_not_acceptable() {
        for media in [
            "",
            "m=audio 5000 RTP/AVP 18\r\n",
            "m=audio 0 RTP/AVP 8\r\n",
            "m=audio 5000 RTP/SAVP 8\r\n",
            "m=video 5000 RTP/AVP 8\r\n",
            "m=audio 5000 RTP/AVP 8\r\na=rtpmap:8 G729/8000\r\n",
            "m=audio 5000 RTP/AVP 8\r\nc=IN IP4 pbx.example\r\n",
        ] {
            assert_eq!(answered(media), Err(NotAcceptable), "{media}");
        }
    }

    #[test]
    fn a_stream_of_the_other_family_is_passed_by() {
        let six = "m=audio 5000 RTP/AVP 8\r\nc=IN IP6 2001:db8::1\r\n";
        assert_eq!(answered(six), Err(NotAcceptable));
        let found = answered(&format!("{six}m=audio 5002 RTP/AVP 0\r\n")).unwrap();
        let media: Vec<&str> = found.sdp.lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(media, ["m=audio 0 RTP/AVP 8", "m=audio 40000 RTP/AVP 0"]);
        let text = format!("v=0\r\no=x 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{six}");
        assert_eq!(sound(&Description::parse(&text).unwrap()), Some("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn ipv6_and_our_own_offer() {
        let local = Local {
            address: "[2001:db8::1]:40002".parse().unwrap(),
            session: 1,
            version: 2,
            security: Security::new(Policy::Off, [0; 30]),
        };
        let text = offer(&local);
        assert!(text.contains("o=- 1 2 IN IP6 2001:db8::1\r\n") && text.contains("m=audio 40002 RTP/AVP 8 0 9 101\r\n"));
        let back = accept(&Description::parse(&text).unwrap(), &local, &text).unwrap();
        assert_eq!((back.codec, back.events, back.direction), (Codec::Pcma, Some(101), Direction::BOTH));
        let other = text.replace("101", "96");
        let back = accept(&Description::parse(&other).unwrap(), &local, &text).unwrap();
        assert_eq!(back.events, Some(101), "keys come as we offered them");
    }

    #[test]
    fn reports_share_the_port_when_the_offer_says_so() {
        let found = answered("m=audio 5000 RTP/AVP 8\r\na=rtcp-mux\r\na=rtcp:5000\r\n").unwrap();
        assert!(found.media.rtcp_mux && found.sdp.contains("a=rtcp-mux\r\n"));
        let found = answered("m=audio 5000 RTP/AVP 8\r\na=rtcp:53020 IN IP4 192.0.2.7\r\n").unwrap();
        assert!(!found.media.rtcp_mux && !found.sdp.contains("rtcp"));
        assert_eq!(found.media.rtcp, Some("192.0.2.7:53020".parse().unwrap()));
        for (attribute, expected) in [("rtcp:5003", Some("192.0.2.1:5003")), ("rtcp:0", None), ("rtcp:x y", None)] {
            let found = answered(&format!("m=audio 5000 RTP/AVP 8\r\na={attribute}\r\n")).unwrap();
            assert_eq!(found.media.rtcp, expected.map(|text| text.parse().unwrap()), "{attribute}");
        }
        let ours = offer(&local());
        let apart = ours.replace("a=rtcp-mux\r\n", "");
        let agreed = |theirs: &str, ours: &str| accept(&Description::parse(theirs).unwrap(), &local(), ours).unwrap().rtcp_mux;
        assert_eq!([agreed(&ours, &ours), agreed(&apart, &ours)], [true, false]);
        assert!(!agreed(&ours, &apart), "we had not offered it");
    }

    /// A session is refreshed by what was agreed before, which may be an answer of ours.
    #[test]
    fn a_refresh_keeps_what_was_agreed() {
        let offered = "m=video 6000 RTP/AVP 31\r\nm=audio 5000 RTP/AVP 8 96\r\na=rtpmap:96 telephone-event/8000\r\na=rtcp-mux\r\n";
        let ours = answered(offered).unwrap().sdp;
        let theirs = format!(
            "v=0\r\no=x 1 2 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{}",
            offered.replace("6000", "0")
        );
        let agreed = accept(&Description::parse(&theirs).unwrap(), &local(), &ours).unwrap();
        assert_eq!((agreed.events, agreed.rtcp_mux), (Some(96), true));
    }

    #[test]
    fn sources_are_taken_as_they_are_named() {
        let named = |lines: &str| answered(&format!("m=audio 5000 RTP/AVP 8\r\n{lines}")).unwrap().media.sources;
        let some = [Some(7), Some(4_294_967_295), None, None];
        assert_eq!(named("a=ssrc:7 cname:x\r\na=ssrc:7 msid:y\r\na=ssrc:4294967295\r\n"), some);
        assert_eq!(named("a=ssrc:x\r\na=ssrc:4294967296 cname:x\r\na=ssrc:\r\n"), Sources::default());
        let many: String = (0..9).map(|ssrc| format!("a=ssrc:{ssrc} cname:x\r\n")).collect();
        assert_eq!(named(&many), Sources::default(), "more than can be meant");
    }

    fn with(policy: Policy, media: &str) -> Result<Answer, NotAcceptable> {
        let text = format!("v=0\r\no=x 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{media}");
        let local = Local {
            security: Security::new(policy, [3; 30]),
            ..local()
        };
        answer(&Description::parse(&text).unwrap(), &local, None)
    }

    const SECURE: &str = "m=audio 5000 RTP/SAVP 8\r\na=crypto:4 AES_CM_128_HMAC_SHA1_32 inline:x\r\n\
        a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";

    #[test]
    fn keys_are_taken_as_the_trunk_wants_it() {
        for policy in [Policy::Required, Policy::Optional] {
            let found = with(policy, SECURE).unwrap();
            let (keys, tag) = found.media.srtp.unwrap();
            assert_eq!((tag, keys.theirs.suite()), (7, Suite::AesCm));
            assert_eq!(keys.ours, Master::new(Suite::AesCm, [3; 30]));
            assert!(found.sdp.contains("m=audio 40000 RTP/SAVP 8\r\n"), "{}", found.sdp);
            assert!(
                found.sdp.contains("a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:AwMD"),
                "{}",
                found.sdp
            );
        }
        let plain = "m=audio 5000 RTP/AVP 8\r\n";
        assert_eq!(with(Policy::Off, SECURE), Err(NotAcceptable));
        assert_eq!(with(Policy::Required, plain), Err(NotAcceptable));
        assert_eq!(with(Policy::Optional, plain).unwrap().media.srtp, None);
        // Both are offered: the one that fits is taken.
        let both = with(Policy::Required, &format!("{plain}{SECURE}")).unwrap();
        assert!(
            both.sdp.contains("m=audio 0 RTP/AVP 8\r\nm=audio 40000 RTP/SAVP 8\r\n"),
            "{}",
            both.sdp
        );
        assert_eq!(with(Policy::Optional, "m=audio 5000 RTP/SAVP 8\r\n"), Err(NotAcceptable), "no key");
    }

    #[test]
    fn our_own_offer_has_keys_where_they_are_required() {
        let local = Local {
            security: Security::new(Policy::Required, [3; 30]),
            ..local()
        };
        let ours = offer(&local);
        assert!(ours.contains("RTP/SAVP 8 0 9 101") && ours.contains("a=crypto:1 AEAD_AES_128_GCM") && ours.contains("a=crypto:2 AES_CM"));
        let (keys, _) = accept(&Description::parse(&ours).unwrap(), &local, &ours).unwrap().srtp.unwrap();
        assert_eq!(keys.ours.suite(), Suite::AesGcm);
        let plain = ours.replace("SAVP", "AVP");
        assert_eq!(accept(&Description::parse(&plain).unwrap(), &local, &ours), Err(NotAcceptable));
        assert_eq!(accept(&Description::parse(&ours).unwrap(), &local, &plain), Err(NotAcceptable));
    }

    #[test]
    fn no_number_of_sound_is_taken_for_keys() {
        let offered = |number: &str| {
            let media = format!("m=audio 5000 RTP/AVP 8 {number}\r\na=rtpmap:{number} telephone-event/8000\r\n");
            answered(&media).unwrap().media.events
        };
        assert_eq!(
            ["101", "96", "13", "9", "0", "128", "300"].map(offered),
            [Some(101), Some(96), None, None, None, None, None]
        );
    }
}
