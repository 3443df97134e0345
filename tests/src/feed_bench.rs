//! Lists and the feed at the size of a large town's years: filled by SQL, asked over HTTP by as many programs as a town has.

pub mod ask;
pub mod ceiling;
pub mod seed;
pub mod table;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::postgres::Postgres;
use crate::scratch::Scratch;
use crate::slowloris;
use ask::Times;
use seed::Place;

/// Listeners that one commit wakes.
pub const LISTENERS: usize = 1_000;
/// Slow connections beside which others ask.
pub const SLOW: usize = 1_000;

/// What was measured at one size on one database.
#[derive(Debug, Clone)]
pub struct Figures {
    /// `SQLite` or `PostgreSQL`.
    pub database: &'static str,
    /// Requests; five times as many events.
    pub requests: u64,
    /// A page of 100 requests anywhere in the list, 8 clients.
    pub list: Times,
    /// The same of one status.
    pub filtered: Times,
    /// A page of 100 events anywhere in the feed, 8 clients.
    pub page: Times,
    /// A page of the events of a theme that one request in a hundred has.
    pub theme: Times,
    /// Events a second, pages of 500, one reader and eight.
    pub rates: [f64; 2],
    /// Rows a second that the bare database gives one reader, in runs of 500.
    pub ceiling: f64,
}

/// What does not depend on the size.
#[derive(Debug, Clone)]
pub struct Live {
    /// From the answer to a contact until a long poll has it.
    pub poll: Times,
    /// From the answer to a contact until each of [`LISTENERS`] streams has it.
    pub streams: Times,
    /// Calls of others beside [`SLOW`] slow connections.
    pub slow: Times,
}

/// Fills a database, starts the daemon on it and measures; with `live`, what waits too.
///
/// # Errors
/// When something does not answer as it should.
pub async fn measure(binary: &Path, place: &Place, requests: u64, spell: Duration, live: bool) -> Result<(Figures, Option<Live>)> {
    let scratch = Scratch::new(binary, &place.store(requests)?, "").await?;
    place.fill(&scratch, requests).await?;
    let running = scratch.run().await?;
    let found = ask::Cursors::collect(&running).await?;
    let list = ask::pages(&running, "/v1/requests?limit=100", &found.list, spell).await?;
    let filtered = ask::pages(&running, "/v1/requests?limit=100&status=received", &found.list, spell).await?;
    let page = ask::pages(&running, "/v1/changes?limit=100", &found.feed, spell).await?;
    let theme = ask::pages(
        &running,
        &format!("/v1/changes?limit=100&theme={}", seed::THEME),
        &found.feed,
        spell,
    )
    .await?;
    let rates = [
        ask::rate(&running, &found.feed, 1, spell).await?,
        ask::rate(&running, &found.feed, 8, spell).await?,
    ];
    let live = if live {
        Some(Live {
            poll: ask::polls(&running, 100).await?,
            streams: ask::streams(&running, LISTENERS, 20).await?,
            slow: slowloris::story(&running, SLOW).await?,
        })
    } else {
        None
    };
    running.stop().await?;
    let ceiling = place.ceiling(&scratch, requests).await?;
    let database = place.name();
    let figures = Figures {
        database,
        requests,
        list,
        filtered,
        page,
        theme,
        rates,
        ceiling,
    };
    Ok((figures, live))
}

/// Both databases, the second in a cluster of its own.
///
/// # Errors
/// When there is no PostgreSQL.
pub fn places() -> Result<[Place; 2]> {
    Ok([Place::Sqlite, Place::Postgres(Postgres::start()?)])
}
