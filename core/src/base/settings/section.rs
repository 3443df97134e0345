//! One section of the configuration, asked key by key.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{Node, Place, Problems, Value, Written};
use crate::base::nearest::nearest;
use crate::base::secret::Secret;

/// The longest secret that a file may hold, in bytes.
const SECRET_BYTES: u64 = 4096;

/// A table of the configuration. Dropping it notes every key that nobody asked for.
#[derive(Debug)]
pub struct Section<'a> {
    members: Option<&'a BTreeMap<String, Node>>,
    place: Place,
    path: String,
    folder: &'a Path,
    problems: &'a Problems,
    known: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Section<'a> {
    /// The whole file. `folder` is the one to which relative paths are relative.
    #[must_use]
    pub fn root(node: &'a Node, folder: &'a Path, problems: &'a Problems) -> Self {
        Self::at(node, String::new(), folder, problems)
    }

    fn at(node: &'a Node, path: String, folder: &'a Path, problems: &'a Problems) -> Self {
        let members = match &node.value {
            Value::Table(members) => Some(members),
            other => {
                problems.add(
                    node.place.clone(),
                    path.clone(),
                    format!("is {}, but must be a section", other.kind()),
                );
                None
            }
        };
        Self {
            members,
            place: node.place.clone(),
            path,
            folder,
            problems,
            known: RefCell::default(),
        }
    }

    /// The dotted path of a key of this section.
    #[must_use]
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Notes a problem with a key; its place is the key's, or the section's when the key is absent.
    pub fn problem(&self, key: &'static str, message: impl Into<String>) {
        self.problems.add(self.place_of(key), self.path_of(key), message);
    }

    /// Notes that a key, right as it is, hardly does what is meant; places as for [`Section::problem`].
    pub fn warning(&self, key: &'static str, message: impl Into<String>) {
        self.problems.warn(self.place_of(key), self.path_of(key), message);
    }

    fn place_of(&self, key: &'static str) -> Place {
        let node = self.node(key);
        node.map_or(&self.place, |node| &node.place).clone()
    }

    /// Whether the key is there.
    #[must_use]
    pub fn has(&self, key: &'static str) -> bool {
        self.node(key).is_some()
    }

    /// A text as it stands there, with its place: for what can only be judged later, such as by what the database knows.
    /// `None` when the key is absent, or no text, which its reader says.
    #[must_use]
    pub fn written(&self, key: &'static str) -> Option<Written> {
        let node = self.node(key)?;
        let Value::String(text) = &node.value else { return None };
        Some(Written {
            text: text.clone(),
            place: node.place.clone(),
            key: self.path_of(key),
        })
    }

    /// The same of a value of any kind, without its text.
    #[must_use]
    pub fn placed(&self, key: &'static str) -> Option<Written> {
        let node = self.node(key)?;
        Some(Written {
            text: String::new(),
            place: node.place.clone(),
            key: self.path_of(key),
        })
    }

    fn node(&self, key: &'static str) -> Option<&'a Node> {
        self.known.borrow_mut().insert(key);
        self.members?.get(key)
    }

    /// A text, if it is there.
    #[must_use]
    pub fn string(&self, key: &'static str) -> Option<String> {
        match &self.node(key)?.value {
            Value::String(text) | Value::Date(text) => Some(text.clone()),
            other => {
                self.problem(key, format!("is {}, but must be a text in quotes", other.kind()));
                None
            }
        }
    }

    /// A text that may not be missing or empty. `example` shows what would be right.
    #[must_use]
    pub fn required_string(&self, key: &'static str, example: &str) -> String {
        let missing = self.node(key).is_none();
        match self.string(key) {
            Some(text) if !text.is_empty() => text,
            Some(_) => {
                self.problem(key, format!("is empty; an example: {key} = \"{example}\""));
                String::new()
            }
            None => {
                if missing {
                    self.problem(key, format!("is missing; an example: {key} = \"{example}\""));
                }
                String::new()
            }
        }
    }

    /// A text, or what stands for it when it is absent.
    #[must_use]
    pub fn string_or(&self, key: &'static str, default: &str) -> String {
        self.string(key).unwrap_or_else(|| default.to_owned())
    }

    /// A text that a type reads; the error's own words say what is wrong. `example` shows what would be right.
    #[must_use]
    pub fn parsed<T: FromStr<Err: Display>>(&self, key: &'static str, example: &str) -> Option<T> {
        let text = self.string(key)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(key, format!("{text:?} cannot be read: {error}; an example: {key} = \"{example}\""));
                None
            }
        }
    }

    /// A whole number within a range, or the default.
    #[must_use]
    pub fn int_or(&self, key: &'static str, default: i64, range: RangeInclusive<i64>) -> i64 {
        match self.node(key).map(|node| &node.value) {
            None => default,
            Some(Value::Integer(n)) if range.contains(n) => *n,
            Some(Value::Integer(n)) => {
                self.problem(key, format!("is {n}, but must lie between {} and {}", range.start(), range.end()));
                default
            }
            Some(other) => {
                self.problem(key, format!("is {}, but must be a whole number, without quotes", other.kind()));
                default
            }
        }
    }

    /// `true` or `false`, or the default.
    #[must_use]
    pub fn bool_or(&self, key: &'static str, default: bool) -> bool {
        match self.node(key).map(|node| &node.value) {
            None => default,
            Some(Value::Boolean(on)) => *on,
            Some(other) => {
                self.problem(key, format!("is {}, but must be true or false, without quotes", other.kind()));
                default
            }
        }
    }

    /// A list of texts; `None` when the key is absent.
    #[must_use]
    pub fn strings(&self, key: &'static str) -> Option<Vec<String>> {
        let node = self.node(key)?;
        let Value::List(items) = &node.value else {
            self.problem(
                key,
                format!("is {}, but must be a list of texts: {key} = [\"…\"]", node.value.kind()),
            );
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            if let Value::String(text) = &item.value {
                texts.push(text.clone());
            } else {
                let message = format!("holds {}, but must hold texts in quotes only", item.value.kind());
                self.problems.add(item.place.clone(), self.path_of(key), message);
            }
        }
        Some(texts)
    }

    /// One of some words, or the default.
    #[must_use]
    pub fn one_of(&self, key: &'static str, words: &[&'static str], default: &'static str) -> &'static str {
        let Some(text) = self.string(key) else { return default };
        words.iter().copied().find(|word| *word == text).unwrap_or_else(|| {
            self.problem(key, format!("is {text:?}, but must be one of {}", words.join(", ")));
            default
        })
    }

    /// A path; a relative one starts at the configuration's folder. An empty one would be that folder itself, and is none.
    #[must_use]
    pub fn file(&self, key: &'static str) -> Option<PathBuf> {
        let text = self.string(key)?;
        if text.trim().is_empty() {
            self.problem(key, "is empty; name a file, or take the key away");
            return None;
        }
        Some(self.folder.join(text))
    }

    /// The folder to which relative paths are relative.
    #[must_use]
    pub const fn folder(&self) -> &'a Path {
        self.folder
    }

    /// A secret: the key itself, or the first line of the file that `file_key` names (`password`, `password_file`).
    #[must_use]
    pub fn secret(&self, key: &'static str, file_key: &'static str) -> Option<Secret> {
        let direct = self.string(key);
        let Some(path) = self.file(file_key) else {
            return direct.map(Secret::new);
        };
        if direct.is_some() {
            self.problem(file_key, format!("stands beside {key}; keep one of the two"));
        }
        match read_secret(&path).and_then(|text| first_line(&text)) {
            Ok(text) => Some(Secret::new(text)),
            Err(message) => {
                self.problem(file_key, format!("{}: {message}", path.display()));
                None
            }
        }
    }

    /// The whole text of the secret file that the key names, such as one of several lines.
    #[must_use]
    pub fn secret_text(&self, key: &'static str) -> Option<Secret> {
        let path = self.file(key)?;
        let text = read_secret(&path).inspect_err(|message| self.problem(key, format!("{}: {message}", path.display())));
        text.ok().map(Secret::new)
    }

    /// A section inside this one; `None` when it is absent.
    #[must_use]
    pub fn sub(&self, key: &'static str) -> Option<Section<'a>> {
        let node = self.node(key)?;
        Some(Self::at(node, self.path_of(key), self.folder, self.problems))
    }

    /// The sections of a `[[list]]`; empty when it is absent.
    #[must_use]
    pub fn list(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let path = self.path_of(key);
        match &node.value {
            Value::List(items) => {
                let section = |(index, item)| Self::at(item, format!("{path}[{index}]"), self.folder, self.problems);
                items.iter().enumerate().map(section).collect()
            }
            other => {
                self.problem(key, format!("is {}, but must be written as [[{path}]]", other.kind()));
                Vec::new()
            }
        }
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let known = self.known.borrow();
        for (name, node) in self.members.into_iter().flatten() {
            if known.contains(name.as_str()) {
                continue;
            }
            let hint = match nearest(name, known.iter().copied()) {
                Some(key) => format!("; did you mean {key}?"),
                None => format!("; known here: {}", known.iter().copied().collect::<Vec<_>>().join(", ")),
            };
            self.problems
                .add(node.place.clone(), self.path_of(name), format!("is not a known key{hint}"));
        }
    }
}

