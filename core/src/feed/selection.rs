//! What one reader is shown of the feed, as a condition of SQL and as a question of Rust.
//!
//! An event is judged by itself: by the channel and the theme that its request had when it happened, and by the theme before,
//! where it changed that. So the same pages show the same to the same reader whenever they are read, and whoever adds up what it
//! was shown has exactly the requests that it may see: one comes in with its creation or with the change that brought it within,
//! and goes with the change that took it out, which is shown as a tombstone.

use voxea_rules::filter;

use crate::store::{Condition, Reach};

use super::event::EventKind;
use super::stored::Event;

/// The beginning of every type, as readers write it.
const PREFIX: &str = "fr.voxea.";
/// The tombstone's type.
const DELETED: &str = EventKind::RequestDeleted.as_str();

/// Requests of some themes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThemeFilter {
    /// Their codes.
    pub codes: Vec<String>,
    /// Also those without a theme.
    pub unthemed: bool,
}

/// No event is of such a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no event is of the type {0:?}")]
pub struct UnknownKind(pub String);

/// What a reader asks for, within what it reaches.
///
/// - Themes: events of requests that are of one of them at that event, and the changes of the themes themselves.
/// - An event that takes a request out of sight is shown as `request.deleted` with `reason` `left`; one that brings it into sight
///   says so with `reason` `entered`.
/// - Types narrow what is heard of a request, and never whether it is there: who asks for any type of a request is shown every
///   tombstone, and who asks for `request.created` also what entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    reach: Reach,
    themes: Option<ThemeFilter>,
    kinds: Option<Vec<EventKind>>,
}

impl Selection {
    /// Everything that lies within reach.
    #[must_use]
    pub const fn within(reach: Reach) -> Self {
        Self {
            reach,
            themes: None,
            kinds: None,
        }
    }

    /// The whole feed.
    #[must_use]
    pub fn everything() -> Self {
        Self::within(Reach::everything())
    }

    /// Of these themes alone.
    #[must_use]
    pub fn themes(mut self, themes: Option<ThemeFilter>) -> Self {
        self.themes = themes;
        self
    }

    /// Of these types alone.
    #[must_use]
    pub fn kinds(mut self, kinds: Option<Vec<EventKind>>) -> Self {
        self.kinds = kinds;
        self
    }

    /// The types that a pattern names: `fr.voxea.request.created`, or all that begin so, `fr.voxea.request.*`.
    ///
    /// # Errors
    /// There is none.
    pub fn kinds_named(pattern: &str) -> Result<Vec<EventKind>, UnknownKind> {
        let unknown = || UnknownKind(pattern.to_owned());
        let name = pattern.strip_prefix(PREFIX).ok_or_else(unknown)?;
        let is_named = |kind: &&EventKind| filter::means(name, kind.as_str());
        let named: Vec<EventKind> = EventKind::ALL.iter().filter(is_named).copied().collect();
        if named.is_empty() { Err(unknown()) } else { Ok(named) }
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.reach.is_everything() && self.themes.is_none() && self.kinds.is_none()
    }

    /// The event as this reader is shown it, or nothing.
    #[must_use]
    pub fn view(&self, mut event: Event) -> Option<Event> {
        let channel = event.channel.as_deref();
        let before = event.theme_from.as_deref().map(|code| Some(code).filter(|code| !code.is_empty()));
        let is = self.sees(channel, event.theme.as_deref());
        let was = before.map_or(is, |before| self.sees(channel, before));
        if !is {
            return (was && self.hears_of_requests()).then(|| event.into_tombstone());
        }
        let named = self.names(&event.kind)
            || (event.kind == DELETED && self.hears_of_requests())
            || (!was && self.names(EventKind::RequestCreated.as_str()));
        if !named {
            return None;
        }
        if channel.is_some() {
            // A theme that is out of reach is not named, also not as what was before.
            let shown = before.filter(|before| channel.is_some_and(|channel| self.reach.covers(channel, *before)));
            let shown = shown.map(|before| before.map(str::to_owned));
            event.add_theme(shown.as_ref().map(Option::as_deref), !was);
        }
        Some(event)
    }

