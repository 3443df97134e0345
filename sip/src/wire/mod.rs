//! The wire: bytes to messages and back.
//!
//! rsip is the model of methods, status codes and header fields; what it cannot read, or reads too
//! kindly, is read here. What is not needed to treat a message is never judged: an optional header
//! that cannot be understood does not cost the call.

pub mod addr;
pub mod build;
pub mod header;
mod lex;
pub mod list;
pub mod method;
pub mod multipart;
pub mod stream;
pub mod uri;
pub mod via;

use bytes::Bytes;

use self::addr::NameAddr;
use self::header::Headers;
pub use self::lex::MAX_MESSAGE;
use self::lex::{Length, content_length};
use self::method::Method;
use self::uri::Uri;
use self::via::Via;

/// The largest CSeq number (RFC 3261 §8.1.1.5).
const MAX_CSEQ: u32 = 0x7fff_ffff;

/// A request that may be treated: what every request must have is there and was understood.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its Request-URI.
    pub uri: Uri,
    /// The topmost Via.
    pub via: Via,
    /// From.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Call-ID.
    pub call_id: String,
    /// The number of CSeq; its method is that of the request.
    pub cseq: u32,
    /// Max-Forwards, when it is there.
    pub max_forwards: Option<u8>,
    /// All header fields.
    pub headers: Headers,
    /// The body, as long as Content-Length says.
    pub body: Bytes,
    /// The message as it came.
    pub raw: Bytes,
}

impl Request {
    /// Whether its sender insists on an extension (RFC 3261 §20.32).
    #[must_use]
    pub fn requires(&self, option: &str) -> bool {
        self.headers.elements("Require").any(|found| found.eq_ignore_ascii_case(option))
    }

    /// Whether its sender knows an extension (RFC 3261 §20.37).
    #[must_use]
    pub fn supports(&self, option: &str) -> bool {
        self.headers.elements("Supported").any(|found| found.eq_ignore_ascii_case(option))
    }
}

/// A response to a request of ours.
#[derive(Debug, Clone)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// The topmost Via, which is ours.
    pub via: Via,
    /// The method of CSeq.
    pub method: Method,
    /// The number of CSeq.
    pub cseq: u32,
    /// All header fields.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

/// A message that was understood.
#[derive(Debug, Clone)]
pub enum Message {
    /// A request.
    Request(Box<Request>),
    /// A response.
    Response(Box<Response>),
}

/// Why a message cannot be treated.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The answer: 400, 505 or 513.
    pub status: u16,
    /// What is wrong, in words that fit a reason phrase.
    pub flaw: &'static str,
    /// The fields that an answer copies, when there is somebody to answer: `None` for responses, for ACK,
    /// and for what has no Via to send an answer along.
    pub answerable: Option<Box<Unanswered>>,
}

/// What is known of a broken request.
#[derive(Debug, Clone)]
pub struct Unanswered {
    /// The topmost Via.
    pub via: Via,
    /// All header fields.
    pub headers: Headers,
}

/// Reads one whole message: a datagram, or one frame of a stream.
///
/// # Errors
/// [`Refused`] with the status that RFC 3261 gives such a message, and what an answer needs.
pub fn parse(bytes: &Bytes) -> Result<Message, Refused> {
    let nothing = |flaw| Refused {
        status: 400,
        flaw,
        answerable: None,
    };
    if bytes.len() > MAX_MESSAGE {
        return Err(too_large(bytes));
    }
    let lexed = lex::lex(bytes).ok_or_else(|| nothing("Nothing But Line Ends"))?;
    let via = lexed.headers.elements("Via").next().and_then(Via::parse);
    let start = lexed.start.trim();
    if start.len() >= 4 && start.as_bytes()[..4].eq_ignore_ascii_case(b"SIP/") {
        return response(start, lexed.headers.clone(), via, &lexed.rest).map_err(nothing);
    }
    let is_ack = start.split_whitespace().next() == Some("ACK");
    request(start, &lexed, bytes).map_err(|(status, flaw)| Refused {
        status,
        flaw,
        answerable: via.or_else(|| lenient_via(&lexed.headers)).filter(|_| !is_ack).map(|via| {
            Box::new(Unanswered {
                via,
                headers: lexed.headers,
            })
        }),
    })
}

