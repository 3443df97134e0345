//! The made-up mailbox whole, through a failing network, and under kill -9, in pieces that survive being cut:
//! `mails [--full] [--only whole|network|deaths] [--pieces N] [--network FILE --deaths FILE]`. Goes on where it was; with
//! `--pieces` it ends after so many, for a machine that has something else to do as well.

#![expect(clippy::print_stdout, reason = "the account of what happens is what this program is for")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use voxea_tests::mails::judge::Verdict;
use voxea_tests::mails::{cuts, deaths, whole};
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch;

/// How much of each kind there is, a database.
struct Counts {
    /// Mails of the whole mailbox.
    whole: usize,
    /// Pieces through the failing network.
    cuts: u64,
    /// Pieces under kill -9, and kills in each.
    deaths: (u64, u64),
}

const SMALL: Counts = Counts {
    whole: 500,
    cuts: 1,
    deaths: (1, 22),
};
const FULL: Counts = Counts {
    whole: 5_000,
    cuts: 10,
    deaths: (10, 50),
};
/// One piece through the failing network: 100 faults.
const PIECE: cuts::Plan = cuts::Plan {
    mailboxes: 5,
    lives: 5,
    faults: 4,
    mails: 500,
};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let full = arguments.iter().any(|argument| argument == "--full");
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let only = after("--only");
    let mut pieces_left: u64 = after("--pieces").map_or(Ok(u64::MAX), |count| count.parse())?;
    let counts = if full { FULL } else { SMALL };
    let state = PathBuf::from(if full { "target/mails-full.state" } else { "target/mails.state" });
    let (binary, cluster) = (scratch::binary()?, Postgres::start()?);
    for database in ["SQLite", "PostgreSQL"] {
        let pieces = [("whole", 1), ("network", counts.cuts), ("deaths", counts.deaths.0)];
        for (kind, piece) in pieces
            .into_iter()
            .flat_map(|(kind, count)| (0..count).map(move |piece| (kind, piece)))
        {
            let name = format!("{database} {kind} {piece}");
            let done = std::fs::read_to_string(&state).unwrap_or_default();
            if done.lines().any(|line| line.starts_with(&format!("{name} "))) || only.as_ref().is_some_and(|only| only != kind) {
                continue;
            }
            let Some(left) = pieces_left.checked_sub(1) else { return Ok(()) };
            pieces_left = left;
            let store = match database {
                "SQLite" => "sqlite:voxea.db".to_owned(),
                _ => cluster.database(&format!("{kind}{piece}"))?,
            };
            let figures = one(&binary, &store, kind, piece, &counts).await?;
            println!("{name}: {figures}");
            let mut file = std::fs::File::options().create(true).append(true).open(&state)?;
            writeln!(file, "{name} {figures}")?;
        }
    }
    let sums = sums(&std::fs::read_to_string(&state)?)?;
    let command = if full { "scripts/mails --full" } else { "scripts/mails" };
    let mut pages = Vec::new();
    for (title, kinds, note, out) in [
        (
            "Mails through a network that fails",
            ["whole", "network"].as_slice(),
            NETWORK,
            after("--network"),
        ),
        ("kill -9 under mails", ["deaths"].as_slice(), DEATHS, after("--deaths")),
    ] {
        let page = format!("# {title}\n\n`{command}` printed:\n\n{}\n{note}", table(&sums, kinds));
        println!("\n{page}");
        if let Some(out) = out {
            std::fs::write(out, &page)?;
        }
        pages.push(page);
    }
    std::fs::remove_file(&state)?;
    ensure!(pages.iter().all(|page| !page.contains("RED")), "a promise was broken");
    Ok(())
}

/// One piece: its figures, a number each, first the verdict's and then the kind's own.
async fn one(binary: &Path, store: &str, kind: &str, piece: u64, counts: &Counts) -> Result<String> {
    let seed = 1_000 + piece;
    let (verdict, own) = match kind {
        "whole" => (whole::run(binary, store, 1, counts.whole, &[]).await?, [0; 5]),
        "network" => {
            let outcome = cuts::run(binary, store, seed, PIECE, &[]).await?;
            let faults = outcome.faults;
            let own = [faults.cuts, faults.stalls, faults.giants, outcome.memory / 1_000_000, 0];
            (outcome.verdict, own)
        }
        _ => {
            let outcome = deaths::run(binary, store, seed, counts.deaths.1, &[]).await?;
            let own = [
                outcome.kills,
                outcome.at_points,
                outcome.within_a_life as u64,
                outcome.too_many as u64,
                0,
            ];
            (outcome.verdict, own)
        }
    };
    for (kind, (count, examples)) in &verdict.differences {
        println!(
            "{kind:?}: {count} are shown otherwise than expected, such as {:?}",
            examples.first()
        );
    }
    verdict.tangled.iter().for_each(|words| println!("tangled: {words}"));
    let all = figures(&verdict).into_iter().chain(own);
    Ok(all.map(|figure| figure.to_string()).collect::<Vec<_>>().join(" "))
}

