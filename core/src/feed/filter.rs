//! Which events a named consumer or a webhook is about: a [`Selection`] as it is kept.

use serde::{Deserialize, Serialize};
use voxea_rules::filter::MOST;

use super::Selection;
use super::event::EventKind;
use super::page::{Feed, Page};
use super::selection::ThemeFilter;
use crate::base::error::{CoreError, Result};
use crate::base::nearest::hint;
use crate::store::Reach;

/// What stands before every type.
const PREFIX: &str = "fr.voxea.";
/// What stands for requests without a theme; no code is spelled so.
const UNTHEMED: &str = "_none";
/// Characters of an entry.
const LONGEST: usize = 100;

/// Which events: those of any of the types and any of the themes. An empty list leaves nothing out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Whole types, `fr.voxea.request.created`, or the beginning of some, `fr.voxea.request.*`.
    #[serde(default)]
    pub types: Vec<String>,
    /// Codes of themes, and `_none` for requests without one.
    #[serde(default)]
    pub themes: Vec<String>,
}

impl Filter {
    /// Refuses what no event can pass, since somebody would wait for it for ever.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] with a pointer to the entry.
    pub fn check(&self) -> Result<()> {
        for (list, entries) in [("types", &self.types), ("themes", &self.themes)] {
            if entries.len() > MOST {
                return Err(CoreError::invalid(format!("/{list}"), format!("may have {MOST} entries")));
            }
            for (at, entry) in entries.iter().enumerate() {
                let wrong = |message: String| Err(CoreError::invalid(format!("/{list}/{at}"), message));
                if entry.is_empty() || entry.chars().count() > LONGEST || entry.contains('\0') {
                    return wrong(format!("must have 1 to {LONGEST} characters"));
                }
                if list == "types" && Selection::kinds_named(entry).is_err() {
                    let names: Vec<String> = EventKind::ALL.iter().map(|kind| format!("{PREFIX}{}", kind.as_str())).collect();
                    let meant = hint(entry, names.iter().map(String::as_str));
                    return wrong(format!(
                        "is no type of event{meant}; a whole type such as {PREFIX}request.created, or the beginning of some: {PREFIX}request.*"
                    ));
                }
            }
        }
        Ok(())
    }

    /// The themes that must be in the catalogue.
    pub fn codes(&self) -> impl Iterator<Item = (usize, &str)> {
        let named = self.themes.iter().map(String::as_str).enumerate();
        named.filter(|(_, code)| *code != UNTHEMED)
    }

    /// What is shown within reach.
    fn selection(&self, reach: Reach) -> Selection {
        let kinds: Vec<EventKind> = self
            .types
            .iter()
            .flat_map(|name| Selection::kinds_named(name).unwrap_or_default())
            .collect();
        let themes = ThemeFilter {
            codes: self.codes().map(|(_, code)| code.to_owned()).collect(),
            unthemed: self.themes.iter().any(|code| code == UNTHEMED),
        };
        Selection::within(reach)
            .kinds((!self.types.is_empty()).then_some(kinds))
            .themes((!self.themes.is_empty()).then_some(themes))
    }
}

impl Feed {
    /// At most `limit` events after a position that are reached and pass a filter. `next` lies behind everything that was
    /// looked at and left out; `has_more` may be true of an empty page.
    ///
    /// # Errors
    /// As [`Feed::select`].
    pub async fn filtered(&self, reach: &Reach, filter: &Filter, after: i64, limit: usize) -> Result<Page> {
        self.select(&filter.selection(reach.clone()), after, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(types: &[&str], themes: &[&str]) -> Filter {
        let owned = |list: &[&str]| list.iter().map(|&one| one.to_owned()).collect();
        Filter {
            types: owned(types),
            themes: owned(themes),
        }
    }

    #[test]
    fn types_are_whole_or_begin_with_whole_words() {
        assert!(
            filter(&["fr.voxea.request.*", "fr.voxea.reply.settled"], &["voirie", "_none"])
                .check()
                .is_ok()
        );
        for wrong in [
            "request.created",
            "fr.voxea.request",
            "fr.voxea.re*",
            "fr.voxea.request.creatde",
            "*",
            "",
        ] {
            let refused = filter(&["fr.voxea.channel.up", wrong], &[]).check();
            assert!(
                matches!(refused, Err(CoreError::Invalid { pointer, .. }) if pointer == "/types/1"),
                "{wrong}"
            );
        }
        let slip = filter(&["fr.voxea.request.creatde"], &[]).check().unwrap_err().to_string();
        assert!(slip.contains("did you mean fr.voxea.request.created?"), "{slip}");
        assert!(filter(&[], &["a\0"]).check().is_err() && filter(&[], &["a"; MOST + 1]).check().is_err());
    }

    #[test]
    fn a_filter_selects_what_it_names() {
        let all = filter(&[], &[]).selection(Reach::everything());
        assert_eq!(all, Selection::everything());
        let some = filter(&["fr.voxea.request.created"], &["voirie", "_none"]);
        let themes = ThemeFilter {
            codes: vec!["voirie".to_owned()],
            unthemed: true,
        };
        let wanted = Selection::everything()
            .kinds(Some(vec![EventKind::RequestCreated]))
            .themes(Some(themes));
        assert_eq!(some.selection(Reach::everything()), wanted);
    }
}
