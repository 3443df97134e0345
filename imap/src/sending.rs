//! How a mailbox's mails go out: the keys of `[mailbox.submission]` beside the server's.

use std::time::Duration;

use voxea_core::base::settings::Section;
use voxea_core::base::time::Millis;
use voxea_rules::reply_token;

use crate::compose;
use crate::pacing::Limits;

const HOUR: Millis = 3600 * 1000;

/// How mails go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// Where answers prove the request that they are about.
    pub reply_token: ReplyToken,
    /// Whether they are sent as HTML too.
    pub html: bool,
    /// What the domain of a recipient is spared.
    pub limits: Limits,
    /// How long a mail is tried, in milliseconds.
    pub life: Millis,
    /// How long the server may take to say what became of a mail.
    pub answer: Duration,
}

/// Where the token stands that an answer brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyToken {
    /// In the Message-ID alone, which a citizen's program names in its answer.
    MessageId,
    /// Also in Reply-To: `mairie+TOKEN@example.fr` (RFC 5233), which needs a server that delivers such addresses to the mailbox.
    Plus,
}

impl Default for Sending {
    fn default() -> Self {
        Self {
            reply_token: ReplyToken::MessageId,
            html: false,
            limits: Limits {
                at_once: 4,
                per_minute: 3_000,
            },
            life: 48 * HOUR,
            answer: Duration::from_secs(600),
        }
    }
}

impl Sending {
    /// Reads the keys; `from` is the town's address.
    pub(crate) fn read(section: &Section<'_>, from: &str) -> Self {
        let default = Self::default();
        let reply_token = match section.one_of("reply_token", &["message_id", "plus"], "message_id") {
            "plus" => ReplyToken::Plus,
            _ => ReplyToken::MessageId,
        };
        let longest = "a".repeat(reply_token::CHARS);
        if reply_token == ReplyToken::Plus && compose::address(from).is_some() && compose::plus(from, &longest).is_none() {
            section.problem(
                "reply_token",
                format!(
                    "is \"plus\", but what stands before the @ in `from` may then have {} characters at most; use \"message_id\"",
                    64 - 1 - reply_token::CHARS
                ),
            );
        }
        let number = |key, default: usize, most: i64| {
            let read = section.int_or(key, i64::try_from(default).unwrap_or(1), 1..=most);
            usize::try_from(read).unwrap_or(default)
        };
        Self {
            reply_token,
            html: section.bool_or("html", default.html),
            limits: Limits {
                at_once: number("domain_at_once", default.limits.at_once, 64),
                per_minute: number("domain_per_minute", default.limits.per_minute, 100_000),
            },
            life: section.int_or("give_up_hours", default.life / HOUR, 1..=240) * HOUR,
            answer: Duration::from_secs(number("answer_seconds", 600, 1_800) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use voxea_core::base::settings::{Problems, parse};

    fn read(text: &str, from: &str) -> (Sending, Vec<String>) {
        let node = parse(text).unwrap();
        let problems = Problems::new();
        let sending = Sending::read(&Section::root(&node, Path::new("/nowhere"), &problems), from);
        (sending, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        assert_eq!(read("", "mairie@example.fr"), (Sending::default(), Vec::new()));
        let (sending, problems) = read(
            "reply_token = \"plus\"\nhtml = true\ndomain_at_once = 2\ndomain_per_minute = 60\ngive_up_hours = 96\nanswer_seconds = 5\n",
            "mairie@example.fr",
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(
            (sending.reply_token, sending.html, sending.life),
            (ReplyToken::Plus, true, 96 * HOUR)
        );
        assert_eq!((sending.limits.at_once, sending.limits.per_minute), (2, 60));
        assert_eq!((sending.answer, Sending::default().answer.as_secs()), (Duration::from_secs(5), 600));
    }

    #[test]
    fn an_address_without_room_for_a_token_is_refused_at_the_start() {
        let long = "accueil-de-la-mairie-de-saint-exemple@example.fr";
        let (_, problems) = read("reply_token = \"plus\"\n", long);
        assert!(
            problems.len() == 1 && problems[0].contains("line 1: reply_token: is \"plus\""),
            "{problems:?}"
        );
        assert_eq!(read("reply_token = \"message_id\"\n", long).1, [""; 0]);
    }
}
