//! The rows of the catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::nouns::Document;
use super::snapshot::{Kind, Snapshot};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::id;
use crate::base::time::Millis;
use crate::store::{Column, Row, Rows, Script, SetSql, row};

/// The entries and the version of the whole: one statement, so that they belong together.
pub(super) const READ: &str = "SELECT kind, code, place, version, detail FROM catalogue \
    UNION ALL SELECT 'version', name, 0, value, '' FROM counter WHERE name = 'catalogue' ORDER BY kind, place, code";

static WRITE: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("kind", Column::Text),
        ("code", Column::Text),
        ("parent", Column::Text),
        ("place", Column::Integer),
        ("version", Column::Integer),
        ("detail", Column::Text),
    ])
    .statement(
        "INSERT INTO catalogue ({columns}) SELECT {values} FROM {rows} AS r WHERE true ON CONFLICT (kind, code) DO UPDATE SET \
         parent = excluded.parent, place = excluded.place, version = excluded.version, detail = excluded.detail",
    )
});
static CHANGE: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("id", Column::Text),
        ("at", Column::Integer),
        ("actor", Column::Text),
        ("kind", Column::Text),
        ("code", Column::Text),
        ("version", Column::Integer),
        ("detail", Column::Text),
    ])
    .insert("catalogue_change")
});

/// A row of [`READ`].
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Stored {
    kind: String,
    code: String,
    #[expect(dead_code, reason = "it only orders")]
    place: i64,
    version: i64,
    detail: String,
}

/// What the rows say.
pub(super) fn read(rows: Vec<Stored>) -> Result<Snapshot> {
    let (mut document, mut versions, mut whole) = (Document::default(), BTreeMap::new(), 0);
    for row in rows {
        let broken = |error: serde_json::Error| CoreError::Store(format!("catalogue: {} {}: {error}", row.kind, row.code));
        let kind = match row.kind.as_str() {
            "domain" => {
                document.domains.push(serde_json::from_str(&row.detail).map_err(broken)?);
                Kind::Domain
            }
            "service" => {
                document.services.push(serde_json::from_str(&row.detail).map_err(broken)?);
                Kind::Service
            }
            "theme" => {
                document.themes.push(serde_json::from_str(&row.detail).map_err(broken)?);
                Kind::Theme
            }
            _ => {
                whole = row.version;
                continue;
            }
        };
        versions.insert((kind, row.code), row.version);
    }
    Ok(Snapshot::new(whole, document, versions))
}

/// One entry, as it is to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) code: String,
    parent: Option<String>,
    place: usize,
    detail: String,
}

impl Entry {
    /// The names of the members that are other than in another one, `place` when it stands elsewhere in its list; without
    /// another one, of all members that say something.
    pub(super) fn differs_from(&self, other: Option<&Self>) -> Vec<String> {
        // What was stored is what we wrote; should it not be read, every member counts as changed.
        let members = |entry: &Self| serde_json::from_str::<Map<String, Value>>(&entry.detail).unwrap_or_default();
        let (mine, theirs) = (members(self), other.map(members).unwrap_or_default());
        let names: BTreeSet<&String> = mine.keys().chain(theirs.keys()).collect();
        let changed = names.into_iter().filter(|name| mine.get(*name) != theirs.get(*name)).cloned();
        let moved = other.is_some_and(|other| other.place != self.place);
        changed.chain(moved.then(|| "place".to_owned())).collect()
    }
}

/// The entries of a catalogue.
pub(super) fn entries(document: &Document) -> Result<Vec<Entry>> {
    fn text(value: &impl serde::Serialize) -> Result<String> {
        serde_json::to_string(value).map_err(|error| CoreError::Store(error.to_string()))
    }
    let entry = |kind, code: &str, parent: Option<&str>, place, detail| Entry {
        kind,
        code: code.to_owned(),
        parent: parent.map(str::to_owned),
        place,
        detail,
    };
    let mut all = Vec::new();
    for (place, domain) in document.domains.iter().enumerate() {
        all.push(entry(Kind::Domain, &domain.code, None, place, text(domain)?));
    }
    for (place, service) in document.services.iter().enumerate() {
        all.push(entry(Kind::Service, &service.code, Some(&service.domain), place, text(service)?));
    }
    for (place, theme) in document.themes.iter().enumerate() {
        all.push(entry(Kind::Theme, &theme.code, Some(&theme.service), place, text(theme)?));
    }
    Ok(all)
}

/// Adds the writing of entries to a script, and the record of who changed them.
pub(super) fn write(script: &mut Script, entries: &[&Entry], version: i64, actor: &Actor, at: Millis) {
    let rows = entries.iter().map(|entry| {
        row!({
            "kind": entry.kind.as_str(), "code": entry.code, "parent": entry.parent, "place": entry.place, "version": version,
            "detail": entry.detail,
        })
    });
    let changes = entries.iter().map(|entry| {
        row!({
            "id": id::new(), "at": at, "actor": actor.to_string(), "kind": entry.kind.as_str(), "code": entry.code,
            "version": version, "detail": entry.detail,
        })
    });
    script.add(&WRITE, rows.collect::<Vec<Row>>());
    script.add(&CHANGE, changes.collect::<Vec<Row>>());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_by_the_names_of_its_members() {
        let before = Document::shipped().unwrap();
        let mut after = before.clone();
        after.themes[0].label = "Chaussée".to_owned();
        after.themes[0].sla_minutes = Some(7);
        after.themes.swap(1, 2);
        let (before, after) = (entries(&before).unwrap(), entries(&after).unwrap());
        let told = |code: &str| {
            let of = |all: &'_ [Entry]| all.iter().find(|one| one.kind == Kind::Theme && one.code == code).cloned();
            of(&after).unwrap().differs_from(of(&before).as_ref())
        };
        let codes: Vec<&str> = before
            .iter()
            .filter(|one| one.kind == Kind::Theme)
            .map(|one| one.code.as_str())
            .collect();
        assert_eq!(told(codes[0]), ["label", "sla_minutes"]);
        assert_eq!(told(codes[1]), ["place"]);
        assert!(told(codes[3]).is_empty());
        let made = after[0].differs_from(None);
        assert!(made.contains(&"code".to_owned()) && made.contains(&"label".to_owned()), "{made:?}");
    }
}
