//! What a reader of the feed asks for.

use utoipa::IntoParams;
use voxea_core::base::actor::Actor;
use voxea_core::base::grant::Operation;
use voxea_core::feed::{EventKind, Page, Selection, State, ThemeFilter};
use voxea_rules::filter;

use crate::http::api::Api;
use crate::http::cursor::Named;
use crate::http::extract::limit;
use crate::http::problem::{Kind, Problem};

/// What stands for requests without a theme; no code is spelled so.
const UNTHEMED: &str = "_none";

/// Where to begin, how much, and of what.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "only its description is used: a parameter may come several times, which no struct reads"
)]
pub(crate) struct Query {
    /// `next` of an earlier page; leave it out to begin with the oldest event that is kept.
    after: Option<String>,
    /// 1 to 500, 100 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    limit: Option<String>,
    /// Only events of these types: `fr.voxea.request.created`, or all that begin so: `fr.voxea.request.*`. Several times, or with
    /// commas. Whoever asks for any type of a request is shown its tombstones, `fr.voxea.request.deleted`, too.
    r#type: Option<Vec<String>>,
    /// Only events of requests that had one of these themes when they happened, and of the themes themselves: codes, or `_none`
    /// for requests without a theme. Several times, or with commas. A request that leaves for another theme is a tombstone.
    theme: Option<Vec<String>>,
    /// `latest`: of events of the same subject in this page only the newest, and tombstones. `all` when left out.
    mode: Option<String>,
}

/// The same, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Where to go on; `None` for the beginning.
    pub(crate) after: Option<Named>,
    /// Events on a page at most.
    pub(crate) limit: usize,
    /// The types, when any are named.
    kinds: Option<Vec<EventKind>>,
    /// The themes, as they are named.
    themes: Vec<String>,
    /// Only the newest of each subject.
    latest: bool,
}

impl Asked {
    /// Reads the parameters of a query, as they came.
    ///
    /// # Errors
    /// 400 for a cursor or a limit that cannot be read and for one that comes twice; 422 for a type or mode that there is not.
    pub(crate) fn read(pairs: &[(String, String)]) -> Result<Self, Problem> {
        let after = once(pairs, "after")?.map(Named::read).transpose()?;
        let limit = limit(once(pairs, "limit")?)?;
        let latest = match once(pairs, "mode")? {
            None | Some("all") => false,
            Some("latest") => true,
            Some(_) => return Err(Problem::invalid_parameter("mode", "must be all or latest")),
        };
        Ok(Self {
            after,
            limit,
            kinds: kinds(&list(pairs, "type")?)?,
            themes: list(pairs, "theme")?.into_iter().map(str::to_owned).collect(),
            latest,
        })
    }

    /// What of the feed an actor is shown by this.
    ///
    /// # Errors
    /// 422 for a theme that there is not.
    pub(crate) async fn selection(&self, api: &Api, actor: &Actor) -> Result<Selection, Problem> {
        let named: Vec<&str> = self.themes.iter().map(String::as_str).collect();
        let themes = themes(api, &named).await?;
        let reach = api.core().catalogue.reach(actor, Operation::Read);
        Ok(Selection::within(reach).themes(themes).kinds(self.kinds.clone()))
    }

    /// The position from which to go on in the feed as it is.
    ///
    /// # Errors
    /// 409 when the cursor is of another epoch.
    pub(crate) fn position(&self, state: &State) -> Result<i64, Problem> {
        Ok(match self.after {
            Some(cursor) => cursor.within(state)?.0,
            None => state.floor,
        })
    }

    /// A page after a position.
    ///
    /// # Errors
    /// 409 and 410 for a position from which nobody can go on, the store's.
    pub(crate) async fn page(&self, api: &Api, selection: &Selection, after: i64) -> Result<Page, Problem> {
        let feed = &api.core().feed;
        let page = if self.latest {
            feed.select_latest(selection, after, self.limit).await
        } else {
            feed.select(selection, after, self.limit).await
        };
        Ok(page?)
    }
}

fn once<'a>(pairs: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, Problem> {
    filter::once(pairs, name).map_err(|_twice| Problem::new(Kind::BAD_REQUEST, format!("`{name}` may come once")))
}

fn list<'a>(pairs: &'a [(String, String)], name: &str) -> Result<Vec<&'a str>, Problem> {
    filter::list(pairs, name).map_err(|_many| too_many(name))
}

fn too_many(name: &str) -> Problem {
    Problem::invalid_parameter(name, &format!("may name {} at most", filter::MOST))
}

fn kinds(named: &[&str]) -> Result<Option<Vec<EventKind>>, Problem> {
    let mut kinds: Vec<EventKind> = Vec::new();
    for pattern in named {
        let more = Selection::kinds_named(pattern).map_err(|_| {
            let known: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
            let known = known.join(", fr.voxea.");
            let detail = format!("must be of fr.voxea.{known}; or a beginning, as fr.voxea.request.*");
            Problem::invalid_parameter("type", &detail)
        })?;
        kinds.extend(more.into_iter().filter(|kind| !kinds.contains(kind)).collect::<Vec<_>>());
    }
    Ok((!named.is_empty()).then_some(kinds))
}

/// The themes that are named, if any are.
///
/// # Errors
/// 422 for a theme that there is not, and for too many.
pub(crate) async fn themes(api: &Api, named: &[&str]) -> Result<Option<ThemeFilter>, Problem> {
    let (catalogue, mut filter) = (&api.core().catalogue, ThemeFilter::default());
    if named.len() > filter::MOST {
        return Err(too_many("theme"));
    }
    for &code in named {
        if code == UNTHEMED {
            filter.unthemed = true;
        } else if catalogue.current().theme(code).is_some() || catalogue.fresh().await?.theme(code).is_some() {
            filter.codes.push(code.to_owned());
        } else {
            // A slip of the pen would else be a list in which nothing ever is.
            let detail = format!("there is no theme {code:?}; /v1/themes lists them, and {UNTHEMED} stands for requests without one");
            return Err(Problem::invalid_parameters(&["theme"], &detail));
        }
    }
    Ok((!named.is_empty()).then_some(filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Asked, u16> {
        let pairs: Vec<(String, String)> = pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Asked::read(&pairs).map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn types_and_themes_come_one_by_one_or_as_a_list() {
        let asked = read(&[
            ("type", "fr.voxea.request.created,fr.voxea.request.*"),
            ("type", "fr.voxea.channel.up"),
        ])
        .unwrap();
        let kinds = asked.kinds.unwrap();
        assert_eq!((kinds.len(), kinds[0]), (7, EventKind::RequestCreated));
        let asked = read(&[("theme", "voirie,_none"), ("theme", "aides"), ("mode", "latest")]).unwrap();
        assert_eq!(asked.themes, ["voirie", "_none", "aides"]);
        assert!(asked.latest && asked.kinds.is_none());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!(read(&[("after", "x")]), Err(400));
        assert_eq!(read(&[("limit", "5"), ("limit", "5")]), Err(400));
        for (name, value) in [
            ("type", "request.created"),
            ("type", ""),
            ("type", "fr.voxea.request.created,"),
            ("mode", "newest"),
        ] {
            assert_eq!(read(&[(name, value)]), Err(422), "{name}={value}");
        }
        assert_eq!(read(&[("theme", &"a,".repeat(filter::MOST))]), Err(422));
    }
}
