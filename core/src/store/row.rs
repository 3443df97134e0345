//! A row of a set, written as JSON while it is made: where a batch is built, a tree of values costs more than its text.

use serde::Serialize;

/// One row, the text of a JSON object without its end.
#[derive(Debug, Clone, Default)]
pub struct Row(Vec<u8>);

impl Row {
    /// Adds a member. `name` is a column's, plain ASCII.
    #[must_use]
    pub fn with<T: Serialize + ?Sized>(mut self, name: &'static str, value: &T) -> Self {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
        let begun = self.0.len();
        if serde_json::to_writer(&mut self.0, value).is_err() {
            // Texts and numbers cannot fail.
            self.0.truncate(begun);
            self.0.extend_from_slice(b"null");
        }
        self
    }

    /// The row as a JSON object.
    #[must_use]
    pub fn object(&self) -> String {
        let begin: &[u8] = if self.0.is_empty() { b"{" } else { &self.0 };
        String::from_utf8([begin, b"}"].concat()).unwrap_or_default()
    }

    /// Rows as a JSON array of objects.
    #[must_use]
    pub fn array(rows: &[Self]) -> String {
        let mut text = Vec::with_capacity(2 + rows.iter().map(|row| row.0.len() + 2).sum::<usize>());
        text.push(b'[');
        for row in rows {
            if text.len() > 1 {
                text.push(b',');
            }
            text.extend_from_slice(if row.0.is_empty() { b"{" } else { &row.0 });
            text.push(b'}');
        }
        text.push(b']');
        String::from_utf8(text).unwrap_or_default()
    }
}

/// `row!({"column": value, …})`: a [`Row`] of flat members, each a text, a number or an `Option` of one.
macro_rules! row {
    ({$($name:literal: $value:expr),* $(,)?}) => {
        $crate::store::Row::default()$(.with($name, &$value))*
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
            row!({"some": Some("x")}),
            row!({}),
        ];
        let read: serde_json::Value = serde_json::from_str(&Row::array(&rows)).unwrap();
        assert_eq!(
            read,
            serde_json::json!([{"text": odd, "none": null, "number": -7}, {"some": "x"}, {}])
        );
        assert_eq!(Row::array(&[]), "[]");
    }
}
