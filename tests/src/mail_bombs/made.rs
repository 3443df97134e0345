//! The mails themselves.

/// A mail that is made to kill who reads it.
pub(super) struct Bomb {
    pub(super) name: &'static str,
    /// One of the flags that its interaction must have.
    pub(super) flag: &'static str,
    /// Behind From, Subject and Message-ID.
    pub(super) rest: Vec<u8>,
}

fn bomb(name: &'static str, flag: &'static str, rest: impl Into<Vec<u8>>) -> Bomb {
    Bomb {
        name,
        flag,
        rest: rest.into(),
    }
}

/// Every one, in an order in which none hides another's memory.
pub(super) fn all() -> Vec<Bomb> {
    let lines = |line: &str, bytes: usize| format!("{line}\r\n").repeat(bytes / (line.len() + 2));
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(32_700);
    let segments: String = (0..400_000).map(|number| format!(";\r\n name*{number}=a")).collect();
    let parts = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(10_000);
    let deep: String = (0..5_000)
        .map(|level| format!("Content-Type: multipart/mixed; boundary=b{level}x\r\n\r\n--b{level}x\r\n"))
        .collect();
    let html = "<div><table><tr><td><a href='https://a.fr'>x".repeat(400_000);
    let spaced = format!("Con{}tent-Type: message/rfc822\r\n\r\n", " ".repeat(300)).repeat(32_700);
    vec![
        bomb("32,700 nested messages", "undecodable", nested.clone()),
        bomb("nested messages with blanks in the name of the field", "undecodable", spaced),
        bomb(
            "400,000 segments of a parameter",
            "undecodable",
            format!("Content-Type: text/plain{segments}\r\n\r\nx\r\n"),
        ),
        bomb("50 MB", "oversize", format!("\r\n{}", lines(&"a".repeat(76), 50_000_000))),
        bomb(
            "24 MB of text",
            "truncated",
            format!(
                "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}",
                lines(&"=C3=A9".repeat(12), 24_000_000)
            ),
        ),
        bomb(
            "10,000 parts",
            "undecodable",
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n"),
        ),
        bomb("5,000 multiparts inside one another", "undecodable", deep),
        bomb(
            "1,000,000 header fields",
            "undecodable",
            format!("{}\r\nx\r\n", "X: y\r\n".repeat(1_000_000)),
        ),
        bomb(
            "base64 that is none",
            "truncated",
            format!(
                "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
                lines(&"!?=-".repeat(19), 20_000_000)
            ),
        ),
        bomb(
            "a megabyte of encoded words",
            "undecodable",
            format!("Comments: {}\r\n\r\nx\r\n", "=?utf-8?Q?=C3=A9?=\r\n ".repeat(50_000)),
        ),
        bomb(
            "beginnings of encoded words",
            "undecodable",
            format!("References: {}\r\n\r\nx\r\n", "=?utf-8?Q?\r\n ".repeat(50_000)),
        ),
        bomb(
            "20 MB of HTML, deep",
            "truncated",
            format!("Content-Type: text/html\r\n\r\n{html}\r\n"),
        ),
        bomb(
            "dashes under a boundary of dashes",
            "undecodable",
            format!(
                "Content-Type: multipart/mixed; boundary={}x\r\n\r\n{}\r\n",
                "-".repeat(150),
                lines(&"-".repeat(900), 20_000_000)
            ),
        ),
        bomb(
            "messages in an encoding that hides them",
            "undecodable",
            format!("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: =?utf-8?Q?b=61se64?=\r\n\r\n{nested}"),
        ),
    ]
}
