//! What the callers of a fleet write and read, as bytes.

use std::net::SocketAddr;

/// A request of call `number`. `to` is the server's tag, when there is one.
pub(super) fn request(method: &str, local: SocketAddr, server: SocketAddr, number: usize, run: u64, to: Option<&str>, rtp: u16) -> String {
    let branch = match method {
        "INVITE" => "i",
        "ACK" => "a",
        _ => "b",
    };
    let cseq = if method == "BYE" { 2 } else { 1 };
    let to = to.map(|tag| format!(";tag={tag}")).unwrap_or_default();
    let host = local.ip();
    let (kind, body) = if method == "INVITE" {
        let sdp = format!(
            "v=0\r\no=- {number} 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {rtp} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
        );
        ("Content-Type: application/sdp\r\n", sdp)
    } else {
        ("", String::new())
    };
    format!(
        "{method} sip:3000@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{run:x}-{number}-{branch};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:+3361{number:07}@{host}>;tag={number}\r\nTo: <sip:3000@{server}>{to}\r\nCall-ID: {number}-{run:x}@{host}\r\n\
         CSeq: {cseq} {method}\r\nContact: <sip:c@{local}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The first value of a header field, as the server writes its name.
pub(super) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.split("\r\n").take_while(|line| !line.is_empty());
    lines.find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// The number of the call that a message of this run is of.
pub(super) fn call_of(text: &str, run: u64) -> Option<usize> {
    let (number, rest) = field(text, "Call-ID")?.split_once('-')?;
    rest.starts_with(&format!("{run:x}@")).then(|| number.parse().ok())?
}

/// An answer to a request of theirs; `status` as `200 OK`.
pub(super) fn answer(request: &str, status: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.split("\r\n").skip(1).take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        if ["Via", "From", "To", "Call-ID", "CSeq"]
            .iter()
            .any(|copied| copied.eq_ignore_ascii_case(name))
        {
            text += line;
            text += "\r\n";
        }
    }
    text + "Content-Length: 0\r\n\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_found_by_its_number_and_a_stranger_is_not() {
        let (local, server) = ("127.0.0.1:7000".parse().unwrap(), "127.0.0.1:5060".parse().unwrap());
        let invite = request("INVITE", local, server, 42, 0xAB, None, 7_002);
        assert_eq!((call_of(&invite, 0xAB), call_of(&invite, 0xA)), (Some(42), None));
        assert_eq!(field(&invite, "cseq"), Some("1 INVITE"));
        let ok = answer(&invite, "200 OK");
        assert!(ok.starts_with("SIP/2.0 200 OK\r\nVia: ") && ok.contains("CSeq: 1 INVITE\r\n") && !ok.contains("Contact"));
    }
}
