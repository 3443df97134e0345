//! What an SMTP reply means for a mail: whether to try again, whom it blames, and whether its address is dead.

/// What a refusal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Not now. `domain`: other mails to the recipient's domain would fare the same.
    Later {
        /// Whether it blames more than this recipient.
        domain: bool,
    },
    /// Never, as this mail is.
    Rejected,
    /// Never, whatever is sent there: the address takes no mail.
    Dead,
    /// It is about us and our login, and about no mail.
    Us,
}

/// Reads a reply of class 4 or 5 (RFC 5321 §4.2.1) and its words, which begin with an enhanced status code where the server
/// has them (RFC 2034 §4). The reply code says whether to try again; the other says what it is about.
#[must_use]
pub fn refused(code: u16, words: &str) -> Refused {
    let enhanced = enhanced(words);
    let subject = enhanced.map(|(_, subject, _)| subject);
    match code {
        // The connection ends (RFC 5321 §3.8); authentication and encryption are missing or failed (RFC 4954 §6, RFC 3207 §4).
        421 | 432 | 454 | 523 | 530 | 534 | 535 | 538 => Refused::Us,
        // The sender is refused, whoever is written to.
        500..=599 if is_sender(enhanced, words) => Refused::Us,
        // An address or a mailbox of the recipient's own (RFC 3463 §3.2, §3.3), greylisting among them.
        400..=499 => Refused::Later {
            domain: !matches!(subject, Some(1 | 2)),
        },
        _ if enhanced.is_some_and(is_dead) => Refused::Dead,
        _ => Refused::Rejected,
    }
}

/// Whether an enhanced status code, in text, says for good that the address takes no mail: `5.1.1`, not `4.2.2` or `5.7.1`.
#[must_use]
pub fn dead(status: &str) -> bool {
    enhanced(status).is_some_and(is_dead)
}

/// Whether it is our own sender, or our login, that a server does not take: by the code (RFC 3463 §3.2; Exchange's `SendAsDenied`), else by the words
/// of Postfix, Exim and Exchange, whose code of policy (5.7.1) says as much of spam.
fn is_sender(enhanced: Option<(u16, u16, u16)>, words: &str) -> bool {
    const WORDS: [&str; 13] = [
        "sender address rejected",
        "sender denied",
        "sender rejected",
        "sender verify failed",
        "sendasdenied",
        "not owned by user",
        "you may not send as",
        "relay access denied",
        "relaying denied",
        "unable to relay",
        "allowed rcpthosts",
        "client host",
        "permissions to send as",
    ];
    // Exchange's are 5.7.60 (may not send as), 5.7.64 (nobody's tenant) and all from 5.7.501 to 5.7.750 (a sender or an address of the
    // Internet that is banned or has sent too much); Google's is 5.4.5 (the day's mails are used up).
    if matches!(
        enhanced,
        Some((5, 1, 7 | 8) | (5, 2, 252) | (5, 4, 5) | (5, 7, 54 | 60 | 64 | 501..=750))
    ) {
        return true;
    }
    let words = words.to_ascii_lowercase();
    WORDS.iter().any(|known| words.contains(known))
}

/// RFC 3463 §3: 5.1 is the address, 5.2 the mailbox, 5.4 the way there. 5.0 says no more, and stands for a mail refused as spam as
/// well. What 5.3 (a system), 5.5 (a protocol),
/// 5.6 (the content) and 5.7 (policy) blame passes or is of that mail alone, and so are a sender that is refused (5.1.7, 5.1.8,
/// Exchange's 5.2.252), a mailbox that is full (5.2.2), a mail too long (5.2.3) and a quota of ours (5.4.5).
const fn is_dead(enhanced: (u16, u16, u16)) -> bool {
    match enhanced {
        (5, 1, 7 | 8) | (5, 2, 2 | 3 | 252) | (5, 4, 5) => false,
        (5, 1 | 2 | 4, _) => true,
        _ => false,
    }
}

