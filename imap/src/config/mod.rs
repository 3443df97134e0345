//! One `[[mailbox]]` of the configuration, with its `[mailbox.submission]`.

mod after;
mod oauth;
mod server;
mod submission;

use std::sync::Arc;

use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::secret::Secret;
use voxea_core::base::settings::Section;
use voxea_core::base::time;
use voxea_core::outbox::Sender;

use crate::oauth::Tokens;
use crate::planner::First;
use crate::scan::config::Paper;
use crate::trust::Trust;

pub use after::{After, Afters, Outcome};
pub use server::{Security, Server};
pub use submission::Submission;

/// Folders that are followed, at most.
const FOLDERS: usize = 16;

/// A mailbox that is followed, and the server by which it answers.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name, as `/v1/channels` shows it.
    pub name: String,
    /// The IMAP server.
    pub server: Server,
    /// The login.
    pub user: String,
    /// Its password; empty where there is a token.
    pub password: Secret,
    /// What stands for the password, here and where the submission has a user without one.
    pub oauth: Option<Arc<Tokens>>,
    /// The folders that are followed; there is always one, and the first one leads.
    pub folders: Vec<String>,
    /// What the first connection takes in.
    pub first: First,
    /// What happens to a mail that was taken in.
    pub after: Afters,
    /// Whether the citizen gets an acknowledgement.
    pub acknowledge: bool,
    /// Most acknowledgements an hour.
    pub acknowledge_per_hour: u32,
    /// Larger mails are taken in from their headers, bytes.
    pub oversize: u32,
    /// How often to look where the server has no IDLE, seconds.
    pub poll_seconds: u64,
    /// Before a mail that could not be fetched twice is tried again, seconds; the third pause is twice as long.
    pub fetch_retry_seconds: u64,
    /// After so many seconds without a look for mail that came to its end there is an alarm.
    pub alarm_seconds: u64,
    /// The theme of a mail whose address names none.
    pub theme: Option<String>,
    /// Whose word counts about the mails.
    pub trust: Trust,
    /// Of a mailbox of faxes or scanned letters.
    pub paper: Option<Paper>,
    /// How mail goes out; without it the mailbox only takes in.
    pub submission: Option<Submission>,
}

impl Config {
    /// Reads a `[[mailbox]]` of an organisation in this time zone, `Europe/Paris`. What is wrong is noted in the section's
    /// problems, and defaults stand in for it.
    #[must_use]
    pub fn read(section: &mut Section<'_>, time_zone: &str) -> Self {
        let name = section.required_string("name", "mairie");
        if name.contains(|c: char| c.is_control() || c == '/') {
            section.problem("name", "may hold neither slashes nor control characters");
        }
        let server = Server::read(section, "127.0.0.1:993", 993);
        let user = section.required_string("user", "mairie@example.fr");
        let with_token = section.has("oauth");
        let submission = section.sub("submission").map(|mut sub| Submission::read(&mut sub, with_token));
        let oauth = section.sub("oauth").and_then(|sub| oauth::read(&sub));
        let password = section.secret("password", "password_file");
        if with_token && password.is_some() {
            section.problem("password_file", "stands beside [mailbox.oauth]; keep one of the two");
        }
        if password.as_ref().is_some_and(|password| password.reveal().trim().is_empty()) {
            section.problem(
                "password",
                "is empty; a file with the password alone: password_file = \"mail.password\"",
            );
        }
        let password = password.unwrap_or_else(|| {
            if !with_token && !section.has("password") && !section.has("password_file") {
                section.problem(
                    "password_file",
                    "is missing; a file with the password alone: password_file = \"mail.password\"",
                );
            }
            Secret::new("")
        });
        let paper = Paper::of_mailbox(section);
        let acknowledge = section.bool_or("acknowledge", true) && paper.is_none();
        let config = Self {
            name,
            server,
            user,
            password,
            oauth,
            folders: folders(section),
            first: first(section, time_zone),
            after: after::afters(section),
            acknowledge,
            acknowledge_per_hour: narrow(section.int_or("acknowledge_per_hour", 5_000, 1..=1_000_000)),
            oversize: narrow(section.int_or("oversize_mib", 25, 1..=60)) * 1024 * 1024,
            poll_seconds: u64::from(narrow(section.int_or("poll_seconds", 60, 5..=3_600))),
            fetch_retry_seconds: u64::from(narrow(section.int_or("fetch_retry_seconds", 30, 1..=3_600))),
            alarm_seconds: u64::from(narrow(section.int_or("alarm_seconds", 900, 5..=86_400))),
            theme: section.string("theme"),
            trust: Trust::read(section),
            paper,
            submission,
        };
        if section.string("user").is_some_and(|text| text.contains(['\r', '\n', '\0'])) {
            section.problem("user", "may not hold line breaks");
        }
        if config.submission.is_none() && section.has("acknowledge") && config.acknowledge {
            section.warning(
                "acknowledge",
                "is true, but nothing can be sent without a [mailbox.submission]; add one, or write acknowledge = false",
            );
        }
        for (outcome, after) in config.after.each() {
            if let After::Move(target) = after
                && config.folders.contains(target)
            {
                section.problem(
                    "after",
                    format!("moves mails ({outcome}) to {target:?}, which is followed itself; name another folder"),
                );
                break;
            }
        }
        config
    }

