//! Readers of the feed by every way, while everything dies: `feed-kill [--kills N] [--out FILE]`, N a database, in pieces that
//! survive being cut. Needs PostgreSQL.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context as _, Result, bail, ensure};
use voxea_tests::feed_kill::{Outcome, PATIENCE, Place, READERS, run};
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch;

/// Deaths of one town.
const PIECE: usize = 25;
const SMALL: usize = 25;

#[tokio::main]
async fn main() -> Result<()> {
    let (mut kills, mut out) = (SMALL, None);
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut value = || given.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--kills" => kills = value()?.parse()?,
            "--out" => out = Some(value()?),
            other => bail!("no option {other}; there are --kills N and --out FILE"),
        }
    }
    let state = format!("target/feed-kill-{kills}.state");
    let (binary, cluster) = (scratch::binary()?, Postgres::start()?);
    // By turns, so that a run that is cut has seen both.
    for piece in 0..kills.div_ceil(PIECE) {
        for database in ["SQLite", "PostgreSQL"] {
            let name = format!("{database} {piece}");
            let known = std::fs::read_to_string(&state).unwrap_or_default();
            if known.lines().any(|line| line.starts_with(&format!("{name} "))) {
                continue;
            }
            let place = match database {
                "SQLite" => Place::Sqlite,
                _ => Place::Postgres(&cluster, format!("feed{piece}")),
            };
            let outcome = run(&binary, &place, PIECE.min(kills - piece * PIECE), piece as u64 + 1, &[], PATIENCE).await?;
            let numbers = outcome.numbers().map(|number| number.to_string()).join(" ");
            println!("{name} {numbers}");
            writeln!(std::fs::File::options().create(true).append(true).open(&state)?, "{name} {numbers}")?;
        }
    }
    let (page, sound) = page(&std::fs::read_to_string(&state)?)?;
    println!("\n{page}");
    if let Some(file) = out {
        let head = format!("# Readers of the feed, while everything dies\n\n`scripts/feed-kill {kills}` printed:\n\n");
        std::fs::write(file, format!("{head}{page}"))?;
    }
    std::fs::remove_file(&state)?;
    ensure!(sound, "a promise was broken");
    Ok(())
}

/// Adds the pieces up; whether every promise was kept.
fn page(state: &str) -> Result<(String, bool)> {
    let (mut page, mut sound) = (
        String::from(
            "| database | deaths of the daemon | of the database | of readers | events | missing | too many | out of order | came again | contacts \
             acknowledged | without their one `request.created` |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
        ),
        true,
    );
    for database in ["SQLite", "PostgreSQL"] {
        let mut sum = Outcome::default();
        for line in state.lines().filter(|line| line.starts_with(&format!("{database} "))) {
            let numbers = line.split(' ').skip(2).map(str::parse).collect::<Result<Vec<usize>, _>>()?;
            let numbers: [usize; 13] = numbers.try_into().ok().context("the state file is damaged")?;
            sum = sum.and(&Outcome::of(numbers));
        }
        sound &= sum.is_sound();
        let _ = writeln!(
            page,
            "| {database} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {}{} |",
            sum.daemon,
            sum.database,
            sum.readers,
            sum.events,
            sum.missing.sum(),
            sum.surplus,
            sum.disordered,
            sum.repeated,
            sum.contacts,
            sum.contacts_wrong,
            if sum.is_sound() { "" } else { " RED" }
        );
    }
    let _ = writeln!(
        page,
        "\n{READERS} readers of each kind: by cursor with long polls, by server-sent events, by named consumer, and {READERS} webhooks; four writers. \
         Every reader is held against the committed events, which are read from the database itself. Effects are counted by id, as \
         [the feed's promise](feed.md) says; webhooks promise no order. In SQLite the database dies with the daemon. \
         A feed that has holes on purpose is red by the same gate: a test in `tests/tests/feed_kill.rs` holds it to that."
    );
    Ok((page, sound))
}
