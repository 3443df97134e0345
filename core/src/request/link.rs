//! Requests that belong together without being one.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::base::error::Result;
use crate::store::{Column, Reach, Row, Rows, SetSql, Store, on, row};

/// Why two requests belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// It is what its citizen wrote when the earlier one was over.
    Continues,
    /// It names the reference of the earlier one, and nothing proves that its sender has to do with that.
    Mentions,
}

impl LinkKind {
    /// The name that the API and the database use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Continues => "continues",
            Self::Mentions => "mentions",
        }
    }
}

/// Another request, as one is linked to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLink {
    /// `continues` or `mentions`, of the later one towards the earlier.
    pub kind: String,
    /// The id of the other request.
    pub request_id: String,
    /// Whether the other one is the earlier of the two.
    pub earlier: bool,
}

/// Both directions of the links of some requests; the other's channel and theme say who reaches it.
static LINKS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("wanted", Column::Text)]).statement(
        "SELECT r.wanted, l.kind, q.id, CAST(1 AS BIGINT), q.channel, q.theme, q.position \
         FROM {rows} AS r JOIN request_link l ON l.request_id = r.wanted JOIN request q ON q.id = l.other_id \
         UNION ALL SELECT r.wanted, l.kind, q.id, CAST(0 AS BIGINT), q.channel, q.theme, q.position \
         FROM {rows} AS r JOIN request_link l ON l.other_id = r.wanted JOIN request q ON q.id = l.request_id ORDER BY 7",
    )
});

/// At most so many are shown of one request.
const SHOWN: usize = 100;

/// The links of requests, by their ids: those to requests that lie within `reach`, in commit order.
///
/// # Errors
/// The store's.
pub(super) async fn of(store: &Store, reach: &Reach, ids: impl Iterator<Item = &str>) -> Result<HashMap<String, Vec<RequestLink>>> {
    type Linked = (String, String, String, i64, String, Option<String>, i64);
    let wanted: Vec<Row> = ids.map(|id| row!({"wanted": id})).collect();
    let mut links: HashMap<String, Vec<RequestLink>> = HashMap::new();
    if wanted.is_empty() {
        return Ok(links);
    }
    let (sql, wanted) = (LINKS.for_store(store), Row::array(&wanted));
    let found: Vec<Linked> = on!(Store, store, db => sqlx::query_as(sql).bind(wanted).fetch_all(db).await)?;
    for (of, kind, request_id, earlier, channel, theme, _) in found {
        let of = links.entry(of).or_default();
        if reach.covers(&channel, theme.as_deref()) && of.len() < SHOWN {
            of.push(RequestLink {
                kind,
                request_id,
                earlier: earlier != 0,
            });
        }
    }
    Ok(links)
}
