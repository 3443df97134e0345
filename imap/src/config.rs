//! One `[[mailbox]]` of the configuration, with its `[mailbox.submission]`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::secret::Secret;
use voxea_core::base::settings::Section;
use voxea_core::base::time;
use voxea_core::outbox::Sender;

use crate::compose;
use crate::planner::First;
use crate::trust::Trust;

/// A mailbox that is followed, and the server by which it answers.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name, as `/v1/channels` shows it.
    pub name: String,
    /// The IMAP server.
    pub server: Server,
    /// The login.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// The folder that is followed.
    pub folder: String,
    /// What the first connection takes in.
    pub first: First,
    /// What happens to a mail that was taken in.
    pub after: After,
    /// Whether the citizen gets an acknowledgement.
    pub acknowledge: bool,
    /// Most acknowledgements an hour.
    pub acknowledge_per_hour: u32,
    /// Larger mails are taken in from their headers, bytes.
    pub oversize: u32,
    /// How often to look where the server has no IDLE, seconds.
    pub poll_seconds: u64,
    /// The theme of a mail whose address names none.
    pub theme: Option<String>,
    /// Whose word counts about the mails.
    pub trust: Trust,
    /// How mail goes out; without it the mailbox only takes in.
    pub submission: Option<Submission>,
}

/// Where and how to connect.
#[derive(Debug, Clone)]
pub struct Server {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS from the first byte, after STARTTLS, or none.
    pub security: Security,
    /// PEM file of a private authority that is trusted besides the machine's own.
    pub ca_file: Option<PathBuf>,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte (RFC 8314 §3).
    Tls,
    /// TLS after STARTTLS; never without.
    Starttls,
    /// None; loopback only.
    None,
}

/// What happens to a mail that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// It is marked `\Seen`.
    Seen,
    /// It is moved to a folder.
    Move(String),
    /// Nothing.
    Nothing,
}

/// The submission server (RFC 6409).
#[derive(Debug, Clone)]
pub struct Submission {
    /// Where.
    pub server: Server,
    /// Login and password; without them no AUTH.
    pub credentials: Option<(String, Secret)>,
    /// Display name of the sender.
    pub from_name: String,
    /// Address of the sender.
    pub from_address: String,
}

