//! The rows of the catalogue.

use std::collections::BTreeMap;
use std::sync::LazyLock;

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
    script.add(&WRITE, &rows.collect::<Vec<Row>>());
    script.add(&CHANGE, &changes.collect::<Vec<Row>>());
}
