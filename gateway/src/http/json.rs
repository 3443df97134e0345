//! JSON bodies, read by stricter rules than serde_json's own: an object is an object and never a list in its order, and
//! what is wrong is told by a pointer (RFC 6901) and in words of JSON.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::Number;

/// JSON as it came. Members keep their order and their doubles, so that types may refuse a member that comes twice.
#[derive(Debug)]
pub(crate) enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Whether it is an object.
    pub(crate) const fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        Number::from_f64(value)
            .map(Json::Number)
            .ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Json::Object(object))
    }
}

/// Why JSON is not what a type wants.
#[derive(Debug, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub(crate) struct Fault {
    /// Where (RFC 6901); empty for the whole body.
    pub(crate) pointer: String,
    /// What is wrong there, and what would be right.
    pub(crate) detail: String,
}

impl Fault {
    fn new(detail: impl Into<String>) -> Self {
        Self {
            pointer: String::new(),
            detail: detail.into(),
        }
    }

    /// The same, seen from one level further out.
    fn within(mut self, step: &str) -> Self {
        // RFC 6901 §3.
        let step = step.replace('~', "~0").replace('/', "~1");
        self.pointer.insert_str(0, &format!("/{step}"));
        self
    }
}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("must be {}, not {}", in_json(&wanted.to_string()), named(found)))
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn unknown_variant(_variant: &str, names: &'static [&'static str]) -> Self {
        Self::new(format!("must be one of {}", names.join(", ")))
    }

    fn unknown_field(name: &str, names: &'static [&'static str]) -> Self {
        Self::new(format!("there is no member `{name}` here, only {}", names.join(", ")))
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(format!("the member `{name}` is missing"))
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::new(format!("the member `{name}` comes twice"))
    }
}

/// What serde's visitors expect, without Rust's names.
fn in_json(wanted: &str) -> &str {
    match wanted {
        "a sequence" => "an array",
        "a map" => "an object",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative and not too large",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number that is not too large",
        "f32" | "f64" => "a number",
        other => other,
    }
}

/// What was found, without its content.
const fn named(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "this number",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "an array",
        Unexpected::Map => "an object",
        _ => "this",
    }
}

impl<'de> Deserializer<'de> for Json {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => visitor.visit_u64(value),
                (None, Some(value)) => visitor.visit_i64(value),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            },
            Self::Text(text) => visitor.visit_string(text),
            Self::List(list) => visitor.visit_seq(Items {
                list: list.into_iter(),
                at: 0,
            }),
            Self::Object(members) => visitor.visit_map(Members {
                members: members.into_iter(),
                current: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Null => visitor.visit_none(),
            some => visitor.visit_some(some),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    // Derived types take an array for their members in order of declaration, which is no promise of ours.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _members: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if self.is_object() {
            self.deserialize_any(visitor)
        } else {
            Err(Fault::new("must be an object"))
        }
    }

    /// Names alone: no type of ours has a variant with content.
    fn deserialize_enum<V: Visitor<'de>>(self, _name: &'static str, names: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Text(text) => visitor.visit_enum(IntoDeserializer::<Fault>::into_deserializer(text)),
            _ => Err(de::Error::unknown_variant("", names)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

struct Items {
    list: std::vec::IntoIter<Json>,
    /// Of the next one.
    at: usize,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.list.next() else { return Ok(None) };
        let at = self.at;
        self.at += 1;
        seed.deserialize(item).map(Some).map_err(|fault| fault.within(&at.to_string()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.list.len())
    }
}

struct Members {
    members: std::vec::IntoIter<(String, Json)>,
    /// The one whose name was read last.
    current: Option<(String, Json)>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((name, value)) = self.members.next() else {
            return Ok(None);
        };
        let key: StringDeserializer<Fault> = name.clone().into_deserializer();
        self.current = Some((name, value));
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) = self.current.take().ok_or_else(|| Fault::new("a member has no name"))?;
        seed.deserialize(value).map_err(|fault| fault.within(&name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        Red,
        Green,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        a: u8,
        b: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        one: Inner,
        #[serde(default)]
        many: Vec<Inner>,
        #[serde(default)]
        named: BTreeMap<String, Inner>,
        perhaps: Option<Inner>,
        colour: Option<Colour>,
        rest: Option<Value>,
    }

    fn read(text: &str) -> Result<Outer, (String, String)> {
        let tree: Json = serde_json::from_str(text).unwrap();
        Outer::deserialize(tree).map_err(|fault| (fault.pointer, fault.detail))
    }

    #[test]
    fn what_is_right_is_read_whole() {
        let rest = json!({"deep": [1, -2, 1.5, "x", null, true, {"a": []}]});
        let text = json!({
            "one": {"a": 255, "b": "é", "more": 1}, "many": [{"a": 0}], "named": {"x": {"a": 1}},
            "perhaps": null, "colour": "green", "rest": rest,
        });
        let outer = read(&text.to_string()).unwrap();
        assert_eq!((outer.one.a, outer.one.b.as_deref()), (255, Some("é")));
        assert_eq!((outer.many[0].a, outer.named["x"].a), (0, 1));
        assert!(outer.perhaps.is_none() && matches!(outer.colour, Some(Colour::Green)));
        assert_eq!(outer.rest, Some(rest));
        assert!(matches!(
            read(r#"{"one":{"a":1},"colour":"red"}"#).unwrap().colour,
            Some(Colour::Red)
        ));
    }

    #[test]
    fn what_is_wrong_is_pointed_at_and_an_array_is_no_object_at_any_depth() {
        for (text, pointer, detail) in [
            (r#"[{"a":1}]"#, "", "must be an object"),
            (r#"{"one":[1,"x"]}"#, "/one", "must be an object"),
            (r#"{"one":{"a":1},"many":[{"a":1},[1,"x"]]}"#, "/many/1", "must be an object"),
            (r#"{"one":{"a":1},"named":{"a/b~":[1]}}"#, "/named/a~1b~0", "must be an object"),
            (r#"{"one":{"a":1},"perhaps":[1]}"#, "/perhaps", "must be an object"),
            (r#"{"one":{"a":1},"many":{}}"#, "/many", "must be an array, not an object"),
            (r#"{"one":{"a":1,"b":5}}"#, "/one/b", "must be a string, not this number"),
            (
                r#"{"one":{"a":256}}"#,
                "/one/a",
                "must be a whole number that is not negative and not too large, not this number",
            ),
            (r#"{"one":{}}"#, "/one", "the member `a` is missing"),
            (r#"{"one":{"a":1,"a":2}}"#, "/one", "the member `a` comes twice"),
            (r#"{"one":{"a":1},"colour":"blue"}"#, "/colour", "must be one of red, green"),
            (r#"{"one":{"a":1},"colour":{"red":null}}"#, "/colour", "must be one of red, green"),
            (
                r#"{"two":1}"#,
                "",
                "there is no member `two` here, only one, many, named, perhaps, colour, rest",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), (pointer.to_owned(), detail.to_owned()), "{text}");
        }
    }
}
