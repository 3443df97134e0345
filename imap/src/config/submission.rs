//! `[mailbox.submission]`: how mail goes out.

use voxea_core::base::secret::Secret;
use voxea_core::base::settings::Section;

use super::server::Server;
use crate::compose;
use crate::sending::Sending;

/// The submission server (RFC 6409).
#[derive(Debug, Clone)]
pub struct Submission {
    /// Where.
    pub server: Server,
    /// Login and password; without them no AUTH.
    pub credentials: Option<(String, Secret)>,
    /// The password is the mailbox's token, filled in each time that it is renewed.
    pub xoauth2: bool,
    /// Display name of the sender.
    pub from_name: String,
    /// Address of the sender.
    pub from_address: String,
    /// How mails go out.
    pub sending: Sending,
}

impl Submission {
    /// `with_token`: the mailbox has a token, which stands for the password of a user without one.
    pub(super) fn read(section: &mut Section<'_>, with_token: bool) -> Self {
        let server = Server::read(section, "127.0.0.1:587", 587);
        let password = section.secret("password", "password_file");
        let xoauth2 = with_token && password.is_none() && section.has("user");
        let user = section.string("user");
        for (key, empty) in [
            ("user", user.as_ref().is_some_and(String::is_empty)),
            (
                "password",
                password.as_ref().is_some_and(|password| password.reveal().trim().is_empty()),
            ),
        ] {
            if empty {
                section.problem(key, "is empty; leave user and password_file out for a server without AUTH");
            }
        }
        let credentials = match (user, password) {
            (Some(user), Some(password)) => Some((user, password)),
            (Some(user), None) if xoauth2 => Some((user, Secret::new(""))),
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
        let several = from_name.contains(['<', '>']) || from_name.contains(['\r', '\n']);
        if !from.is_empty() && (several || compose::address(&from_address).is_none()) {
            section.problem(
                "from",
                "holds no usable mail address, or more than one; an example: from = \"Mairie de Saint-Exemple <mairie@example.fr>\"",
            );
        }
        Self {
            sending: Sending::read(section, &from_address),
            server,
            credentials,
            xoauth2,
            from_name,
            from_address,
        }
    }
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
