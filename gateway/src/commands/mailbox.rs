//! `voxea mailbox`.

use std::process::ExitCode;

use clap::Subcommand;
use voxea_core::base::time;
use voxea_imap::planner::First;
use voxea_imap::{Amount, Counted};

use super::common::say;
use crate::config::Config;
use crate::failure::Failure;

/// What to ask a mailbox.
#[derive(Debug, Subcommand)]
pub(super) enum MailboxCommand {
    /// Say what the first connection would take in, and change nothing.
    Count {
        /// The mailbox's `name`.
        name: String,
        /// A day, such as 2026-01-01, for `first = "since:…"`; without it the one of the configuration.
        #[arg(long, value_name = "DAY")]
        since: Option<String>,
    },
}

/// Counts.
///
/// # Errors
/// A mailbox or a day that there is not, with exit code 2; the server's.
pub(super) async fn mailbox(config: &Config, command: MailboxCommand) -> Result<ExitCode, Failure> {
    let MailboxCommand::Count { name, since } = command;
    let Some((_, mailbox)) = config.mailboxes.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = config.mailboxes.iter().map(|(name, _)| name.as_str()).collect();
        return Err(Failure::Usage(format!(
            "there is no mailbox {name:?}; there are: {}",
            known.join(", ")
        )));
    };
    let floor = match (&since, mailbox.first) {
        (Some(day), _) => Some(
            time::start_of_day(day, &config.organisation.time_zone)
                .ok_or_else(|| Failure::Usage(format!("{day:?} is no day; an example: --since 2026-01-01")))?,
        ),
        (None, First::Since(floor)) => Some(floor),
        (None, _) => None,
    };
    let counted = voxea_imap::count(mailbox, floor).await.map_err(Failure::Broken)?;
    for line in lines(&counted, since.as_deref()) {
        say(line);
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(counted: &[Counted], day: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    for folder in counted {
        lines.push(format!("{}:", folder.folder));
        lines.push("  first = \"new\" takes in nothing of what is there".to_owned());
        if let Some(since) = &folder.since {
            let day = day.map_or_else(|| "since:…".to_owned(), |day| format!("since:{day}"));
            lines.push(format!("  first = \"{day}\" takes in {}", written(since)));
        }
        lines.push(format!("  first = \"all\" takes in {}", written(&folder.all)));
    }
    lines.push("What is taken in from before the first connection is not acknowledged, and nothing is deleted.".to_owned());
    lines
}

fn written(amount: &Amount) -> String {
    let mut text = format!("{} mails, {}", amount.mails, size(amount.bytes));
    if amount.oversize > 0 {
        text.push_str(&format!(", {} of them by their headers alone (oversize_mib)", amount.oversize));
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_written_for_people() {
        let all = Amount {
            mails: 5_000,
            bytes: 187_000_000,
            oversize: 2,
        };
        let since = Amount {
            mails: 1,
            bytes: 1_200,
            oversize: 0,
        };
        let counted = Counted {
            folder: "INBOX".to_owned(),
            all,
            since: Some(since),
        };
        assert_eq!(
            lines(&[counted], Some("2026-01-01")),
            [
                "INBOX:",
                "  first = \"new\" takes in nothing of what is there",
                "  first = \"since:2026-01-01\" takes in 1 mails, 2 kB",
                "  first = \"all\" takes in 5000 mails, 187.0 MB, 2 of them by their headers alone (oversize_mib)",
                "What is taken in from before the first connection is not acknowledged, and nothing is deleted.",
            ]
        );
        assert_eq!(size(2_340_000_000), "2.3 GB");
    }
}
