//! Delivery status notifications (RFC 3464) and abuse reports (RFC 5965).

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
            status: field("Status").map(|status| status.chars().filter(|c| c.is_ascii_digit() || *c == '.').take(12).collect()),
            diagnostic: diagnostic.map(|text| crate::name::line(text, 300)),
        });
    }
    worst
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
}
