//! `[open311]`.

use voxea_core::base::settings::Section;

use crate::http::compat::open311::settings::Open311;

/// The longest value, in characters.
const LONGEST: usize = 200;

/// Reads `[open311]`.
pub(crate) fn read(section: Option<&Section<'_>>) -> Open311 {
    let Some(section) = section else { return Open311::default() };
    let text = |key: &'static str| {
        let text = section.has(key).then(|| section.string(key)).flatten();
        if text
            .as_deref()
            .is_some_and(|text| text.trim().is_empty() || text.chars().count() > LONGEST)
        {
            section.problem(key, format!("must have 1 to {LONGEST} characters, or be left out"));
        }
        text
    };
    let base_url = text("base_url");
    if let Some(url) = base_url.as_deref()
        && (!(url.starts_with("https://") || url.starts_with("http://")) || url.ends_with('/'))
    {
        section.problem(
            "base_url",
            "must be where clients see this server, without a slash at the end: base_url = \"https://voxea.example.fr\"",
        );
    }
    let enabled = section.bool_or("enabled", false);
    if enabled && base_url.is_none() && !section.has("base_url") {
        section.problem(
            "base_url",
            "is missing: clients read in the discovery where the interface is; an example: base_url = \"https://voxea.example.fr\"",
        );
    }
    Open311 {
        enabled,
        jurisdiction: text("jurisdiction"),
        contact: text("contact"),
        base_url,
    }
}
