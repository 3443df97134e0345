//! `[mailbox.oauth]`: a token in the place of a password.

use std::sync::Arc;

use voxea_core::base::settings::Section;

use crate::oauth::{Asking, Endpoint, Grant, Mechanism, Tokens};

/// Reads the section; `None` when something in it is wrong, which is noted.
pub(super) fn read(section: &Section<'_>) -> Option<Arc<Tokens>> {
    let url = section.required_string("token_url", "https://login.microsoftonline.com/TENANT/oauth2/v2.0/token");
    let client_id = section.required_string("client_id", "00000000-0000-0000-0000-000000000000");
    let client_secret = section.secret("client_secret", "client_secret_file");
    let refresh_token = section.secret("refresh_token", "refresh_token_file");
    let grant = section.one_of("grant", &["client_credentials", "refresh_token"], "client_credentials");
    let mechanism = match section.one_of("mechanism", &["xoauth2", "oauthbearer"], "xoauth2") {
        "oauthbearer" => Mechanism::Oauthbearer,
        _ => Mechanism::Xoauth2,
    };
    let scope = section.string_or("scope", "");
    let ca_file = section.file("ca_file");
    let endpoint = Endpoint::new(&url, ca_file.as_deref());
    if let (Err(words), false) = (&endpoint, url.is_empty()) {
        section.problem("token_url", format!("is {url:?}, but {words}"));
    }
    let missing = |key: &'static str, example: &str| {
        section.problem(key, format!("is missing; a file with it alone: {key} = \"{example}\""));
    };
    let grant = match (grant, refresh_token) {
        ("refresh_token", Some(token)) => Some(Grant::RefreshToken(token)),
        ("refresh_token", None) => {
            if !section.has("refresh_token_file") {
                missing("refresh_token_file", "mail.refresh");
            }
            None
        }
        (_, Some(_)) => {
            section.problem(
                "refresh_token_file",
                "is of no use with grant = \"client_credentials\"; leave one of them out",
            );
            None
        }
        (_, None) => {
            if client_secret.is_none() && !section.has("client_secret_file") {
                missing("client_secret_file", "client.secret");
            }
            Some(Grant::ClientCredentials)
        }
    };
    Some(Arc::new(Tokens::new(Asking {
        endpoint: endpoint.ok()?,
        client_id,
        client_secret,
        scope,
        grant: grant?,
        mechanism,
    })))
}
