//! What is sent: the event as the feed has it, and nothing more.

use serde_json::{Map, Value};

use crate::base::time::{Millis, rfc3339};

/// An event that is told.
pub(super) struct Told<'a> {
    pub(super) id: &'a str,
    /// Without its prefix.
    pub(super) kind: &'a str,
    pub(super) subject: &'a str,
    pub(super) at: Millis,
    /// Of the feed; 0 for one that is not in it.
    pub(super) position: i64,
    pub(super) data: &'a str,
}

/// CloudEvents 1.0 in JSON, member by member what `GET /v1/changes` shows. A test event has no place in the feed, and so no
/// `sequence`.
pub(super) fn body(told: &Told<'_>) -> String {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("specversion", "1.0".into());
    put("id", told.id.into());
    put("source", "urn:voxea:gateway".into());
    put("type", format!("fr.voxea.{}", told.kind).into());
    put("subject", told.subject.into());
    put("time", rfc3339(told.at).into());
    if told.position > 0 {
        put("sequence", format!("{:020}", told.position).into());
    }
    put("datacontenttype", "application/json".into());
    put("data", serde_json::from_str(told.data).unwrap_or_default());
    Value::Object(members).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_has_no_place_in_the_feed() {
        let told = |position| Told {
            id: "e",
            kind: "request.created",
            subject: "r",
            at: 1_795_507_200_000,
            position,
            data: r#"{"request_id":"r"}"#,
        };
        let read = |position| serde_json::from_str::<Value>(&body(&told(position))).unwrap();
        assert_eq!(read(42)["sequence"], "00000000000000000042");
        assert_eq!(read(42)["data"]["request_id"], "r");
        assert_eq!(read(42)["type"], "fr.voxea.request.created");
        assert_eq!(read(0).get("sequence"), None);
    }
}
