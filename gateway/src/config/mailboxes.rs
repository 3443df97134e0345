//! The mailboxes together: no two follow the same folder of an account, or what another moves mails to.

use std::collections::BTreeSet;

use voxea_core::base::settings::Section;
use voxea_imap::Config;
use voxea_imap::config::After;

/// Folders of accounts that are taken, each by its server, user and name.
#[derive(Debug, Default)]
pub(super) struct Followed {
    followed: BTreeSet<[String; 3]>,
    filled: BTreeSet<[String; 3]>,
}

impl Followed {
    /// Notes what is wrong with a mailbox beside those before it. Two accounts of one server that share a folder are not known as
    /// such.
    pub(super) fn stand(&mut self, section: &Section<'_>, mailbox: &Config) {
        let place = |folder: &String| [server(mailbox), mailbox.user.to_lowercase(), folder.clone()];
        let targets = mailbox.after.each().into_iter().filter_map(|(_, after)| match after {
            After::Move(target) => Some(place(target)),
            After::Seen | After::Nothing => None,
        });
        let filled: BTreeSet<[String; 3]> = targets.collect();
        for folder in &mailbox.folders {
            let place = place(folder);
            if self.filled.contains(&place) || self.followed.contains(&place) {
                section.problem(
                    if section.has("folders") { "folders" } else { "folder" },
                    format!("{folder:?} of this user is followed, or filled, by another [[mailbox]] above; keep one of the two"),
                );
            }
        }
        if let Some([.., folder]) = filled.iter().find(|place| self.followed.contains(*place)) {
            section.problem(
                "after",
                format!("moves mails to {folder:?}, which another [[mailbox]] above follows; name another folder"),
            );
        }
        self.followed.extend(mailbox.folders.iter().map(place));
        self.filled.extend(filled);
    }
}

/// A server by what tells it from others: its two usual ports are one server's, and the machine itself has several names.
fn server(mailbox: &Config) -> String {
    let host = mailbox.server.host.to_lowercase();
    let host = match host.as_str() {
        "localhost" | "::1" => "127.0.0.1",
        other => other,
    };
    match mailbox.server.port {
        143 | 993 => host.to_owned(),
        port => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use voxea_core::base::settings::{Problems, parse};

    fn problems(mailboxes: [&str; 2]) -> Vec<String> {
        let problems = Problems::new();
        let mut followed = Followed::default();
        for mailbox in mailboxes {
            let address = if mailbox.contains("address") {
                ""
            } else {
                "address = \"127.0.0.1\"\n"
            };
            let node = parse(&format!("name = \"a\"\n{address}password = \"p\"\n{mailbox}")).unwrap();
            let mut section = Section::root(&node, Path::new("/nowhere"), &problems);
            let mailbox = Config::read(&mut section, "Europe/Paris");
            followed.stand(&section, &mailbox);
        }
        problems.into_sorted().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn two_mailboxes_leave_each_other_alone() {
        let moves = "user = \"u\"\nafter = \"move:Fait\"\n";
        assert_eq!(problems([moves, "user = \"v\"\nfolder = \"Fait\"\n"]), [""; 0]);
        assert_eq!(
            problems([moves, "user = \"u\"\nfolder = \"Voirie\"\nafter = \"move:Fait\"\n"]),
            [""; 0]
        );
        for (second, said) in [
            ("user = \"U\"\nfolder = \"Fait\"\n", "line 5: folder: \"Fait\" of this user"),
            (
                "user = \"u\"\naddress = \"LOCALHOST:143\"\nfolder = \"Fait\"\n",
                "line 5: folder: \"Fait\" of this user",
            ),
            ("user = \"u\"\nfolders = [\"Fait\"]\n", "line 5: folders: \"INBOX\" of this user"),
            (
                "user = \"u\"\nfolder = \"Voirie\"\nafter = \"move:INBOX\"\n",
                "line 6: after: moves mails to \"INBOX\"",
            ),
        ] {
            let found = problems([moves, second]);
            assert!(found.first().is_some_and(|first| first.contains(said)), "{found:?}");
        }
    }
}
