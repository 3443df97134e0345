//! What a contract lets its holder see of an answer.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use voxea_core::base::actor::Actor;

use super::problem::Problem;

/// Members by which things are told apart and found again: everybody is shown them. The document requires no others of
/// what passes here.
pub(super) const ALWAYS: [&str; 7] = ["id", "ref", "request_id", "request_ids", "interaction_id", "version", "links"];

/// The schemas of things that pass here.
pub(super) const SHAPED: [&str; 4] = ["Request", "Interaction", "Reply", "Citizen"];

/// What [`may_see`] is asked of that is no member of any of them.
pub(super) const BY_PATH: [&str; 2] = ["history", "raw"];

/// An answer, as far as its reader may see it.
#[derive(Debug)]
pub(crate) enum Shaped<T> {
    /// All of it.
    Whole(Json<T>),
    /// Some members of it.
    Part(Json<Value>),
}

/// An answer of one thing, or of a page of things in `items`, as far as the actor may see it.
pub(crate) fn shape<T: Serialize>(actor: &Actor, value: T) -> Shaped<T> {
    let Some(fields) = actor.fields() else {
        return Shaped::Whole(Json(value));
    };
    let keep = |thing: &mut Value| {
        if let Value::Object(members) = thing {
            members.retain(|name, _| ALWAYS.contains(&name.as_str()) || fields.contains(name));
        }
    };
    // What cannot be written is shown as nothing; the members of our answers always can.
    let mut shown = serde_json::to_value(value).unwrap_or_default();
    match shown.get_mut("items") {
        Some(Value::Array(items)) => items.iter_mut().for_each(keep),
        _ => keep(&mut shown),
    }
    Shaped::Part(Json(shown))
}

/// An answer about a thing that its reader may not read, but knows of: that it is there, and its version.
pub(crate) fn bare<T: Serialize>(value: T) -> Json<Value> {
    let mut shown = serde_json::to_value(value).unwrap_or_default();
    if let Value::Object(members) = &mut shown {
        members.retain(|name, _| ALWAYS.contains(&name.as_str()));
    }
    Json(shown)
}

impl<T: Serialize> Shaped<T> {
    /// Its JSON.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Whole(Json(value)) => serde_json::to_string(value),
            Self::Part(Json(value)) => serde_json::to_string(value),
        }
        .unwrap_or_default()
    }
}

/// Passes who may see a member that is no part of an answer's text: the raw artefact, an attachment, the sound.
///
/// # Errors
/// 404 for who may not.
pub(crate) fn may_see(actor: &Actor, field: &str, what: &str) -> Result<(), Problem> {
    match actor.fields() {
        Some(fields) if !fields.contains(field) => Err(Problem::not_found(what)),
        _ => Ok(()),
    }
}

impl<T: Serialize> IntoResponse for Shaped<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Whole(body) => body.into_response(),
            Self::Part(body) => body.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use voxea_core::base::actor::{Client, Contract};

    use super::*;

    fn seen(fields: Option<&[&str]>, value: Value) -> Value {
        let contract = Contract {
            fields: fields.map(|fields| fields.iter().map(|&field| field.to_owned()).collect()),
            ..Contract::default()
        };
        let actor = Actor::Client(Arc::new(Client::of_key("k", "k", contract)));
        match shape(&actor, value) {
            Shaped::Whole(Json(value)) | Shaped::Part(Json(value)) => value,
        }
    }

    #[test]
    fn a_contract_names_the_members_that_are_seen() {
        let request = json!({"id": "1", "from": "+33612345678", "status": "open", "links": {"self": "/"}});
        assert_eq!(seen(None, request.clone()), request);
        assert_eq!(
            seen(Some(&["status"]), request.clone()),
            json!({"id": "1", "status": "open", "links": {"self": "/"}})
        );
        let page = json!({"items": [request], "next": "2"});
        assert_eq!(
            seen(Some(&[]), page),
            json!({"items": [{"id": "1", "links": {"self": "/"}}], "next": "2"})
        );
    }
}
