//! Delivery status notifications (RFC 3464, and qmail's of before it) and abuse reports (RFC 5965).

use crate::{fields, ids, name};

/// Longest words of a server that are kept, in bytes.
const REASON_BYTES: usize = 300;

/// What a notification says of one of our mails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dsn {
    /// The Message-ID of the mail that it speaks of, without angle brackets, when it says so.
    pub original_message_id: Option<String>,
    /// What happened to it.
    pub action: Action,
    /// The enhanced status code, `5.1.1`.
    pub status: Option<String>,
    /// The remote server's own words, bounded.
    pub diagnostic: Option<String>,
}

/// RFC 3464 §2.3.3, and an abuse report's complaint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It will not be delivered.
    Failed,
    /// Not yet; the server goes on trying.
    Delayed,
    /// It is in the recipient's mailbox.
    Delivered,
    /// It went where no notifications come from, or was expanded.
    Relayed,
    /// The recipient's provider reports it as unwanted (RFC 5965).
    Complaint,
}

/// Reads the `message/delivery-status` part. Several recipients: the worst counts.
///
/// `None` when no recipient has an action: then the mail is not a notification.
#[must_use]
pub fn read(status_part: &str, original_message_id: Option<String>) -> Option<Dsn> {
    let mut worst: Option<Dsn> = None;
    for block in status_part.replace("\r\n", "\n").split("\n\n").take(100) {
        let unfolded = block.replace("\n ", " ").replace("\n\t", " ");
        let field = |wanted: &str| {
            let found = unfolded
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.trim())
        };
        let Some(action) = field("Action").and_then(action) else { continue };
        if worst.as_ref().is_some_and(|worst| rank(worst.action) >= rank(action)) {
            continue;
        }
        let diagnostic = field("Diagnostic-Code").map(|text| text.split_once(';').map_or(text, |(_, words)| words.trim()));
        worst = Some(Dsn {
            original_message_id: original_message_id.clone(),
            action,
            status: field("Status").map(digits),
            diagnostic: diagnostic.map(|text| name::line(text, REASON_BYTES)),
        });
    }
    worst
}

/// Reads the text of a mail that qmail sent back (QSBMF): an introduction, a paragraph for each recipient, and the mail below a line
/// that begins with a hyphen. The first recipient counts.
///
/// `None` when it is none, or when the mail below has no Message-ID: then it speaks of nothing that is known.
#[must_use]
pub fn qmail(text: &str) -> Option<Dsn> {
    let report = text.strip_prefix("Hi. This is the ")?;
    let recipient = report
        .split("\n\n")
        .skip(1)
        .take(100)
        .take_while(|paragraph| !paragraph.starts_with('-'));
    let reason = recipient
        .filter(|paragraph| paragraph.starts_with('<'))
        .find_map(|paragraph| paragraph.split_once(":\n"));
    let (_, reason) = reason?;
    let below = report.split_once("\n\n-").and_then(|(_, rest)| rest.split_once("\n\n"));
    let (header, _) = fields::split(below?.1.as_bytes());
    let message_id = fields::of(header).find(|field| field.is("Message-ID"));
    // Its code stands behind a hash, in brackets (RFC 3463 §2 has the digits), or in what another server said, behind the reply code.
    let own = reason
        .rsplit_once("(#")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(code, _)| code);
    let said = reason
        .split_once("Remote host said: ")
        .and_then(|(_, said)| said.split_whitespace().nth(1));
    Some(Dsn {
        original_message_id: Some(message_id.and_then(|field| ids::own(field.value))?),
        action: Action::Failed,
        status: own.or(said).map(digits),
        diagnostic: Some(name::line(reason, REASON_BYTES)),
    })
}

fn digits(status: &str) -> String {
    status.chars().filter(|c| c.is_ascii_digit() || *c == '.').take(12).collect()
}

fn action(word: &str) -> Option<Action> {
    let word = word.split([' ', '(']).next().unwrap_or_default().to_ascii_lowercase();
    Some(match word.as_str() {
        "failed" => Action::Failed,
        "delayed" => Action::Delayed,
        "delivered" => Action::Delivered,
        "relayed" | "expanded" => Action::Relayed,
        _ => return None,
    })
}

const fn rank(action: Action) -> u8 {
    match action {
        Action::Relayed => 0,
        Action::Delivered => 1,
        Action::Delayed => 2,
        Action::Complaint => 3,
        Action::Failed => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_recipient_counts() {
        let part = "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; a@example.fr\r\nAction: delivered\r\nStatus: 2.0.0\r\n\r\nFinal-Recipient: rfc822; b@example.fr\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n unknown user\r\n";
        let dsn = read(part, Some("x@y".to_owned())).unwrap();
        assert_eq!(dsn.action, Action::Failed);
        assert_eq!(dsn.status.as_deref(), Some("5.1.1"));
        assert_eq!(dsn.diagnostic.as_deref(), Some("550 5.1.1 unknown user"));
        assert_eq!(read("Reporting-MTA: x\n", None), None);
    }

    #[test]
    fn what_qmail_sends_back_is_a_notification() {
        let back = "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message.\n\n<x@example.fr>:\nSorry, no mailbox\nhere by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\nReturn-Path: <mairie@example.fr>\nMessage-ID:\n <ours@voxea>\n\nMessage-ID: <other@voxea>\n";
        let dsn = qmail(back).unwrap();
        assert_eq!(
            (dsn.original_message_id.as_deref(), dsn.action),
            (Some("ours@voxea"), Action::Failed)
        );
        assert_eq!(dsn.status.as_deref(), Some("5.1.1"));
        assert_eq!(dsn.diagnostic.as_deref(), Some("Sorry, no mailbox here by that name. (#5.1.1)"));
        let remote = back.replace(
            "Sorry, no mailbox\nhere by that name. (#5.1.1)",
            "192.0.2.3 does not like recipient.\nRemote host said: 550 5.1.1 <x>: User unknown\nGiving up on 192.0.2.3.",
        );
        assert_eq!(qmail(&remote).and_then(|dsn| dsn.status).as_deref(), Some("5.1.1"));
        for other in [
            "Bonjour.",
            "Hi. This is the program.\n\nBonjour.\n",
            "Hi. This is the program.\n\n<x@example.fr>:\nNo.\n\n--- Below\n\nSubject: x\n\nx",
            "Hi. This is the program.\n\n--- Below\n\nMessage-ID: <ours@voxea>\n\n<x@example.fr>:\nNo.\n\n",
        ] {
            assert_eq!(qmail(other), None, "{other}");
        }
    }
}
