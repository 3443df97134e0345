//! Everyday oddities of SIP: plain INVITEs, each with one thing that real peers do, and what becomes of it. The table is
//! `tests/data/sip-oddities.txt`; the machine and the running daemon are both held against it.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};

/// A line of the table.
#[derive(Debug, Clone)]
pub struct Oddity {
    /// What is odd.
    pub name: String,
    /// The paragraph that says what becomes of it.
    pub paragraph: String,
    /// `call`, a status, or `silence`.
    pub outcome: String,
    /// The message, a datagram.
    pub message: Vec<u8>,
}

const TABLE: &str = include_str!("../../data/sip-oddities.txt");
const START: &str = "INVITE sip:3000@127.0.0.1 SIP/2.0";
const BODY: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 8\r\n";

/// The table, as sent from an address.
///
/// # Errors
/// When a line cannot be read.
pub fn oddities(from: SocketAddr) -> Result<Vec<Oddity>> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let read = |(number, line): (usize, &str)| {
        let cells: Vec<&str> = line.splitn(4, " | ").collect();
        let [name, paragraph, outcome, edits] = cells[..] else {
            bail!("no line of the table: {line}")
        };
        Ok(Oddity {
            name: name.to_owned(),
            paragraph: paragraph.to_owned(),
            outcome: outcome.to_owned(),
            message: message(number, edits, from).with_context(|| line.to_owned())?,
        })
    };
    lines.enumerate().map(read).collect()
}

/// An INVITE before it is edited.
struct Draft {
    start: String,
    lines: Vec<String>,
    body: String,
    end: &'static str,
    before: &'static str,
    length: Length,
}

#[derive(Debug, Clone, Copy)]
enum Length {
    Absent,
    Off(i64),
    Said(i64),
}

impl Draft {
    fn plain(number: usize) -> Self {
        let lines = [
            &format!("Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKodd{number};rport"),
            "Max-Forwards: 70",
            "From: <sip:a@h>;tag=1",
            "To: <sip:3000@h>",
            &format!("Call-ID: odd-{number}"),
            "CSeq: 1 INVITE",
            "Contact: <sip:a@127.0.0.1>",
            "Content-Type: application/sdp",
        ];
        Self {
            start: START.to_owned(),
            lines: lines.map(str::to_owned).to_vec(),
            body: BODY.to_owned(),
            end: "\r\n",
            before: "",
            length: Length::Off(0),
        }
    }

    fn edit(&mut self, edit: &str) -> Result<()> {
        let (kind, rest) = edit.split_at_checked(1).context("an empty edit")?;
        match kind {
            "^" => rest.clone_into(&mut self.start),
            "$" => rest.clone_into(&mut self.body),
            "-" => self.lines.retain(|line| !named(line, rest.trim())),
            "+" => self.lines.push(rest.to_owned()),
            "!" => self.trick(rest)?,
            _ => {
                let name = edit.split(':').next().unwrap_or_default();
                match self.lines.iter_mut().find(|line| named(line, name)) {
                    Some(line) => edit.clone_into(line),
                    None => self.lines.push(edit.to_owned()),
                }
            }
        }
        Ok(())
    }

    fn trick(&mut self, trick: &str) -> Result<()> {
        match trick.split_once(' ').unwrap_or((trick, "")) {
            ("lf", "") => self.end = "\n",
            ("crlf", "") => self.before = "\r\n\r\n",
            ("line", line) => self.lines.push(line.to_owned()),
            ("many", "") => self.lines.extend((0..600).map(|n| format!("X-{n}: 1"))),
            ("length", "") => self.length = Length::Absent,
            ("length", said) => self.length = Length::Said(said.parse()?),
            ("shorter", by) => self.length = Length::Off(-by.parse::<i64>()?),
            other => bail!("{other:?}"),
        }
        Ok(())
    }

    fn bytes(&self, from: SocketAddr) -> Result<Vec<u8>> {
        let host = from.ip().to_string();
        let here = |text: &str| text.replace("127.0.0.1:5060", &from.to_string()).replace("127.0.0.1", &host);
        let body = bytes(&here(&self.body))?;
        let mut message = bytes(&here(&format!("{}{}", self.before, self.start)))?;
        let mut put = |line: &[u8]| {
            message.extend_from_slice(self.end.as_bytes());
            message.extend_from_slice(line);
        };
        for line in &self.lines {
            put(&bytes(&here(line))?);
        }
        let whole = i64::try_from(body.len())?;
        let said = match self.length {
            Length::Absent => None,
            Length::Off(by) => Some(whole + by),
            Length::Said(said) => Some(said),
        };
        if let Some(said) = said {
            put(format!("Content-Length: {said}").as_bytes());
        }
        put(b"");
        put(&body);
        Ok(message)
    }
}

fn message(number: usize, edits: &str, from: SocketAddr) -> Result<Vec<u8>> {
    let mut draft = Draft::plain(number);
    for edit in edits.split("  ").filter(|edit| !edit.is_empty()) {
        draft.edit(edit)?;
    }
    draft.bytes(from)
}

fn named(line: &str, name: &str) -> bool {
    line.split(':').next().is_some_and(|found| found.trim().eq_ignore_ascii_case(name))
}

/// The bytes that a text of the table stands for.
fn bytes(text: &str) -> Result<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        found.extend_from_slice(before.as_bytes());
        let (byte, length) = match after.as_bytes().first().context("a backslash at the end")? {
            b't' => (b'\t', 1),
            b'r' => (b'\r', 1),
            b'n' => (b'\n', 1),
            b's' => (b' ', 1),
            b'x' => (u8::from_str_radix(after.get(1..3).context("two digits")?, 16)?, 3),
            other => (*other, 1),
        };
        found.push(byte);
        rest = &after[length..];
    }
    found.extend_from_slice(rest.as_bytes());
    Ok(found)
}