/// The enhanced status code with which a text begins, each number of at most three digits (RFC 3463 §2).
fn enhanced(words: &str) -> Option<(u16, u16, u16)> {
    let first = words.split_whitespace().next()?;
    let mut numbers = first.split('.').map(|digits| {
        let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse::<u16>().ok()).flatten()
    });
    let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
    (numbers.next().is_none() && matches!(class, 2 | 4 | 5)).then_some((class, subject, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_real_servers() {
        const LATER: Refused = Refused::Later { domain: true };
        const LATER_FOR_THIS_ONE: Refused = Refused::Later { domain: false };
        for (code, words, said) in [
            (
                450,
                "4.2.0 <x@example.fr>: Recipient address rejected: Greylisted",
                LATER_FOR_THIS_ONE,
            ),
            (
                452,
                "4.2.2 The email account that you tried to reach is over quota",
                LATER_FOR_THIS_ONE,
            ),
            (450, "4.1.2 Recipient address rejected: Domain not found", LATER_FOR_THIS_ONE),
            (451, "4.7.1 Too many messages from your host, try later", LATER),
            (451, "4.3.0 Temporary lookup failure", LATER),
            (452, "4.3.1 Insufficient system storage", LATER),
            (450, "try again later", LATER),
            (421, "4.7.0 closing", Refused::Us),
            (454, "4.7.0 TLS not available", Refused::Us),
            (530, "5.7.0 Must issue a STARTTLS command first", Refused::Us),
            (535, "5.7.8 Authentication credentials invalid", Refused::Us),
            (550, "5.1.1 The email account that you tried to reach does not exist", Refused::Dead),
            (550, "5.2.1 Mailbox disabled", Refused::Dead),
            (552, "5.2.2 Mailbox full", Refused::Rejected),
            (
                553,
                "5.7.1 <mairie@example.fr>: Sender address rejected: not owned by user voxea",
                Refused::Us,
            ),
            (550, "5.7.1 you may not send as this", Refused::Us),
            (
                554,
                "5.2.252 SendAsDenied; mairie@example.fr not allowed to send as x@example.fr",
                Refused::Us,
            ),
            (550, "5.1.0 Sender denied", Refused::Us),
            (554, "5.7.1 <x@example.fr>: Relay access denied", Refused::Us),
            (
                550,
                "5.7.60 SMTP; Client does not have permissions to send as this sender",
                Refused::Us,
            ),
            (550, "5.7.54 SMTP; Unable to relay recipient in non-accepted domain", Refused::Us),
            (
                550,
                "5.7.708 Service unavailable. Access denied, traffic not accepted from this IP",
                Refused::Us,
            ),
            (
                553,
                "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
                Refused::Us,
            ),
            (554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked", Refused::Us),
            (550, "5.4.5 Daily user sending limit exceeded", Refused::Us),
            (556, "5.1.10 Recipient address has null MX", Refused::Dead),
            (550, "5.4.4 Unable to route", Refused::Dead),
            (550, "5.7.1 Service refused, spam", Refused::Rejected),
            (552, "5.3.4 Message size exceeds fixed limit", Refused::Rejected),
            (550, "5.1.8 Domain of the sender does not exist", Refused::Us),
            (554, "OFR_104 mail refused", Refused::Rejected),
            (550, "550-5.1.1 twice", Refused::Rejected),
            (550, "", Refused::Rejected),
            (550, "5.1.1.1 x", Refused::Rejected),
            (550, "5.1.99999 x", Refused::Rejected),
        ] {
            assert_eq!(refused(code, words), said, "{code} {words}");
        }
        assert!(!dead("5.4.5") && !dead("5.7.60"));
        assert!(dead("5.1.1") && !dead("5.0.0") && !dead("4.4.7") && !dead("5.7.1") && !dead("") && !dead("x"));
    }
}