impl Config {
    /// Reads a `[[mailbox]]`. What is wrong is noted in the section's problems, and defaults stand in for it.
    #[must_use]
    pub fn read(section: &mut Section<'_>) -> Self {
        let name = section.required_string("name", "mairie");
        if name.contains(|c: char| c.is_control() || c == '/') {
            section.problem("name", "may hold neither slashes nor control characters");
        }
        let server = Server::read(section, "127.0.0.1:993", 993);
        let user = section.required_string("user", "mairie@example.fr");
        let password = section.secret("password", "password_file").unwrap_or_else(|| {
            if !section.has("password") && !section.has("password_file") {
                section.problem(
                    "password_file",
                    "is missing; a file with the password alone: password_file = \"mail.password\"",
                );
            }
            Secret::new("")
        });
        let submission = section.sub("submission").map(|mut sub| Submission::read(&mut sub));
        let acknowledge = section.bool_or("acknowledge", true);
        let config = Self {
            name,
            server,
            user,
            password,
            folder: section.string_or("folder", "INBOX"),
            first: first(section),
            after: after(section),
            acknowledge,
            acknowledge_per_hour: narrow(section.int_or("acknowledge_per_hour", 5_000, 1..=1_000_000)),
            oversize: narrow(section.int_or("oversize_mib", 25, 1..=60)) * 1024 * 1024,
            poll_seconds: u64::from(narrow(section.int_or("poll_seconds", 60, 5..=3_600))),
            theme: section.string("theme"),
            trust: Trust::read(section),
            submission,
        };
        for key in ["user", "folder"] {
            if section.string(key).is_some_and(|text| text.contains(['\r', '\n', '\0'])) {
                section.problem(key, "may not hold line breaks");
            }
        }
        if config.folder.is_empty() {
            section.problem("folder", "is empty; an example: folder = \"INBOX\"");
        }
        if config.submission.is_none() && section.has("acknowledge") && config.acknowledge {
            section.warning(
                "acknowledge",
                "is true, but nothing can be sent without a [mailbox.submission]; add one, or write acknowledge = false",
            );
        }
        if config.after == After::Move(config.folder.clone()) {
            section.problem("after", "moves mails to the folder that is followed; name another one");
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

impl Server {
    fn read(section: &Section<'_>, example: &str, default_port: u16) -> Self {
        let address = section.required_string("address", example);
        let security = match section.one_of("security", &["tls", "starttls", "none"], "tls") {
            "starttls" => Security::Starttls,
            "none" => Security::None,
            _ => Security::Tls,
        };
        let parsed = if address.is_empty() {
            Ok((String::new(), 0))
        } else {
            host_and_port(&address, default_port)
        };
        let (host, port) = parsed.unwrap_or_else(|message| {
            section.problem("address", format!("{message}; an example: address = \"{example}\""));
            (String::new(), 0)
        });
        if security == Security::None && !host.is_empty() && !loopback(&host) {
            section.problem(
                "security",
                "is \"none\", which is for loopback addresses only; \"tls\" or \"starttls\" would be right here",
            );
        }
        let ca_file = section.file("ca_file");
        if let Some(error) = ca_file.as_ref().and_then(|path| std::fs::File::open(path).err()) {
            section.problem("ca_file", format!("cannot be read: {error}; it must be a PEM file of certificates"));
        }
        Self {
            host,
            port,
            security,
            ca_file,
        }
    }

    /// `host:port`, with brackets around an IPv6 address.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl Submission {
    fn read(section: &mut Section<'_>) -> Self {
        let server = Server::read(section, "127.0.0.1:587", 587);
        let password = section.secret("password", "password_file");
        let credentials = match (section.string("user"), password) {
            (Some(user), Some(password)) => Some((user, password)),
            (Some(_), None) => {
                if !section.has("password_file") {
                    section.problem("password_file", "is missing beside user; leave both out for a server without AUTH");
                }
                None
            }
            (None, Some(_)) => {
                section.problem("user", "is missing beside the password");
                None
            }
            (None, None) => None,
        };
        let from = section.required_string("from", "Mairie de Saint-Exemple <mairie@example.fr>");
        let (from_name, from_address) = mailbox(&from);
        if !from.is_empty() && compose::address(&from_address).is_none() {
            section.problem(
                "from",
                "holds no usable mail address; an example: from = \"Mairie de Saint-Exemple <mairie@example.fr>\"",
            );
        }
        Self {
            server,
            credentials,
            from_name,
            from_address,
        }
    }
}

fn first(section: &Section<'_>) -> First {
    let text = section.string_or("first", "new");
    match text.as_str() {
        "new" => First::New,
        "all" => First::All,
        other => {
            let since = other
                .strip_prefix("since:")
                .and_then(|day| time::parse_rfc3339(&format!("{day}T00:00:00Z")));
            since.map_or_else(
                || {
                    section.problem(
                        "first",
                        format!("is {other:?}, but must be \"new\", \"all\" or a date as in \"since:2026-01-01\""),
                    );
                    First::New
                },
                First::Since,
            )
        }
    }
}

fn after(section: &Section<'_>) -> After {
    let text = section.string_or("after", "seen");
    match text.as_str() {
        "seen" => After::Seen,
        "nothing" => After::Nothing,
        other => match other
            .strip_prefix("move:")
            .filter(|folder| !folder.is_empty() && !folder.contains(['\r', '\n', '\0']))
        {
            Some(folder) => After::Move(folder.to_owned()),
            None => {
                section.problem(
                    "after",
                    format!("is {other:?}, but must be \"seen\", \"nothing\" or a folder as in \"move:Traités\""),
                );
                After::Seen
            }
        },
    }
}

fn host_and_port(text: &str, default_port: u16) -> Result<(String, u16), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("has no closing bracket")?;
            (host, rest.strip_prefix(':'))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port
        .map_or(Ok(default_port), u16::from_str)
        .map_err(|_| format!("{text:?} has no port between 1 and 65535"))?;
    let valid = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte));
    if valid && port > 0 {
        Ok((host.to_owned(), port))
    } else {
        Err(format!("{text:?} is not a host and a port"))
    }
}

fn loopback(host: &str) -> bool {
    host == "localhost" || IpAddr::from_str(host).is_ok_and(|address| address.is_loopback())
}

/// `Name <address>` or a bare address.
fn mailbox(text: &str) -> (String, String) {
    match text.rsplit_once('<') {
        Some((name, address)) => (
            name.trim().trim_matches('"').to_owned(),
            address.trim().trim_end_matches('>').trim().to_owned(),
        ),
        None => (String::new(), text.trim().to_owned()),
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
        let config = Config::read(&mut Section::root(&node, Path::new("/nowhere"), &problems));
        (config, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_documented_mailbox_is_read() {
        let (config, problems) = read(
            "name = \"mairie\"\naddress = \"127.0.0.1:993\"\nsecurity = \"tls\"\nuser = \"u\"\npassword = \"p\"\nfolder = \"INBOX\"\nfirst = \"since:2026-01-01\"\nafter = \"move:Traités\"\nacknowledge = true\nacknowledge_per_hour = 5000\n[submission]\naddress = \"127.0.0.1:587\"\nsecurity = \"starttls\"\nfrom = \"Mairie de Saint-Exemple <mairie@example.fr>\"\n",
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(config.first, First::Since(1_767_225_600_000));
        assert_eq!(config.after, After::Move("Traités".to_owned()));
        let submission = config.submission.unwrap();
        assert_eq!(
            (submission.from_name.as_str(), submission.from_address.as_str()),
            ("Mairie de Saint-Exemple", "mairie@example.fr")
        );
        assert_eq!(submission.server.authority(), "127.0.0.1:587");
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
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