    /// The account under which its contacts are stored.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::new(Kind::Mailbox, self.name.clone())
    }

    /// What the outbox must know to send by this mailbox; `None` without a submission server.
    #[must_use]
    pub fn sender(&self) -> Option<Sender> {
        let submission = self.submission.as_ref()?;
        Some(Sender {
            channel: Channel::Email,
            account: self.account(),
            from: submission.from_address.clone(),
        })
    }
}

/// `folder`, and `folders` beside it. Without a `folder` that is the INBOX: nobody leaves it unread by naming another one.
fn folders(section: &Section<'_>) -> Vec<String> {
    let several = section.strings("folders");
    let one = section.string_or("folder", "INBOX");
    let mut folders: Vec<String> = Vec::new();
    for (key, folder) in std::iter::once(("folder", one)).chain(several.into_iter().flatten().map(|folder| ("folders", folder))) {
        if folder.is_empty() {
            section.problem(key, "is empty; an example: folder = \"INBOX\"");
        } else if folder.contains(['\r', '\n', '\0']) {
            section.problem(key, "may not hold line breaks");
        } else {
            let folder = after::canonical(folder);
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
    }
    if folders.len() > FOLDERS {
        section.problem(
            "folders",
            format!("are {}, but may be {FOLDERS}: each is a connection", folders.len()),
        );
    }
    if folders.is_empty() {
        folders.push("INBOX".to_owned());
    }
    folders
}

fn first(section: &Section<'_>, time_zone: &str) -> First {
    let text = section.string_or("first", "new");
    match text.as_str() {
        "new" => First::New,
        "all" => First::All,
        other => {
            // The day begins where the town is.
            let since = other.strip_prefix("since:").and_then(|day| time::start_of_day(day, time_zone));
            since.map_or_else(
                || {
                    section.problem(
                        "first",
                        format!("is {other:?}, but must be \"new\", \"all\" or a date as in \"since:2026-01-01\""),
                    );
                    First::New
                },
                |since| {
                    if since > time::now() {
                        section.problem("first", format!("{other:?} lies ahead; \"new\" leaves what is there as it is"));
                    }
                    First::Since(since)
                },
            )
        }
    }
}

fn narrow(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use voxea_core::base::settings::{Problems, parse};

    fn read(text: &str) -> (Config, Vec<String>) {
        let node = parse(text).unwrap();
        let problems = Problems::new();
        let config = Config::read(&mut Section::root(&node, Path::new("/nowhere"), &problems), "Europe/Paris");
        (config, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_documented_mailbox_is_read() {
        let (config, problems) = read(
            "name = \"mairie\"\naddress = \"127.0.0.1:993\"\nsecurity = \"tls\"\nuser = \"u\"\npassword = \"p\"\nfolder = \"INBOX\"\nfirst = \"since:2026-01-01\"\nafter = \"move:Traités\"\nacknowledge = true\nacknowledge_per_hour = 5000\n[submission]\naddress = \"127.0.0.1:587\"\nsecurity = \"starttls\"\nfrom = \"Mairie de Saint-Exemple <mairie@example.fr>\"\n",
        );
        assert_eq!(problems, [""; 0]);
        // 2026 begins at 23:00 UTC in Paris.
        assert_eq!(config.first, First::Since(1_767_222_000_000));
        assert_eq!(config.after, Afters::all(After::Move("Traités".to_owned())));
        let submission = config.submission.unwrap();
        assert_eq!(
            (submission.from_name.as_str(), submission.from_address.as_str()),
            ("Mairie de Saint-Exemple", "mairie@example.fr")
        );
        assert_eq!(submission.server.authority(), "127.0.0.1:587");
    }

    #[test]
    fn each_outcome_may_have_its_folder() {
        let start = "name = \"a\"\naddress = \"127.0.0.1\"\nuser = \"u\"\npassword = \"p\"\n";
        let (config, problems) = read(&format!(
            "{start}after = {{ taken = \"move:Traités\", quarantined = \"move:À vérifier\" }}\n"
        ));
        assert_eq!(problems, [""; 0]);
        let expected = Afters {
            taken: After::Move("Traités".to_owned()),
            automatic: After::Move("Traités".to_owned()),
            quarantined: After::Move("À vérifier".to_owned()),
            failed: After::Nothing,
        };
        assert_eq!(config.after, expected);
        let (_, problems) = read(&format!("{start}after = {{ takn = \"seen\", failed = \"move:INBOX\" }}\n"));
        assert_eq!(problems.len(), 2, "{problems:#?}");
        let (_, problems) = read(&format!("{start}after = 3\n"));
        assert!(problems[0].contains("must be a section"), "{problems:#?}");
    }

    #[test]
    fn folders_stand_beside_the_first() {
        let start = "name = \"a\"\naddress = \"127.0.0.1\"\nuser = \"u\"\npassword = \"p\"\n";
        for (text, folders) in [
            ("", vec!["INBOX"]),
            ("folder = \"Mairie\"\n", vec!["Mairie"]),
            ("folders = [\"INBOX\", \"Voirie\"]\n", vec!["INBOX", "Voirie"]),
            ("folder = \"INBOX\"\nfolders = [\"Voirie\", \"INBOX\"]\n", vec!["INBOX", "Voirie"]),
            ("folders = [\"Voirie\"]\n", vec!["INBOX", "Voirie"]),
            ("folder = \"inbox\"\nfolders = [\"Inbox\", \"inbox2\"]\n", vec!["INBOX", "inbox2"]),
        ] {
            let (config, problems) = read(&format!("{start}{text}"));
            assert_eq!(
                (config.folders, problems),
                (folders.into_iter().map(str::to_owned).collect(), vec![])
            );
        }
        let (_, problems) = read(&format!("{start}folders = [\"INBOX\", \"Fait\"]\nafter = \"move:Fait\"\n"));
        assert!(problems.len() == 1 && problems[0].contains("followed itself"), "{problems:#?}");
        let (_, problems) = read(&format!("{start}after = \"move:inbox\"\n"));
        assert!(problems.len() == 1 && problems[0].contains("followed itself"), "{problems:#?}");
    }

    #[test]
    fn a_token_stands_for_the_passwords() {
        let start = "name = \"a\"\naddress = \"127.0.0.1\"\nuser = \"u\"\n";
        let oauth = "[oauth]\ntoken_url = \"https://login.example/token\"\nclient_id = \"c\"\nclient_secret = \"s\"\n";
        let submission = "[submission]\naddress = \"127.0.0.1\"\nuser = \"u\"\nfrom = \"mairie@example.fr\"\n";
        let (config, problems) = read(&format!("{start}{oauth}{submission}"));
        assert_eq!(problems, [""; 0]);
        assert!(config.oauth.is_some() && config.submission.unwrap().xoauth2);
        let (config, _) = read(&format!("{start}password = \"p\"\n{submission}password = \"q\"\n"));
        assert!(config.oauth.is_none() && !config.submission.unwrap().xoauth2);
        let (_, problems) = read(&format!(
            "{start}password = \"p\"\n[oauth]\ntoken_url = \"http://login.example/token\"\nclient_id = \"c\"\ngrant = \"refresh_token\"\n"
        ));
        let said = |what: &str| assert!(problems.iter().any(|problem| problem.contains(what)), "{what}: {problems:#?}");
        for what in ["keep one of the two", "https:// URL", "refresh_token_file: is missing"] {
            said(what);
        }
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let (_, problems) = read(
            "name = \"a\"\naddress = \"127.0.0.1\"\nuser = \"u\"\npassword = \"p\"\n[submission]\naddress = \"127.0.0.1\"\nfrom = \"a@b.fr\"\nuser = \"\"\npassword = \" \"\n",
        );
        assert!(
            matches!(problems.as_slice(), [user, password] if user.contains("user: is empty") && password.contains("password: is empty")),
            "{problems:#?}"
        );
        let (_, problems) = read("name = \"a\"\naddress = \"127.0.0.1\"\nuser = \"u\"\npassword = \"\"\nfirst = \"since:2999-01-01\"\n");
        assert_eq!(problems.len(), 2, "{problems:#?}");
        assert!(
            problems[0].starts_with("line 4: password: is empty") && problems[1].contains("lies ahead"),
            "{problems:#?}"
        );
        let (_, problems) = read(
            "name = \"a\"\naddress = \"mail.example.fr:993\"\nsecurity = \"none\"\nuser = \"u\"\nfirst = \"yesterday\"\nafter = \"delete\"\nfoldr = \"x\"\n[submission]\naddress = \"x:y\"\nfrom = \"Mairie\"\nuser = \"v\"\n",
        );
        let said = |what: &str| assert!(problems.iter().any(|problem| problem.contains(what)), "{what}: {problems:#?}");
        for what in [
            "loopback",
            "password_file: is missing;",
            "first: is \"yesterday\"",
            "after: is \"delete\"",
            "did you mean folder",
            "submission.address",
            "submission.from",
            "missing beside user",
        ] {
            said(what);
        }
        let (_, problems) =
            read("name = \"a\"\naddress = \"127.0.0.1\"\nuser = \"u\"\npassword = \"p\"\nfolder = \"\"\nacknowledge = true\n");
        assert_eq!(problems.len(), 2, "{problems:#?}");
        assert!(problems[0].starts_with("line 5: folder: is empty"), "{problems:#?}");
        assert!(
            problems[1].starts_with("warning: line 6: acknowledge: ") && problems[1].contains("[mailbox.submission]"),
            "{problems:#?}"
        );
    }
}
