//! An event as CloudEvents 1.0 has it.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use voxea_core::base::time::rfc3339;
use voxea_core::feed;

use crate::http::cursor;

/// A run of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changes {
    /// In commit order.
    items: Vec<Event>,
    /// Where to continue, also after an empty page.
    next: String,
    /// Whether more may be there already: then ask again at once, also after an empty page.
    has_more: bool,
}

impl Changes {
    /// A page of the feed of this epoch.
    pub(crate) fn of(page: feed::Page, epoch: &str) -> Self {
        Self {
            items: page.items.into_iter().map(Event::from).collect(),
            next: cursor::of_feed(epoch, page.next),
            has_more: page.has_more,
        }
    }
}

/// CloudEvents 1.0, thin: ids and states, no personal data.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Event {
    /// Always `1.0`.
    specversion: &'static str,
    /// Unique; the effect of an event seen twice is that of one.
    id: String,
    /// Who says it.
    source: &'static str,
    /// What happened. `fr.voxea.request.deleted` is a tombstone: the request is gone, for this reader at least.
    #[schema(example = "fr.voxea.request.created")]
    r#type: String,
    /// The request's id; of a channel event the account.
    subject: String,
    /// When.
    time: String,
    /// Rises and may skip; 20 digits, so that it sorts as text.
    #[schema(example = "00000000000000000042")]
    sequence: String,
    /// Always `application/json`.
    datacontenttype: &'static str,
    /// Ids, channel, status, version; the request's `theme` when it happened, and `theme_before` where that changed. `reason` is
    /// `eliminated` or `left` of a tombstone, and `entered` where the request came into this reader's sight.
    #[schema(value_type = Object)]
    data: Value,
}

impl From<feed::Event> for Event {
    fn from(event: feed::Event) -> Self {
        Self {
            specversion: "1.0",
            id: event.id,
            source: "urn:voxea:gateway",
            r#type: format!("fr.voxea.{}", event.kind),
            subject: event.subject,
            time: rfc3339(event.at),
            sequence: format!("{:020}", event.position),
            datacontenttype: "application/json",
            data: serde_json::from_str(&event.data).unwrap_or_default(),
        }
    }
}
