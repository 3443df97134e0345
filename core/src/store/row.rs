//! A row of a set: its members, flat, by their columns' names.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

/// What a member holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Field {
    /// NULL.
    Null,
    /// BIGINT.
    Integer(i64),
    /// TEXT. Counted, as sqlx hands it to SQLite: so it is copied once, and rows that say the same share it.
    #[serde(serialize_with = "text")]
    Text(Arc<str>),
    /// BYTEA or BLOB; in JSON hexadecimal.
    #[serde(serialize_with = "hexadecimal")]
    Bytes(Vec<u8>),
}

fn text<S: serde::Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn hexadecimal<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&crate::base::hex::encode(bytes))
}

/// What can be a member.
pub trait ToField {
    /// It as a member.
    fn to_field(&self) -> Field;
}

impl ToField for str {
    fn to_field(&self) -> Field {
        Field::Text(self.into())
    }
}

impl ToField for String {
    fn to_field(&self) -> Field {
        self.as_str().to_field()
    }
}

impl ToField for Cow<'_, str> {
    fn to_field(&self) -> Field {
        self.as_ref().to_field()
    }
}

impl ToField for Vec<u8> {
    fn to_field(&self) -> Field {
        Field::Bytes(self.clone())
    }
}

impl ToField for Cow<'_, [u8]> {
    fn to_field(&self) -> Field {
        Field::Bytes(self.to_vec())
    }
}

impl<T: ToField + ?Sized> ToField for &T {
    fn to_field(&self) -> Field {
        (**self).to_field()
    }
}

impl<T: ToField> ToField for Option<T> {
    fn to_field(&self) -> Field {
        self.as_ref().map_or(Field::Null, ToField::to_field)
    }
}

macro_rules! integers {
    ($($kind:ty)*) => {
        $(impl ToField for $kind {
            fn to_field(&self) -> Field {
                Field::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
            }
        })*
    };
}

integers! { i64 i32 u8 u16 u32 u64 usize }

/// One row.
#[derive(Debug, Clone, Default)]
pub struct Row(Vec<(&'static str, Field)>);

impl Row {
    /// One with room for so many members.
    #[must_use]
    pub fn of(members: usize) -> Self {
        Self(Vec::with_capacity(members))
    }

    /// Adds a member. `name` is a column's, plain ASCII.
    #[must_use]
    pub fn with<T: ToField + ?Sized>(mut self, name: &'static str, value: &T) -> Self {
        self.0.push((name, value.to_field()));
        self
    }

    /// Moves a member out, which is NULL from then on, as it is when the row has none of this name. `at` is where it probably
    /// is.
    pub(super) fn take(&mut self, name: &str, at: usize) -> Field {
        let probable = self.0.get(at).is_some_and(|(known, _)| *known == name);
        let found = if probable {
            Some(at)
        } else {
            self.0.iter().position(|(known, _)| *known == name)
        };
        let member = found.and_then(|at| self.0.get_mut(at));
        member.map_or(Field::Null, |(_, field)| std::mem::replace(field, Field::Null))
    }

    fn write(&self, text: &mut Vec<u8>) {
        text.push(b'{');
        for (number, (name, field)) in self.0.iter().enumerate() {
            if number > 0 {
                text.push(b',');
            }
            text.push(b'"');
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b"\":");
            let begun = text.len();
            if serde_json::to_writer(&mut *text, field).is_err() {
                // Texts and numbers cannot fail.
                text.truncate(begun);
                text.extend_from_slice(b"null");
            }
        }
        text.push(b'}');
    }

    /// The row as a JSON object.
    #[must_use]
    pub fn object(&self) -> String {
        let mut text = Vec::with_capacity(256);
        self.write(&mut text);
        String::from_utf8(text).unwrap_or_default()
    }

    /// Rows as a JSON array of objects.
    #[must_use]
    pub fn array(rows: &[Self]) -> String {
        let mut text = Vec::with_capacity(2 + rows.len() * 256);
        text.push(b'[');
        for (number, row) in rows.iter().enumerate() {
            if number > 0 {
                text.push(b',');
            }
            row.write(&mut text);
        }
        text.push(b']');
        String::from_utf8(text).unwrap_or_default()
    }
}

/// `row!({"column": value, …})`: a [`Row`] of flat members, each a text, a number, bytes or an `Option` of one.
macro_rules! row {
    ({$($name:literal: $value:expr),* $(,)?}) => {
        $crate::store::Row::of(const { [$($name),*].len() })$(.with($name, &$value))*
    };
}

pub(crate) use row;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_the_json_of_its_rows() {
        let (none, odd) = (None::<String>, "l'été \"\\\n\u{1}");
        let rows = [
            row!({"text": odd, "none": none, "number": -7_i64}),
            row!({"some": Some("x"), "bytes": vec![0xab_u8, 1]}),
            Row::default(),
        ];
        let read: serde_json::Value = serde_json::from_str(&Row::array(&rows)).unwrap();
        assert_eq!(
            read,
            serde_json::json!([{"text": odd, "none": null, "number": -7}, {"some": "x", "bytes": "ab01"}, {}])
        );
        assert_eq!(Row::array(&[]), "[]");
    }

    #[test]
    fn a_member_is_found_by_its_name() {
        let row = || row!({"a": 1_i64, "b": "two"});
        assert_eq!(row().take("b", 1), Field::Text("two".into()));
        assert_eq!(row().take("b", 0), Field::Text("two".into()));
        assert_eq!(row().take("c", 0), Field::Null);
    }
}