    /// The condition that [`Selection::view`] may show something of an event, a row `e`; placeholders from `first` on.
    pub(super) fn condition(&self, first: usize) -> Condition {
        let mut texts = Vec::new();
        let now = self.seen("e.theme", "e.channel IS NULL OR ", first, &mut texts);
        let kinds = match &self.kinds {
            None => "true".to_owned(),
            Some(kinds) => {
                let mut named = among("e.type", kinds.iter().map(|kind| kind.as_str()), first, &mut texts);
                if self.names(EventKind::RequestCreated.as_str()) {
                    named.push_str(" OR e.theme_from IS NOT NULL");
                }
                if self.hears_of_requests() {
                    let deleted = among("e.type", std::iter::once(DELETED), first, &mut texts);
                    named = format!("{named} OR {deleted}");
                }
                named
            }
        };
        let mut sql = format!("({now} AND ({kinds}))");
        if self.hears_of_requests() {
            let before = self.seen("NULLIF(e.theme_from, '')", "", first, &mut texts);
            sql = format!("({sql} OR (e.theme_from IS NOT NULL AND {before}))");
        }
        Condition { sql, texts }
    }

    /// What lies within reach and is of the themes, told of the theme in a column.
    fn seen(&self, theme: &str, unless: &str, first: usize, texts: &mut Vec<String>) -> String {
        let reached = self.reach.condition_on("e.channel", theme, first + texts.len());
        texts.extend(reached.texts);
        let mut sql = format!("({unless}{})", reached.sql);
        if let Some(filter) = &self.themes {
            let codes = among(theme, filter.codes.iter().map(String::as_str), first, texts);
            let none = if filter.unthemed {
                format!(" OR ({theme} IS NULL AND e.channel IS NOT NULL)")
            } else {
                String::new()
            };
            sql = format!("({sql} AND ({codes}{none}))");
        }
        sql
    }

    fn sees(&self, channel: Option<&str>, theme: Option<&str>) -> bool {
        let reached = channel.is_none_or(|channel| self.reach.covers(channel, theme));
        let wanted = self.themes.as_ref().is_none_or(|filter| match theme {
            Some(theme) => filter.codes.iter().any(|code| code == theme),
            None => filter.unthemed && channel.is_some(),
        });
        reached && wanted
    }

    fn names(&self, kind: &str) -> bool {
        self.kinds
            .as_ref()
            .is_none_or(|kinds| kinds.iter().any(|named| named.as_str() == kind))
    }

    fn hears_of_requests(&self) -> bool {
        self.kinds
            .as_ref()
            .is_none_or(|kinds| kinds.iter().any(|kind| kind.is_of_request()))
    }
}