type Flaw = (u16, &'static str);

fn request(start: &str, lexed: &lex::Lexed, raw: &Bytes) -> Result<Message, Flaw> {
    let bad = |flaw| (400, flaw);
    let (method, rest) = start.split_once([' ', '\t']).ok_or(bad("Bad Request Line"))?;
    let (uri, version) = rest.trim().rsplit_once([' ', '\t']).ok_or(bad("Bad Request Line"))?;
    let method = Method::parse(method).ok_or(bad("Bad Method"))?;
    let digits = version
        .get(..4)
        .filter(|name| name.eq_ignore_ascii_case("SIP/"))
        .and_then(|_| version.get(4..));
    match digits {
        Some("2.0") => {}
        Some(other) if other.split_once('.').is_some_and(|(a, b)| is_digits(a) && is_digits(b)) => {
            return Err((505, "Version Not Supported"));
        }
        _ => return Err(bad("Bad Request Line")),
    }
    let uri = Uri::parse(uri).ok_or(bad("Bad Request-URI"))?;
    if lexed.garbage {
        return Err(bad("Bad Header Line"));
    }
    let headers = &lexed.headers;
    let via = headers.elements("Via").next().ok_or(bad("Missing Via"))?;
    let via = Via::parse(via).ok_or(bad("Bad Via"))?;
    if headers.all("Via").flat_map(list::split).any(|one| Via::parse(one).is_none()) {
        return Err(bad("Bad Via"));
    }
    let from = single(headers, "From").map_err(bad)?;
    let to = single(headers, "To").map_err(bad)?;
    let from = NameAddr::parse(from).ok_or(bad("Bad From"))?;
    let to = NameAddr::parse(to).ok_or(bad("Bad To"))?;
    let call_id = single(headers, "Call-ID").map_err(bad)?.to_owned();
    if call_id.is_empty() {
        return Err(bad("Bad Call-ID"));
    }
    let (cseq, named) = cseq(single(headers, "CSeq").map_err(bad)?).ok_or(bad("Bad CSeq"))?;
    if named != method {
        return Err(bad("CSeq Method Differs"));
    }
    let max_forwards = match headers.all("Max-Forwards").count() {
        0 => None,
        1 => Some(hops(headers.get("Max-Forwards").unwrap_or_default()).ok_or(bad("Bad Max-Forwards"))?),
        _ => return Err(bad("Several Max-Forwards")),
    };
    let body = body(headers, &lexed.rest).map_err(bad)?;
    let request = Request {
        method,
        uri,
        via,
        from,
        to,
        call_id,
        cseq,
        max_forwards,
        headers: headers.clone(),
        body,
        raw: raw.clone(),
    };
    Ok(Message::Request(Box::new(request)))
}

/// What is too large is answered along what stands at its beginning (RFC 3261 §21.5.7).
fn too_large(bytes: &Bytes) -> Refused {
    let lexed = lex::lex(&bytes.slice(..MAX_MESSAGE));
    let is_answered = |start: &str| start.split_whitespace().next() != Some("ACK") && !start.starts_with("SIP/");
    let answerable = lexed.filter(|lexed| is_answered(lexed.start.trim())).and_then(|lexed| {
        let via = lexed.headers.elements("Via").next().and_then(Via::parse)?;
        let headers = lexed.headers;
        Some(Box::new(Unanswered { via, headers }))
    });
    Refused {
        status: 513,
        flaw: "Message Too Large",
        answerable,
    }
}

fn response(start: &str, headers: Headers, via: Option<Via>, rest: &Bytes) -> Result<Message, &'static str> {
    let (version, rest_of_line) = start.split_once(' ').ok_or("Bad Status Line")?;
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err("Bad Version");
    }
    let code = rest_of_line.trim_start().split(' ').next().unwrap_or_default();
    let status = code
        .parse()
        .ok()
        .filter(|status| code.len() == 3 && (100..700).contains(status))
        .ok_or("Bad Status")?;
    let via = via.ok_or("Bad Via")?;
    let (cseq, method) = cseq(single(&headers, "CSeq")?).ok_or("Bad CSeq")?;
    let body = body(&headers, rest)?;
    Ok(Message::Response(Box::new(Response {
        status,
        via,
        method,
        cseq,
        headers,
        body,
    })))
}

/// The value of a field that must be there, and once (RFC 4475 §3.3.8).
fn single<'a>(headers: &'a Headers, name: &'static str) -> Result<&'a str, &'static str> {
    let mut all = headers.all(name);
    match (all.next(), all.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(match name {
            "From" => "Missing From",
            "To" => "Missing To",
            "Call-ID" => "Missing Call-ID",
            _ => "Missing CSeq",
        }),
        _ => Err(match name {
            "From" => "Several From",
            "To" => "Several To",
            "Call-ID" => "Several Call-ID",
            _ => "Several CSeq",
        }),
    }
}

fn cseq(value: &str) -> Option<(u32, Method)> {
    let (number, method) = value.split_once(char::is_whitespace)?;
    let number = Some(number).filter(|digits| is_digits(digits))?.parse().ok()?;
    (number <= MAX_CSEQ).then_some((number, Method::parse(method.trim())?))
}

fn hops(value: &str) -> Option<u8> {
    // 0 to 255; a larger one is a peer's mistake that costs nobody anything (RFC 4475 §3.1.2.4).
    is_digits(value).then(|| value.parse().unwrap_or(u8::MAX))
}

/// On a datagram the body ends with Content-Length, what follows is dropped (RFC 3261 §18.3).
fn body(headers: &Headers, rest: &Bytes) -> Result<Bytes, &'static str> {
    match content_length(headers) {
        Length::Absent => Ok(rest.clone()),
        Length::Of(length) if length <= rest.len() => Ok(rest.slice(..length)),
        Length::Of(_) => Err("Content-Length Beyond Body"),
        Length::Broken => Err("Bad Content-Length"),
    }
}

/// Enough of a broken Via to answer along it: what stands before its first parameter.
fn lenient_via(headers: &Headers) -> Option<Via> {
    let value = headers.get("Via")?;
    Via::parse(value.split([';', ',']).next()?)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