fn read_secret(path: &Path) -> Result<String, String> {
    let facts = std::fs::metadata(path).map_err(|error| format!("{error}; the file must exist and be readable by the daemon"))?;
    if facts.is_dir() {
        return Err("is a folder, but must be a file".to_owned());
    }
    if facts.permissions().mode() & 0o007 != 0 {
        return Err("everybody on this machine may read it; run chmod o-rwx on it".to_owned());
    }
    if facts.len() > SECRET_BYTES {
        return Err(format!("is longer than {SECRET_BYTES} bytes; it must hold nothing but secrets"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

fn first_line(text: &str) -> Result<String, String> {
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        Err("is empty; its first line must be the secret".to_owned())
    } else {
        Ok(line.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::settings::parse;

    fn problems(text: &str, read: impl FnOnce(&Section<'_>)) -> Vec<String> {
        let node = parse(text).unwrap();
        let problems = Problems::new();
        read(&Section::root(&node, Path::new("/nowhere"), &problems));
        problems.into_sorted().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn everything_wrong_is_said_at_once_with_its_line() {
        let text = "[api]\nlissten = \"x\"\nstop_seconds = \"ten\"\nport = 70000\n";
        let found = problems(text, |root| {
            let api = root.sub("api").unwrap();
            let _ = api.string("listen");
            let _ = api.int_or("stop_seconds", 10, 0..=60);
            let _ = api.int_or("port", 1, 0..=65_535);
        });
        assert_eq!(
            found,
            [
                "line 2: api.lissten: is not a known key; did you mean listen?",
                "line 3: api.stop_seconds: is a text, but must be a whole number, without quotes",
                "line 4: api.port: is 70000, but must lie between 0 and 65535",
            ]
        );
    }

    #[test]
    fn a_text_keeps_its_place_for_later() {
        let mut found = None;
        let said = problems("[a]\ntheme = \"voirie\"\nb = 1\n", |root| {
            let a = root.sub("a").unwrap();
            found = a.written("theme");
            assert!(a.written("b").is_none() && a.written("c").is_none());
        });
        let later = found.unwrap().problem("is unknown");
        assert_eq!((later.to_string().as_str(), said), ("line 2: a.theme: is unknown", vec![]));
    }

    #[test]
    fn a_list_of_sections_counts_from_zero() {
        let found = problems("[[smpp]]\nname = \"a\"\n[[smpp]]\n", |root| {
            for link in root.list("smpp") {
                let _ = link.required_string("name", "short-number");
            }
        });
        assert_eq!(found, ["line 3: smpp[1].name: is missing; an example: name = \"short-number\""]);
    }

    #[test]
    fn a_secret_that_everybody_reads_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        std::fs::write(&path, "hunter2\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_secret(&path).unwrap_err().contains("chmod"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read_secret(&path).and_then(|text| first_line(&text)).unwrap(), "hunter2");
    }
}
