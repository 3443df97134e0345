//! Which interface there is, and in which formats (<https://wiki.open311.org/Service_Discovery>).

use axum::extract::State;
use serde_json::json;

use super::answer::{Answer, Format};
use super::anybody::Anybody;
use crate::http::api::Api;

/// The day on which what is told here changed last.
const CHANGESET: &str = "2026-11-27T00:00:00Z";

pub(super) async fn get(State(api): State<Api>, format: Format, _asked: Anybody) -> Answer {
    let settings = &api.settings().open311;
    let base = settings.base_url.as_deref().unwrap_or_default();
    let endpoint = json!({
        "specification": "http://wiki.open311.org/GeoReport_v2",
        "url": format!("{base}/open311/v2"),
        "changeset": CHANGESET,
        "type": "production",
        "formats": ["text/xml", "application/json"],
    });
    let discovery = json!({
        "changeset": CHANGESET,
        "contact": settings.contact.as_deref().unwrap_or_default(),
        "key_service": "Keys are given by the town's administrator",
        "endpoints": [endpoint],
    });
    Answer::one(format, "discovery", discovery)
}
