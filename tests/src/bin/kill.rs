//! The whole count of kills, in pieces that survive being cut: `kill --full [--out docs/kill-9.md]`; `--texts N` is another
//! count for texts in both directions, and these alone.

#![expect(clippy::print_stdout, reason = "the account of what happens is what this program is for")]

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use voxea_tests::kill::{calls, messages, texts};
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch;

/// Kills in one piece.
const PIECE: u64 = 20;
/// Kills under texts and mails, during calls, and under texts in both directions, a database.
const FULL: [u64; 3] = [200, 100, 1000];

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let full = arguments.iter().any(|argument| argument == "--full");
    let after = |name: &str| {
        arguments
            .iter()
            .position(|argument| argument == name)
            .map(|at| arguments.get(at + 1))
    };
    let alone = match after("--texts") {
        Some(count) => Some(count.context("--texts needs a number")?.parse()?),
        None => None,
    };
    let [under_load, during_calls, both_ways] = match alone {
        Some(count) => [0, 0, count],
        None if full => FULL,
        None => [PIECE, PIECE / 4, PIECE],
    };
    let out = after("--out").flatten().filter(|_| alone.is_none());
    let state = PathBuf::from(match (alone, full) {
        (Some(_), _) => "target/kill-texts.state",
        (None, true) => "target/kill-full.state",
        (None, false) => "target/kill.state",
    });
    let binary = scratch::binary()?;
    let cluster = Postgres::start()?;
    for database in ["SQLite", "PostgreSQL"] {
        for (kind, count, piece) in [
            ("messages", under_load, PIECE),
            ("calls", during_calls, PIECE / 2),
            ("texts", both_ways, PIECE),
        ] {
            let mut done = 0;
            while done < count {
                let kills = piece.min(count - done);
                let name = format!("{database} {kind} {done}");
                done += kills;
                if std::fs::read_to_string(&state)
                    .unwrap_or_default()
                    .lines()
                    .any(|line| line.starts_with(&format!("{name} ")))
                {
                    continue;
                }
                let store = match database {
                    "SQLite" => "sqlite:voxea.db".to_owned(),
                    _ => cluster.database(&format!("{kind}{done}"))?,
                };
                let figures = match kind {
                    "messages" => {
                        let outcome = messages::run(&binary, &store, kills, &[], messages::PATIENCE).await?;
                        let [texts, mails, answers] = [outcome.texts, outcome.mails, outcome.answered];
                        let counts =
                            [&texts, &mails, &answers].map(|tally| format!("{} {} {}", tally.acknowledged, tally.lost, tally.doubled));
                        format!("{kills} {} {}", counts.join(" "), outcome.events)
                    }
                    "texts" => {
                        let outcome = texts::run(&binary, &store, kills, &[]).await?;
                        let counts = [&outcome.texts, &outcome.replies]
                            .map(|tally| format!("{} {} {}", tally.acknowledged, tally.lost, tally.doubled));
                        format!("{kills} {} {} {}", counts.join(" "), outcome.unknown_doubled, outcome.unknown)
                    }
                    _ => {
                        let outcome = calls::run(&binary, &store, kills, database == "SQLite").await?;
                        let tally = outcome.calls;
                        format!(
                            "{kills} {} {} {} {} {} {} {} {} 0 {}",
                            tally.acknowledged,
                            tally.lost,
                            tally.doubled,
                            outcome.recordings,
                            outcome.short,
                            outcome.verified,
                            outcome.unsound,
                            outcome.strange,
                            outcome.worst_ms
                        )
                    }
                };
                println!("{name}: {figures}");
                let mut file = std::fs::File::options().create(true).append(true).open(&state)?;
                writeln!(file, "{name} {figures}")?;
            }
        }
    }
    let table = table(&std::fs::read_to_string(&state)?)?;
    println!("\n{table}");
    if let Some(out) = out {
        let command = if full { "scripts/kill --full" } else { "scripts/kill" };
        std::fs::write(
            out,
            format!("# kill -9, with the peers' ledgers as oracle\n\n`{command}` printed:\n\n{table}\n{NOTE}"),
        )?;
    }
    std::fs::remove_file(&state)?;
    ensure!(!table.contains("RED"), "a promise was broken");
    Ok(())
}

const NOTE: &str = "The daemon was killed with SIGKILL at random moments under load; before every second kill the SMSC lost what it was \
answered. Texts are judged by the SMSC's ledger, mails by what stands in Dovecot's mailbox, answers by the Message-IDs that reached the \
SMTP sink, replies by what \
the SMSC was handed (lost is what it has not and is not shown as unknown), calls (50 at each kill) by the callers who heard a 200, and recordings by each caller's own voice and by `voxea recording verify --all`; on SQLite they are encrypted. A reader pulled `/v1/changes` across all deaths and ended with exactly the committed \
events. The same gate with the mutant that acknowledges before it commits is red: a test in `tests/tests/kill.rs` holds it to that.\n";

/// Adds the pieces up.
fn table(state: &str) -> Result<String> {
    let mut rows = String::from("| database | what | kills | acknowledged | lost | doubled | |\n|---|---|---|---|---|---|---|\n");
    for database in ["SQLite", "PostgreSQL"] {
        for kind in ["messages", "calls", "texts"] {
            let mut sums = [0_u64; 10];
            let mut last: u64 = 0;
            for line in state.lines().filter(|line| line.starts_with(&format!("{database} {kind} "))) {
                let figures: Vec<u64> = line
                    .split(' ')
                    .skip(3)
                    .map(str::parse)
                    .collect::<Result<_, _>>()
                    .context("the state file is damaged")?;
                for (sum, figure) in sums.iter_mut().zip(&figures) {
                    *sum += figure;
                }
                let end = figures.last().copied().unwrap_or(0);
                last = if kind == "calls" { last.max(end) } else { last + end };
            }
            if sums[0] == 0 {
                continue;
            }
            let mut row = |what: &str, at: usize, note: String| {
                let [acknowledged, lost, doubled] = [sums[at], sums[at + 1], sums[at + 2]];
                let verdict = if lost + doubled == 0 { "" } else { " RED" };
                rows.push_str(&format!(
                    "| {database} | {what} | {} | {acknowledged} | {lost} | {doubled} | {note}{verdict} |\n",
                    sums[0]
                ));
            };
            if kind == "messages" {
                row("texts", 1, format!("{last} events read, none missed"));
                row("mails", 4, String::new());
                row("acknowledgement mails", 7, String::new());
            } else if kind == "texts" {
                row("texts in, while replies go out", 1, String::new());
                let red = if sums[7] == 0 { "" } else { " RED" };
                row(
                    "replies by text",
                    4,
                    format!("{last} shown as unknown, {} of these sent twice{red}", sums[7]),
                );
            } else {
                let red = if sums[5] + sums[7] + sums[8] == 0 { "" } else { " RED" };
                row(
                    "calls",
                    1,
                    format!(
                        "{} recordings, {} lack more than 1 s, at most {last} ms; {} verified, {} not sound, {} with another's voice{red}",
                        sums[4], sums[5], sums[6], sums[7], sums[8]
                    ),
                );
            }
        }
    }
    Ok(rows)
}
