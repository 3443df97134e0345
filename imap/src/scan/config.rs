//! What the configuration says of paper: the `kind` of a `[[mailbox]]`, and each `[[scan]]`.

use std::path::PathBuf;
use std::time::Duration;

use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::settings::Section;

use super::sender::{From, Rule};
use super::watch::Settings;

/// Documents, by which channel they count and how their senders are found.
#[derive(Debug, Clone)]
pub struct Paper {
    /// `fax` or `letter`.
    pub channel: Channel,
    /// Without one nobody is their sender.
    pub sender: Option<Rule>,
}

/// A watched folder.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Its name, as `/v1/channels` shows it.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
    /// What lies in it.
    pub paper: Paper,
    /// What becomes of a document that was taken in.
    pub after: After,
    /// When a file is complete.
    pub watch: Settings,
    /// Larger ones are not kept, bytes.
    pub oversize: u64,
    /// The theme of its documents.
    pub theme: Option<String>,
}

/// What becomes of a document that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// It is moved away.
    Move {
        /// Where to.
        done: PathBuf,
        /// Where to, when it could not be read.
        failed: PathBuf,
    },
    /// It stays.
    Keep,
}

impl Paper {
    /// Reads `kind` and `sender` of a `[[mailbox]]`; `None` for one of letters by mail. What is wrong is noted.
    #[must_use]
    pub fn of_mailbox(section: &Section<'_>) -> Option<Self> {
        let channel = match section.one_of("kind", &["mail", "fax", "scan"], "mail") {
            "fax" => Channel::Fax,
            "scan" => Channel::Letter,
            _ => {
                if section.has("sender") {
                    section.problem(
                        "sender",
                        "is for a mailbox of kind = \"fax\" or \"scan\"; of a mail From says who wrote it",
                    );
                }
                return None;
            }
        };
        if section.has("acknowledge") && section.bool_or("acknowledge", false) {
            section.problem(
                "acknowledge",
                "is true, but what comes here was sent by a machine, which must not be answered; take the key away",
            );
        }
        Some(Self {
            channel,
            sender: rule(section, &From::NAMES),
        })
    }
}

/// Reads `sender = { from, pattern }`; `from` may be one of `places`, the last of which stands for it.
fn rule(section: &Section<'_>, places: &[&'static str]) -> Option<Rule> {
    let sub = section.sub("sender")?;
    let from = sub.one_of("from", places, places.last().copied().unwrap_or_default());
    if !sub.has("pattern") {
        sub.problem(
            "pattern",
            "is missing; an example: sender = { from = \"file_name\", pattern = '^([+0-9]+)_' }",
        );
    }
    let pattern = sub.parsed("pattern", "^([+0-9]+)_")?;
    Some(Rule {
        from: From::named(from)?,
        pattern,
    })
}

impl Folder {
    /// Reads a `[[scan]]`. What is wrong is noted in the section's problems, and defaults stand in for it.
    #[must_use]
    pub fn read(section: &mut Section<'_>) -> Self {
        let name = section.required_string("name", "courrier");
        let given = section.required_string("folder", "/srv/scans");
        let path = section.folder().join(&given);
        // Telephone and mail must start without a share that is away.
        if !given.is_empty() && !path.is_dir() {
            section.warning(
                "folder",
                format!(
                    "{}: there is no such folder now; it is looked for again until it is there",
                    path.display()
                ),
            );
        }
        let channel = match section.one_of("kind", &["scan", "fax"], "scan") {
            "fax" => Channel::Fax,
            _ => Channel::Letter,
        };
        let after = after(section, &path);
        let seconds = |key, default, range| Duration::from_secs(u64::try_from(section.int_or(key, default, range)).unwrap_or(0));
        let watch = Settings {
            settle: seconds("settle_seconds", 5, 1..=600),
            patience: seconds("patience_seconds", 120, 1..=3_600),
        };
        if watch.patience < watch.settle {
            section.problem("patience_seconds", "is shorter than settle_seconds");
        }
        Self {
            name,
            path,
            paper: Paper {
                channel,
                sender: rule(section, &["file_name"]),
            },
            after,
            watch,
            oversize: u64::try_from(section.int_or("oversize_mib", 50, 1..=200)).unwrap_or(50) * 1024 * 1024,
            theme: section.string("theme"),
        }
    }