/// What stands in a line of the state file, before the kind's own five.
fn figures(verdict: &Verdict) -> [u64; 13] {
    let shown_otherwise = verdict.differences.values().map(|(count, _)| count).sum();
    [
        verdict.on_server,
        verdict.interactions.acknowledged,
        verdict.interactions.lost,
        verdict.interactions.doubled,
        verdict.strange,
        verdict.reduced,
        verdict.tangled.len(),
        verdict.unseen,
        verdict.acknowledged.acknowledged,
        verdict.acknowledged.lost,
        verdict.acknowledged.doubled + verdict.uninvited,
        verdict.repeats,
        shown_otherwise,
    ]
    .map(|figure: usize| figure as u64)
}

type Sums = BTreeMap<(String, String), [u64; 18]>;

fn sums(state: &str) -> Result<Sums> {
    let mut sums = Sums::new();
    for line in state.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [database, kind, _, figures @ ..] = words.as_slice() else {
            continue;
        };
        let sum = sums.entry(((*database).to_owned(), (*kind).to_owned())).or_insert([0; 18]);
        for (at, (sum, figure)) in sum.iter_mut().zip(figures).enumerate() {
            let figure: u64 = figure.parse().context("the state file is damaged")?;
            // Memory is a most, and no sum.
            *sum = if at == 16 { (*sum).max(figure) } else { *sum + figure };
        }
    }
    Ok(sums)
}

fn table(sums: &Sums, kinds: &[&str]) -> String {
    let mut table = String::from(
        "| database | what | mails on the server | must be interactions | lost | doubled | torn or joined wrongly | not `\\Seen` | must be \
         acknowledged | not | twice, or uninvited | sent again under the same Message-ID | |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for database in ["SQLite", "PostgreSQL"] {
        for kind in kinds {
            let Some(sum) = sums.get(&(database.to_owned(), (*kind).to_owned())) else {
                continue;
            };
            let [
                server,
                due,
                lost,
                doubled,
                strange,
                reduced,
                tangled,
                unseen,
                owed,
                missing,
                wrong,
                again,
                otherwise,
                own @ ..,
            ] = sum;
            let (what, note, broken) = match *kind {
                "whole" => ("one life".to_owned(), String::new(), *again),
                "network" => (
                    format!("{} cuts, {} stalls, {} literals of 500 MB", own[0], own[1], own[2]),
                    format!("at most {} MB of memory", own[3]),
                    *again,
                ),
                _ => (
                    format!("{} kills, {} of them between two chosen steps", own[0], own[1]),
                    format!("{} repeats without a kill between them", own[2] + own[3]),
                    own[2] + own[3],
                ),
            };
            let red = lost + doubled + strange + reduced + tangled + unseen + missing + wrong + broken;
            let words = [
                note,
                if strange + reduced > 0 {
                    format!("{strange} of no known mail, {reduced} by their header alone")
                } else {
                    String::new()
                },
                if *otherwise > 0 {
                    format!("{otherwise} shown otherwise than expected")
                } else {
                    String::new()
                },
                if red > 0 { "RED".to_owned() } else { String::new() },
            ];
            let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
            table += &format!(
                "| {database} | {what} | {server} | {due} | {lost} | {doubled} | {tangled} | {unseen} | {owed} | {missing} | {wrong} | {again} | {} |\n",
                words.join("; ")
            );
        }
    }
    table
}

const NETWORK: &str = "The mails are made up (`tests/src/corpus`: French, charsets, files, threads, bounces, lists, bombs; the same mail twice \
is one interaction, a bounce none), lie in a real Dovecot, and are known again by the hash of their bytes. Between the daemon and Dovecot \
stands a proxy that ends each connection at a place of its own: after some bytes in either direction, with a reset, after a silence, or by \
declaring a literal of 500,000,000 bytes and sending no more. Acknowledgements are counted by recipient and Message-ID at an SMTP sink.\n";

const DEATHS: &str = "The daemon was killed with SIGKILL every second time at a random moment, and every other time died at one of eleven \
places: between any two steps of a mail's way in (fetched, attempt counted, files written, committed, marked, place saved) and of an \
acknowledgement's way out (leased, sent, settled). A mail may be sent again under the same Message-ID only where a kill fell between the \
server's 250 and the settling: repeats within one life, or more after a kill than mails can be in flight, would be red.\n";
