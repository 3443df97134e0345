//! Services: the themes that the town offers to everybody.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use voxea_core::base::grant::Confidentiality;
use voxea_core::catalogue::{Snapshot, Theme};

use super::answer::{Answer, Failure, Format, suffixed};
use super::anybody::Anybody;
use crate::http::api::Api;

/// Themes that anybody may know of.
pub(super) fn public(catalogue: &Snapshot) -> impl Iterator<Item = &Theme> {
    let themes = catalogue.document.themes.iter();
    themes.filter(|theme| theme.public && theme.confidentiality == Confidentiality::Normal)
}

pub(super) async fn list(State(api): State<Api>, format: Format, _asked: Anybody) -> Answer {
    match api.core().catalogue.fresh().await {
        Ok(catalogue) => {
            let services = public(&catalogue)
                .filter(|theme| theme.enabled)
                .map(|theme| service(&catalogue, theme));
            Answer::list(format, "services", "service", services.collect())
        }
        Err(error) => Failure::from(error).answer(format),
    }
}

fn service(catalogue: &Snapshot, theme: &Theme) -> Value {
    let name = catalogue.service(&theme.service).map_or("", |service| service.name.as_str());
    json!({
        "service_code": theme.code,
        "service_name": theme.label,
        "description": name,
        "metadata": theme.fields.is_some(),
        "type": "realtime",
        "keywords": theme.keywords.join(","),
        "group": name,
    })
}

pub(super) async fn get(State(api): State<Api>, Path(code): Path<String>, _asked: Anybody) -> Answer {
    let (code, format) = match suffixed(&code) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let catalogue = match api.core().catalogue.fresh().await {
        Ok(catalogue) => catalogue,
        Err(error) => return Failure::from(error).answer(format),
    };
    let Some(theme) = public(&catalogue).find(|theme| theme.code == code && theme.enabled) else {
        return Failure::new(StatusCode::NOT_FOUND, "service_code provided was not found").answer(format);
    };
    let attributes = theme.fields.as_ref().map(attributes).unwrap_or_default();
    let definition = json!({"service_code": theme.code, "attributes": attributes});
    // JSON has the definition itself, XML the same within its root.
    Answer::one(format, "service_definition", definition)
}

/// What the theme's form asks, as GeoReport has it.
fn attributes(schema: &Value) -> Vec<Value> {
    let required = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let members = schema["properties"].as_object().into_iter().flatten().enumerate();
    let attribute = members.map(|(at, (name, asked))| {
        let (datatype, choices) = datatype(asked);
        let values: Vec<Value> = choices.iter().map(|choice| json!({"key": choice, "name": choice})).collect();
        json!({
            "variable": true,
            "code": name,
            "datatype": datatype,
            "required": required(name),
            "datatype_description": "",
            "order": at + 1,
            "description": asked["title"].as_str().or(asked["description"].as_str()).unwrap_or(name),
            "values": values,
        })
    });
    attribute.collect()
}

/// GeoReport's type of a member, and what may be chosen.
fn datatype(asked: &Value) -> (&'static str, Vec<String>) {
    let choices = |schema: &Value| -> Vec<String> {
        let all = schema["enum"].as_array().into_iter().flatten();
        all.map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect()
    };
    match asked["type"].as_str() {
        Some("array") => ("multivaluelist", choices(&asked["items"])),
        _ if asked["enum"].is_array() => ("singlevaluelist", choices(asked)),
        Some("boolean") => ("singlevaluelist", vec!["true".to_owned(), "false".to_owned()]),
        Some("number" | "integer") => ("number", Vec::new()),
        _ if matches!(asked["format"].as_str(), Some("date" | "date-time")) => ("datetime", Vec::new()),
        _ if asked["maxLength"].as_u64().is_none_or(|most| most > 200) => ("text", Vec::new()),
        _ => ("string", Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_told_as_attributes() {
        let schema = json!({"type": "object", "required": ["lieu"], "properties": {
            "lieu": {"type": "string", "maxLength": 100, "title": "Où ?"},
            "danger": {"type": "boolean"},
            "taille": {"enum": ["petite", "grande"]},
        }});
        let told = attributes(&schema);
        let of = |code: &str| told.iter().find(|one| one["code"] == code).unwrap();
        assert_eq!(
            (&of("lieu")["datatype"], &of("lieu")["required"], &of("lieu")["description"]),
            (&json!("string"), &json!(true), &json!("Où ?"))
        );
        assert_eq!(of("danger")["values"][0]["key"], "true");
        assert_eq!(
            (&of("taille")["datatype"], &of("taille")["values"][1]["name"]),
            (&json!("singlevaluelist"), &json!("grande"))
        );
    }
}