    /// The account under which its documents are stored.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::new(Kind::Scan, self.name.clone())
    }
}

fn after(section: &Section<'_>, path: &std::path::Path) -> After {
    let text = section.string_or("after", "move:done");
    let failed = section.string_or("failed", "failed");
    if text == "keep" {
        if section.has("failed") {
            section.problem("failed", "stands beside after = \"keep\", which moves nothing");
        }
        return After::Keep;
    }
    let mut done = text.strip_prefix("move:").unwrap_or_default();
    let names = |name: &str| !name.trim().is_empty() && !name.contains('\0') && path.join(name) != *path && name != ".";
    if !names(done) {
        section.problem(
            "after",
            format!("is {text:?}, but must be \"keep\" or another folder as in \"move:done\""),
        );
        // Nothing more is said of a folder that nobody named.
        done = "done";
    }
    if !names(&failed) || failed == done {
        section.problem("failed", "must be a folder of its own, as in failed = \"failed\"");
    }
    After::Move {
        done: path.join(done),
        failed: path.join(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxea_core::base::settings::{Problems, parse};

    fn folder(text: &str) -> (Folder, Vec<String>) {
        let node = parse(text).unwrap();
        let problems = Problems::new();
        let here = std::env::temp_dir();
        let read = Folder::read(&mut Section::root(&node, &here, &problems));
        (read, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_documented_folder_is_read() {
        let (read, said) = folder(
            "name = \"courrier\"\nfolder = \".\"\nkind = \"fax\"\nafter = \"move:faits\"\nsettle_seconds = 2\nsender = { pattern = '^([+0-9]+)_' }\n",
        );
        assert_eq!(said, [""; 0]);
        assert_eq!((read.paper.channel, read.watch.settle), (Channel::Fax, Duration::from_secs(2)));
        assert!(matches!(&read.after, After::Move { done, failed } if done.ends_with("faits") && failed.ends_with("failed")));
        assert_eq!(
            read.paper.sender.unwrap().pattern.find("0140205050_1.tif").as_deref(),
            Some("+33140205050")
        );
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let (_, said) = folder(
            "name = \"a\"\nfolder = \"nowhere-at-all\"\nkind = \"mail\"\nafter = \"delete\"\nfailed = \"\"\nsettle_seconds = 60\npatience_seconds = 5\nsender = { from = \"subject\", pattern = \"no group\" }\n",
        );
        for what in [
            "warning: line 2: folder: ",
            "kind: is \"mail\"",
            "after: is \"delete\"",
            "failed: must be",
            "patience_seconds: is shorter",
            "sender.from: is \"subject\"",
            "it has no group",
        ] {
            assert!(said.iter().any(|line| line.contains(what)), "{what}: {said:#?}");
        }
        let (kept, said) = folder("name = \"a\"\nfolder = \".\"\nafter = \"keep\"\nfailed = \"x\"\n");
        assert_eq!((kept.after, said.len()), (After::Keep, 1));
    }

    #[test]
    fn a_mailbox_of_faxes_answers_nobody() {
        let read = |text: &str| {
            let node = parse(text).unwrap();
            let problems = Problems::new();
            let section = Section::root(&node, std::path::Path::new("/"), &problems);
            let paper = Paper::of_mailbox(&section);
            let _ = section.bool_or("acknowledge", false);
            drop(section);
            (paper, problems.into_sorted().iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let (paper, said) = read("kind = \"fax\"\nsender = { from = \"subject\", pattern = '([0-9]{10})' }\n");
        assert_eq!((paper.map(|paper| paper.channel), said.len()), (Some(Channel::Fax), 0));
        assert!(read("kind = \"scan\"\nacknowledge = true\n").1[0].contains("must not be answered"));
        let (none, said) = read("sender = { pattern = '(x)' }\n");
        assert!(none.is_none() && said[0].contains("kind = \"fax\""), "{said:?}");
    }
}
