//! A SIP message as lines: enough to see what came and to answer it.

/// A request or response, understood no further than its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The status code; 0 for a request.
    pub status: u16,
    /// The start line.
    pub start: String,
    /// Header names and values in order.
    pub headers: Vec<(String, String)>,
    /// What follows the empty line.
    pub body: String,
}

impl Message {
    /// Reads a datagram; `None` when it is not SIP.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(datagram);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        let status = match start.strip_prefix("SIP/2.0 ") {
            Some(rest) => rest.split(' ').next()?.parse().ok()?,
            None if start.ends_with(" SIP/2.0") => 0,
            None => return None,
        };
        let header = |line: &str| {
            line.split_once(':')
                .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        };
        Some(Self {
            status,
            start,
            headers: lines.filter_map(header).collect(),
            body: body.to_owned(),
        })
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The method, as CSeq names it.
    #[must_use]
    pub fn method(&self) -> &str {
        self.header("CSeq").and_then(|cseq| cseq.split(' ').nth(1)).unwrap_or_default()
    }

    /// A response to this request (RFC 3261 §8.2.6.2), `status` as `200 OK`.
    #[must_use]
    pub fn reply(&self, status: &str) -> String {
        let mut reply = format!("SIP/2.0 {status}\r\n");
        for (name, value) in &self.headers {
            if ["Via", "From", "To", "Call-ID", "CSeq"]
                .iter()
                .any(|copied| copied.eq_ignore_ascii_case(name))
            {
                reply += &format!("{name}: {value}\r\n");
            }
        }
        reply + "Content-Length: 0\r\n\r\n"
    }
}

/// The ACK of an INVITE inside the dialog, made of that of the first.
pub(super) fn acknowledgement(first: &str, number: u32) -> String {
    if number == 1 {
        return first.to_owned();
    }
    first
        .replace("branch=z9hG4bK-a", &format!("branch=z9hG4bK-a{number}-"))
        .replace("CSeq: 1 ACK", &format!("CSeq: {number} ACK"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_and_a_request_are_told_apart() {
        let response = Message::parse(b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\nto: <sip:a@b>;tag=x\r\n\r\nv=0\r\n").unwrap();
        assert_eq!(
            (response.status, response.method(), response.body.as_str()),
            (200, "INVITE", "v=0\r\n")
        );
        assert_eq!(response.header("To"), Some("<sip:a@b>;tag=x"));
        let request = Message::parse(b"BYE sip:a@b SIP/2.0\r\nVia: v\r\nX: y\r\nCSeq: 2 BYE\r\n\r\n").unwrap();
        assert_eq!(request.status, 0);
        assert_eq!(
            request.reply("200 OK"),
            "SIP/2.0 200 OK\r\nVia: v\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(Message::parse(b"\r\n\r\n"), None);
    }

    #[test]
    fn an_acknowledgement_has_the_number_of_its_invite() {
        let first = "ACK sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK-a7-5060;rport\r\nCSeq: 1 ACK\r\n\r\n";
        assert_eq!(acknowledgement(first, 1), first);
        let later = acknowledgement(first, 4);
        assert!(
            later.contains("branch=z9hG4bK-a4-7-5060;") && later.contains("CSeq: 4 ACK\r\n"),
            "{later}"
        );
    }
}
