//! An event as it was stored, and as readers are shown it.

use crate::base::time::Millis;

use super::event::EventKind;

/// One event: as it was stored, or as a [`Selection`](super::Selection) shows it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Event {
    /// Its place in the order of commits; never given twice, may skip.
    pub position: i64,
    /// UUIDv7.
    pub id: String,
    /// Without the prefix `fr.voxea.`.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// The request's id, or the account of a channel event.
    pub subject: String,
    /// When it was committed, nearly: milliseconds UTC.
    pub at: Millis,
    /// A JSON object. As shown, that of a request's event has its `theme`.
    pub data: String,
    /// The channel of its request; `None` for an event of no request.
    pub channel: Option<String>,
    /// The theme of its request when it happened.
    pub theme: Option<String>,
    /// The theme before, where it changed; empty for none.
    pub theme_from: Option<String>,
}

impl Event {
    /// Whether its request is gone, for whoever is shown this.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.kind == EventKind::RequestDeleted.as_str()
    }

    /// That its request left what the reader sees: the same event, of which nothing else is told.
    pub(super) fn into_tombstone(self) -> Self {
        let data = serde_json::json!({"request_id": self.subject, "reason": "left"}).to_string();
        Self {
            kind: EventKind::RequestDeleted.as_str().to_owned(),
            data,
            theme: None,
            theme_from: None,
            ..self
        }
    }

    /// Adds the theme to what is told, the one before where that changed, and that the request came into sight by this.
    pub(super) fn add_theme(&mut self, before: Option<Option<&str>>, entered: bool) {
        let json = |theme: Option<&str>| serde_json::json!(theme).to_string();
        let mut members = vec![format!("\"theme\":{}", json(self.theme.as_deref()))];
        members.extend(before.map(|before| format!("\"theme_before\":{}", json(before))));
        members.extend(entered.then(|| "\"reason\":\"entered\"".to_owned()));
        // It is an object that we wrote ourselves.
        let Some(open) = self.data.strip_suffix('}') else { return };
        let comma = if open.ends_with('{') { "" } else { "," };
        self.data = format!("{open}{comma}{}}}", members.join(","));
    }
}
