//! Whose word counts about the mails of a mailbox: a server's on what it found out, a form's on who filled it in.

use voxea_core::base::settings::Section;

use crate::compose;

/// What the operator trusts; nothing unless they say so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// The name under which the town's own server writes `Authentication-Results` (RFC 8601 §2.5).
    pub authserv_id: Option<String>,
    /// The field by which the town's own server marks spam, and how its value begins.
    pub spam: Option<(String, String)>,
    /// The addresses under which forms of web sites send what people filled in, whose own stand in `Reply-To`.
    pub forms: Vec<String>,
}

impl Trust {
    /// Whether this is the address of a form.
    #[must_use]
    pub fn is_form(&self, from: &str) -> bool {
        self.forms.iter().any(|form| form.eq_ignore_ascii_case(from))
    }

    /// Reads `authserv_id`, `spam_header` and `forms` of a `[[mailbox]]`. What is wrong is noted in the section's problems.
    pub(crate) fn read(section: &Section<'_>) -> Self {
        let authserv_id = section.string("authserv_id");
        if authserv_id
            .as_ref()
            .is_some_and(|name| name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == ';'))
        {
            section.problem(
                "authserv_id",
                "must be the name with which your server begins Authentication-Results, as in authserv_id = \"mx.example.fr\"",
            );
        }
        let spam = section.string("spam_header").and_then(|text| {
            let split = text
                .split_once(':')
                .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
            let sound =
                split.filter(|(name, value)| !value.is_empty() && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()));
            if sound.is_none() {
                section.problem(
                    "spam_header",
                    "must be a field and how its value begins, as in spam_header = \"X-Spam-Flag: YES\"",
                );
            }
            sound
        });
        let forms = section.strings("forms").unwrap_or_default();
        for wrong in forms.iter().filter(|form| form.contains('*') || compose::recipient(form).is_none()) {
            section.problem(
                "forms",
                format!("{wrong:?} is no mail address; an example: forms = [\"formulaire@example.fr\"]"),
            );
        }
        Self { authserv_id, spam, forms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use voxea_core::base::settings::{Problems, parse};

    fn read(text: &str) -> (Trust, Vec<String>) {
        let node = parse(text).unwrap();
        let problems = Problems::new();
        let trust = Trust::read(&Section::root(&node, Path::new("/nowhere"), &problems));
        (trust, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nobody_is_trusted_unless_named() {
        assert_eq!(read(""), (Trust::default(), Vec::new()));
        let (trust, problems) = read("authserv_id = \"mx.example.fr\"\nspam_header = \"X-Spam-Flag: YES\"\n");
        assert_eq!(problems, [""; 0]);
        assert_eq!(trust.authserv_id.as_deref(), Some("mx.example.fr"));
        assert_eq!(trust.spam, Some(("X-Spam-Flag".to_owned(), "YES".to_owned())));
        let (trust, problems) = read("forms = [\"Formulaire@example.fr\"]\n");
        assert_eq!(problems, [""; 0]);
        assert!(trust.is_form("formulaire@Example.fr") && !trust.is_form("autre@example.fr"));
        let (_, problems) = read("forms = [\"le formulaire\", \"f@épinay.example\", \"*@ville.example\"]\n");
        assert!(problems.len() == 2 && problems[0].starts_with("line 1: forms: "), "{problems:?}");
        let (_, problems) = read("authserv_id = \"a b\"\nspam_header = \"X-Spam-Flag\"\n");
        assert!(
            problems.len() == 2 && problems[0].starts_with("line 1: authserv_id: ") && problems[1].starts_with("line 2: spam_header: "),
            "{problems:?}"
        );
    }
}
