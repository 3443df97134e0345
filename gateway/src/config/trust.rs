//! `[[oauth]]` and `[oidc]`: identity providers whose word is taken.

use std::sync::Arc;

use voxea_core::base::settings::Section;

use super::names;
use crate::trust::fetch::{self, Fetch};
use crate::trust::{Claim, Issuer, Persons, Programs, Trust};

/// What an issuer is like.
const ISSUER: &str = "https://id.example.fr/realms/town";

/// Reads `[[oauth]]` and `[oidc]`.
pub(crate) fn read(root: &Section<'_>) -> Trust {
    let programs = names::each(root.list("oauth"), |section| {
        let _ = section.required_string("name", "town");
        let audience = section.required_string("audience", "voxea");
        let jwks = section.string("jwks");
        if let Some(jwks) = &jwks
            && let Err(message) = fetch::check(jwks)
        {
            section.problem("jwks", message);
        }
        issuer(section, jwks).map(|issuer| (audience, issuer))
    });
    let programs = programs.into_iter().filter_map(|(name, read)| {
        let (audience, issuer) = read.as_ref().as_ref()?;
        Some(Programs {
            name,
            audience: audience.clone(),
            issuer: Arc::clone(issuer),
        })
    });
    let persons = root.sub("oidc").and_then(|section| persons(&section));
    Trust::new(programs.collect(), persons)
}

/// `None` when something is wrong, which was noted.
fn issuer(section: &Section<'_>, jwks: Option<String>) -> Option<Arc<Issuer>> {
    let url = section.required_string("issuer", ISSUER);
    if !url.is_empty()
        && let Err(message) = fetch::check(&url)
    {
        section.problem("issuer", message);
    }
    match Fetch::new(section.file("ca_file").as_deref()) {
        Ok(fetch) => Some(Arc::new(Issuer::new(url, jwks, fetch))),
        Err(message) => {
            section.problem("ca_file", message);
            None
        }
    }
}

fn persons(section: &Section<'_>) -> Option<Persons> {
    let issuer = issuer(section, None);
    let client_id = section.required_string("client_id", "voxea");
    let secret = section.secret("client_secret", "client_secret_file");
    let redirect_url = section.required_string("redirect_url", "https://voxea.example.fr/v1/oidc/callback");
    if !redirect_url.is_empty() && (fetch::check(&redirect_url).is_err() || !redirect_url.ends_with("/v1/oidc/callback")) {
        section.problem(
            "redirect_url",
            "must be where browsers find this API, with its path: redirect_url = \"https://voxea.example.fr/v1/oidc/callback\"",
        );
    }
    let claim = match section.one_of("claim", &["sub", "email", "preferred_username"], "sub") {
        "email" => Claim::Email,
        "preferred_username" => Claim::Username,
        _ => Claim::Subject,
    };
    Some(Persons {
        issuer: issuer?,
        client_id,
        secret,
        redirect_url,
        claim,
    })
}
