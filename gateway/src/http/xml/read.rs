//! XML as JSON, for the same types to read.

use serde_json::Number;
use voxea_rules::xml::{self, Element};

use super::shapes::{Shape, Shapes};
use super::{NAMESPACE, SCHEMA};
use crate::http::json::Json;
use crate::http::problem::{Kind, Problem};

impl Shapes {
    /// The JSON of a document whose outermost element is `root`, of this schema.
    ///
    /// # Errors
    /// 400 for what is no XML or beyond its bounds, 422 for another element, and for a text that is no number or boolean where one
    /// must be.
    pub(super) fn json(&self, root: &str, schema: &str, bytes: &[u8]) -> Result<Json, Problem> {
        let element = xml::read(bytes, NAMESPACE)
            .map_err(|fault| Problem::new(Kind::BAD_REQUEST, format!("the body is not XML as it is taken here: {fault}")))?;
        if element.name != root {
            let detail = format!("the outermost element must be `{root}`; {SCHEMA} describes it");
            return Err(Problem::invalid("", &detail));
        }
        self.object(schema, &element, "")
    }

    fn object(&self, schema: &str, element: &Element, place: &str) -> Result<Json, Problem> {
        let known = self.0.get(schema);
        if !element.text.trim().is_empty() {
            return Err(Problem::invalid(place, "must have elements, not text"));
        }
        let members = element.children.iter().map(|child| {
            let value = match known.and_then(|known| known.get(&child.name)) {
                Some(member) => self.value(&member.shape, child, &format!("{place}/{}", child.name))?,
                // Whoever reads the JSON says which members there are.
                None => Json::Null,
            };
            Ok((child.name.clone(), value))
        });
        Ok(Json::Object(members.collect::<Result<_, Problem>>()?))
    }

    fn value(&self, shape: &Shape, element: &Element, place: &str) -> Result<Json, Problem> {
        if matches!(element.attribute("xsi:nil"), Some("true" | "1")) {
            return Ok(Json::Null);
        }
        let plain = || {
            if element.children.is_empty() {
                Ok(element.text.as_str())
            } else {
                Err(Problem::invalid(place, "must have text, not elements"))
            }
        };
        Ok(match shape {
            Shape::Text => Json::Text(plain()?.to_owned()),
            Shape::Integer | Shape::Number => Json::Number(number(plain()?, place)?),
            Shape::Boolean => Json::Bool(boolean(plain()?, place)?),
            Shape::Of(schema) => self.object(schema, element, place)?,
            Shape::List(of) => {
                let items = element.children.iter().enumerate().map(|(at, item)| {
                    let place = format!("{place}/{at}");
                    if item.name == "item" {
                        self.value(of, item, &place)
                    } else {
                        Err(Problem::invalid(&place, "must be an element `item`"))
                    }
                });
                Json::List(items.collect::<Result<_, _>>()?)
            }
            Shape::Free => Json::Object(free_members(element, place)?),
        })
    }
}

fn free_members(element: &Element, place: &str) -> Result<Vec<(String, Json)>, Problem> {
    if !element.text.trim().is_empty() {
        return Err(Problem::invalid(place, "must have elements `member`, not text"));
    }
    let members = element.children.iter().map(|child| {
        let name = child.attribute("name").filter(|_| child.name == "member");
        let Some(name) = name else {
            return Err(Problem::invalid(place, "must have elements `member` with a `name`"));
        };
        Ok((name.to_owned(), free(child, &format!("{place}/{name}"))?))
    });
    members.collect()
}

/// A value that says its own type; one that says none is a text.
fn free(element: &Element, place: &str) -> Result<Json, Problem> {
    Ok(match element.attribute("type").unwrap_or("string") {
        "object" => Json::Object(free_members(element, place)?),
        "array" => {
            let items = element
                .children
                .iter()
                .enumerate()
                .map(|(at, item)| free(item, &format!("{place}/{at}")));
            Json::List(items.collect::<Result<_, _>>()?)
        }
        "null" => Json::Null,
        "boolean" => Json::Bool(boolean(&element.text, place)?),
        "number" => Json::Number(number(&element.text, place)?),
        "string" if element.children.is_empty() => Json::Text(element.text.clone()),
        _ => {
            return Err(Problem::invalid(
                place,
                "must have a `type` of string, number, boolean, null, array, object, and what that has",
            ));
        }
    })
}

fn number(text: &str, place: &str) -> Result<Number, Problem> {
    let read = text.trim().parse();
    read.map_err(|_| Problem::invalid(place, "must be a number as JSON writes it"))
}

fn boolean(text: &str, place: &str) -> Result<bool, Problem> {
    match text.trim() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Problem::invalid(place, "must be true or false")),
    }
}
