//! Keys from the environment: `VOXEA__SECTION__KEY`, and `VOXEA__SMPP__0__PASSWORD` for the first of several.

use std::collections::BTreeMap;

use voxea_core::base::settings::{Node, Place, Problems, Value, parse};

/// What every such variable begins with.
const PREFIX: &str = "VOXEA__";
/// Keys whose value is a text even when it looks like a number.
const TEXTS: [&str; 8] = [
    "password",
    "user",
    "number",
    "system_id",
    "name",
    "theme",
    "access_key",
    "secret_key",
];

/// Lays the variables over the file's values. Others than `VOXEA__…` are not looked at.
pub(crate) fn lay(root: &mut Node, variables: impl IntoIterator<Item = (String, String)>, problems: &Problems) {
    // In the order of their names, so that `…__0__…` comes before `…__1__…` whatever the environment's own order.
    let variables: BTreeMap<String, String> = variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    for (name, text) in variables {
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        let place = Place::Environment(name.clone());
        if path.iter().any(String::is_empty) {
            problems.add(place, "", "must be written VOXEA__SECTION__KEY");
            continue;
        }
        if let Err(message) = set(root, &path, &text, &place) {
            problems.add(place, path.join("."), message);
        }
    }
}

fn set(node: &mut Node, path: &[String], text: &str, place: &Place) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else { return Ok(()) };
    let empty = |next: Option<&String>| {
        let list = next.is_some_and(|key| key.parse::<usize>().is_ok());
        let value = if list {
            Value::List(Vec::new())
        } else {
            Value::Table(BTreeMap::new())
        };
        Node {
            place: place.clone(),
            value,
        }
    };
    let child = match &mut node.value {
        Value::Table(members) => members.entry(first.clone()).or_insert_with(|| empty(rest.first())),
        Value::List(items) => {
            let index: usize = first
                .parse()
                .map_err(|_| format!("there are several of these: write their number, from 0, before {first}"))?;
            if index == items.len() {
                items.push(empty(rest.first()));
            }
            let count = items.len();
            items
                .get_mut(index)
                .ok_or_else(|| format!("there are only {count}, counted from 0"))?
        }
        other => return Err(format!("lies inside {}, which is no section", other.kind())),
    };
    if rest.is_empty() {
        child.value = typed(first, text, &child.value);
        child.place = place.clone();
        return Ok(());
    }
    set(child, rest, text, place)
}

/// A text where the file has a text; otherwise what TOML reads in it, and a text when TOML reads nothing.
fn typed(key: &str, text: &str, present: &Value) -> Value {
    if matches!(present, Value::String(_)) || TEXTS.contains(&key) {
        return Value::String(text.to_owned());
    }
    let read = parse(&format!("value = {text}")).ok().and_then(|node| match node.value {
        Value::Table(mut members) if members.len() == 1 => members.remove("value"),
        _ => None,
    });
    read.map_or_else(|| Value::String(text.to_owned()), |node| node.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(file: &str, variables: &[(&str, &str)]) -> (Node, Vec<String>) {
        let (mut root, problems) = (parse(file).unwrap(), Problems::new());
        let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        lay(&mut root, variables, &problems);
        (root, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    fn at<'n>(node: &'n Node, path: &str) -> &'n Node {
        path.split('.').fold(node, |node, key| match &node.value {
            Value::Table(members) => &members[key],
            Value::List(items) => &items[key.parse::<usize>().unwrap()],
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn a_variable_replaces_or_adds_and_is_named_as_the_place() {
        let (root, problems) = laid(
            "[api]\nlisten = \"127.0.0.1:8080\"\n[[smpp]]\nname = \"a\"\n",
            &[
                ("VOXEA__API__LISTEN", "127.0.0.1:0"),
                ("VOXEA__API__STOP_SECONDS", "5"),
                ("VOXEA__API__BEHIND_PROXY", "true"),
                ("VOXEA__SMPP__0__PASSWORD", "0042"),
                ("VOXEA__SMPP__1__NAME", "b"),
                ("VOXEA_LOG", "debug"),
            ],
        );
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(at(&root, "api.listen").value, Value::String("127.0.0.1:0".into()));
        assert_eq!(at(&root, "api.listen").place, Place::Environment("VOXEA__API__LISTEN".into()));
        assert_eq!(at(&root, "api.stop_seconds").value, Value::Integer(5));
        assert_eq!(at(&root, "api.behind_proxy").value, Value::Boolean(true));
        assert_eq!(at(&root, "smpp.0.password").value, Value::String("0042".into()));
        assert_eq!(at(&root, "smpp.1.name").value, Value::String("b".into()));
    }

    #[test]
    fn what_cannot_be_placed_is_said() {
        let (_, problems) = laid(
            "[[smpp]]\nname = \"a\"\n",
            &[("VOXEA__SMPP__7__NAME", "x"), ("VOXEA__SMPP__NAME", "y"), ("VOXEA____X", "z")],
        );
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems.iter().any(|text| text.contains("there are only 1")), "{problems:?}");
    }
}