fn among<'a>(column: &str, values: impl Iterator<Item = &'a str>, first: usize, texts: &mut Vec<String>) -> String {
    let mut list = Vec::new();
    for value in values {
        list.push(format!("${}", first + texts.len()));
        texts.push(value.to_owned());
    }
    if list.is_empty() {
        "false".to_owned()
    } else {
        format!("{column} IN ({})", list.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Themes, Way};

    fn event(kind: EventKind, theme: Option<&str>, from: Option<&str>) -> Event {
        Event {
            position: 7,
            id: "e".to_owned(),
            kind: kind.as_str().to_owned(),
            subject: "r".to_owned(),
            at: 0,
            data: r#"{"request_id":"r","version":3}"#.to_owned(),
            channel: Some("sms".to_owned()),
            theme: theme.map(str::to_owned),
            theme_from: from.map(str::to_owned),
        }
    }

    fn of(codes: &[&str]) -> Option<ThemeFilter> {
        let codes = codes.iter().map(|&code| code.to_owned()).collect();
        Some(ThemeFilter { codes, unthemed: false })
    }

    fn shown(selection: &Selection, event: Event) -> Option<(String, serde_json::Value)> {
        let position = event.position;
        let seen = selection.view(event)?;
        assert_eq!((seen.position, seen.id.as_str()), (position, "e"));
        Some((seen.kind, serde_json::from_str(&seen.data).unwrap()))
    }

    #[test]
    fn a_request_that_leaves_is_a_tombstone_and_one_that_enters_says_so() {
        let moved = || event(EventKind::RequestUpdated, Some("voirie"), Some("proprete"));
        let whole = shown(&Selection::everything(), moved()).unwrap();
        let told = serde_json::json!({"request_id": "r", "version": 3, "theme": "voirie", "theme_before": "proprete"});
        assert_eq!(whole, ("request.updated".to_owned(), told));
        let left = shown(&Selection::everything().themes(of(&["proprete"])), moved()).unwrap();
        let told = serde_json::json!({"request_id": "r", "reason": "left"});
        assert_eq!(left, ("request.deleted".to_owned(), told));
        let (kind, data) = shown(&Selection::everything().themes(of(&["voirie"])), moved()).unwrap();
        assert_eq!((kind.as_str(), &data["reason"]), ("request.updated", &"entered".into()));
        assert!(shown(&Selection::everything().themes(of(&["aides"])), moved()).is_none());
        let both = shown(&Selection::everything().themes(of(&["voirie", "proprete"])), moved()).unwrap();
        assert_eq!((both.0.as_str(), both.1.get("reason")), ("request.updated", None));
    }

    #[test]
    fn a_theme_out_of_reach_is_never_named() {
        let reach = Reach::new(vec![Way {
            channels: None,
            themes: Themes::AllBut(vec!["aides".to_owned()]),
        }]);
        let within = Selection::within(reach);
        let (_, data) = shown(&within, event(EventKind::RequestUpdated, Some("voirie"), Some("aides"))).unwrap();
        assert_eq!((data.get("theme_before"), &data["reason"]), (None, &"entered".into()));
        let (kind, data) = shown(&within, event(EventKind::RequestStatusChanged, Some("aides"), Some("voirie"))).unwrap();
        assert_eq!(kind, "request.deleted");
        assert!(!data.to_string().contains("aides"));
        assert!(shown(&within, event(EventKind::RequestUpdated, Some("aides"), None)).is_none());
    }

    #[test]
    fn types_never_hide_that_a_request_went_or_came() {
        let of_kind = |pattern: &str| Selection::everything().kinds(Some(Selection::kinds_named(pattern).unwrap()));
        let created = || of_kind("fr.voxea.request.created").themes(of(&["voirie"]));
        assert!(shown(&created(), event(EventKind::RequestUpdated, Some("voirie"), None)).is_none());
        assert!(shown(&created(), event(EventKind::RequestUpdated, Some("voirie"), Some(""))).is_some());
        assert!(shown(&created(), event(EventKind::RequestDeleted, Some("voirie"), None)).is_some());
        let left = shown(&created(), event(EventKind::RequestUpdated, None, Some("voirie"))).unwrap();
        assert_eq!(left.0, "request.deleted");
        let sent = of_kind("fr.voxea.interaction.*").themes(of(&["voirie"]));
        assert!(shown(&sent, event(EventKind::RequestUpdated, Some("voirie"), Some(""))).is_none());
        assert!(shown(&sent, event(EventKind::RequestUpdated, None, Some("voirie"))).is_some());
        assert!(shown(&of_kind("fr.voxea.channel.*"), event(EventKind::RequestDeleted, None, None)).is_none());
    }

    #[test]
    fn patterns_name_whole_types_or_whole_parts() {
        let count = |pattern: &str| Selection::kinds_named(pattern).map(|kinds| kinds.len());
        assert_eq!(count("fr.voxea.request.created"), Ok(1));
        assert_eq!(count("fr.voxea.*"), Ok(EventKind::ALL.len()));
        assert_eq!(count("fr.voxea.channel.*"), Ok(2));
        for wrong in [
            "request.created",
            "fr.voxea.request",
            "fr.voxea.req*",
            "fr.voxea.request.*x",
            "*",
            "",
            "fr.voxea.",
        ] {
            assert_eq!(count(wrong), Err(UnknownKind(wrong.to_owned())), "{wrong}");
        }
    }
}
