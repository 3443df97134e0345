//! The configuration as a tree of values that know where they stand.

use std::collections::BTreeMap;
use std::fmt;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A line of the file, counted from 1.
    Line(usize),
    /// A variable of the environment, by its name.
    Environment(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub place: Place,
    /// What stands there.
    pub value: Value,
}

/// What TOML can say.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date or time, as written.
    Date(String),
    /// `[section]` or `{ … }`.
    Table(BTreeMap<String, Node>),
    /// `[[section]]` or `[ … ]`.
    List(Vec<Node>),
}

impl Value {
    /// What a person would call it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::String(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "true or false",
            Self::Date(_) => "a date",
            Self::Table(_) => "a section",
            Self::List(_) => "a list",
        }
    }
}

/// Reads TOML.
///
/// # Errors
/// The line of the first mistake, beyond which the parser does not read, and its key, what is wrong and what would be
/// right.
pub fn parse(text: &str) -> Result<Node, (usize, String)> {
    let document = toml_edit::Document::parse(text).map_err(|error| broken(text, &error))?;
    Ok(table(text, document.as_table(), 1))
}

fn broken(text: &str, error: &toml_edit::TomlError) -> (usize, String) {
    let line = error.span().map_or(1, |span| line_of(text, span.start));
    let key = key_at(text, line);
    let words = error.message().lines().collect::<Vec<_>>().join("; ");
    let here = text.lines().nth(line - 1).map_or("", str::trim);
    let message = if words.starts_with("duplicate key") {
        let (what, remedy) = if here.starts_with('[') {
            (
                "section",
                "write all its keys below the first one; several of a kind are written [[…]]",
            )
        } else {
            ("key", "keep one of the two")
        };
        let first = (1..line).find(|earlier| !key.is_empty() && key_at(text, *earlier) == key);
        let first = first.map_or_else(String::new, |first| format!(", after line {first}"));
        format!("the {what} is here for the second time{first}; {remedy}")
    } else if here.starts_with('[') {
        format!("not TOML: {words}; a section is written [api], one of several [[smpp]]")
    } else {
        format!("not TOML: {words}; a key is written listen = \"127.0.0.1:8080\": texts in quotes, numbers, true and false without")
    };
    let key = if key.is_empty() { key } else { key + ": " };
    (line, key + &message)
}

/// The dotted key of a line's section or key, read without the parser, which has given up. Empty when there is none.
fn key_at(text: &str, line: usize) -> String {
    let mut section = String::new();
    let mut last = "";
    for (number, written) in (1..=line).zip(text.lines()) {
        last = written.trim();
        if let Some(rest) = last.strip_prefix('[') {
            let name = rest.trim_start_matches('[').split(']').next().unwrap_or_default();
            section = bare(name);
        }
        if number == line && !last.starts_with('[') {
            let name = match last.split_once('=') {
                Some((name, _)) if !last.starts_with('#') => bare(name),
                _ => return String::new(),
            };
            return if section.is_empty() { name } else { format!("{section}.{name}") };
        }
    }
    if last.starts_with('[') { section } else { String::new() }
}

/// A key without the spaces and quotes that mean nothing.
fn bare(name: &str) -> String {
    name.chars()
        .filter(|char| !char.is_whitespace() && !"\"'".contains(*char))
        .collect()
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

fn table(text: &str, table: &dyn toml_edit::TableLike, line: usize) -> Node {
    let mut members = BTreeMap::new();
    for (name, item) in table.iter() {
        let key_line = table
            .get_key_value(name)
            .and_then(|(key, _)| key.span())
            .map(|span| line_of(text, span.start));
        let item_line = item.span().map(|span| line_of(text, span.start));
        members.insert(name.to_owned(), node(text, item, key_line.or(item_line).unwrap_or(line)));
    }
    Node {
        place: Place::Line(line),
        value: Value::Table(members),
    }
}

fn node(text: &str, item: &toml_edit::Item, line: usize) -> Node {
    match item {
        toml_edit::Item::None => Node {
            place: Place::Line(line),
            value: Value::Table(BTreeMap::new()),
        },
        toml_edit::Item::Value(inner) => value(text, inner, line),
        toml_edit::Item::Table(inner) => table(text, inner, inner.span().map_or(line, |span| line_of(text, span.start))),
        toml_edit::Item::ArrayOfTables(list) => {
            let tables = list
                .iter()
                .map(|inner| table(text, inner, inner.span().map_or(line, |span| line_of(text, span.start))));
            Node {
                place: Place::Line(line),
                value: Value::List(tables.collect()),
            }
        }
    }
}

fn value(text: &str, value: &toml_edit::Value, line: usize) -> Node {
    let value = match value {
        toml_edit::Value::String(inner) => Value::String(inner.value().clone()),
        toml_edit::Value::Integer(inner) => Value::Integer(*inner.value()),
        toml_edit::Value::Float(inner) => Value::Float(*inner.value()),
        toml_edit::Value::Boolean(inner) => Value::Boolean(*inner.value()),
        toml_edit::Value::Datetime(inner) => Value::Date(inner.value().to_string()),
        toml_edit::Value::InlineTable(inner) => return table(text, inner, line),
        toml_edit::Value::Array(list) => {
            let place = |inner: &toml_edit::Value| inner.span().map_or(line, |span| line_of(text, span.start));
            Value::List(list.iter().map(|inner| self::value(text, inner, place(inner))).collect())
        }
    };
    Node {
        place: Place::Line(line),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_known() {
        let root = parse("[api]\nlisten = \"x\"\n\n[[smpp]]\nname = \"a\"\n[[smpp]]\nname = 3\n").unwrap();
        let Value::Table(members) = root.value else { panic!("a table") };
        let Value::Table(api) = &members["api"].value else {
            panic!("a table")
        };
        assert_eq!(api["listen"].place, Place::Line(2));
        let Value::List(links) = &members["smpp"].value else {
            panic!("a list")
        };
        let Value::Table(second) = &links[1].value else { panic!("a table") };
        assert_eq!(
            (&second["name"].place, &second["name"].value),
            (&Place::Line(7), &Value::Integer(3))
        );
    }

    #[test]
    fn a_mistake_has_its_line_and_its_remedy() {
        for (text, line, key, part) in [
            ("a = 1\nb = = 2\n", 2, "b", "not TOML"),
            ("[api]\nlisten = 127.0.0.1:8080\n", 2, "api.listen", "texts in quotes"),
            ("[api]\nx = 1\n[store]\nx = 1\nx = 2\n", 5, "store.x", "second time, after line 4"),
            ("[api]\nx = 1\n\n[store]\n[api] # again\ny = 1\n", 5, "api", "after line 1"),
            ("[api\nx = 1\n", 1, "api", "[[smpp]]"),
            ("[api]\ntls = { a = 1, a = 2 }\n", 2, "api.tls", "second time; keep one"),
        ] {
            let (place, words) = parse(text).unwrap_err();
            assert!(
                place == line && words.starts_with(&format!("{key}: ")),
                "{text:?}: {place}: {words}"
            );
            assert!(words.contains(part), "{text:?}: {words}");
        }
    }
}
