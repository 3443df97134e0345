//! SIP under load: `sip-load [--full] [--rate CALLS] [--out FILE] [PART...]`, where a part is loss, unconfirmed, junk, lost-byes or
//! signalling. Small sizes unless `--full`. Needs Kamailio; for `--full`, the release build.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use voxea_tests::load::scenes::{self, Row};
use voxea_tests::scratch;

const PARTS: [&str; 5] = ["loss", "unconfirmed", "junk", "lost-byes", "signalling"];

#[tokio::main]
async fn main() -> Result<()> {
    let (mut full, mut out, mut parts, mut rate) = (false, None, Vec::new(), None::<f64>);
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--full" => full = true,
            "--rate" => rate = Some(given.next().context("--rate needs calls a second")?.parse()?),
            "--out" => out = Some(given.next().context("--out needs a file")?),
            part => {
                ensure!(PARTS.contains(&part), "no part {part}; there are {}", PARTS.join(", "));
                parts.push(part.to_owned());
            }
        }
    }
    let binary = scratch::binary()?;
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|named| named == part);
    let sized = |small: usize, large: usize| if full { large } else { small };
    let mut rows: Vec<Row> = Vec::new();
    let mut show = |row: Row| {
        println!(
            "{}{}: {}; {}",
            if row.sound { "" } else { "RED " },
            row.what,
            row.measured,
            row.beside
        );
        rows.push(row);
    };
    if wanted("loss") {
        for permille in [30, 100] {
            show(scenes::loss(&binary, sized(200, 2_000), permille).await?);
        }
    }
    if wanted("unconfirmed") {
        show(scenes::unconfirmed(&binary, sized(1_000, 10_000)).await?);
    }
    if wanted("junk") {
        let (rate, seconds) = if full { (5_000.0, 60) } else { (1_000.0, 5) };
        show(scenes::junk(&binary, rate, Duration::from_secs(seconds)).await?);
    }
    if wanted("lost-byes") {
        show(scenes::lost_byes(&binary, sized(200, 10_000), if full { 40.0 } else { 20.0 }).await?);
    }
    if wanted("signalling") {
        // A minute of them; a quarter of one where somebody looks for the rate that holds.
        let seconds = if rate.is_some() { 15.0 } else { 60.0 };
        let rate = rate.unwrap_or(if full { 1_000.0 } else { 50.0 });
        let calls = if full { (rate * seconds) as usize } else { 500 };
        show(scenes::signalling(&binary, calls, rate, full).await?);
    }
    let mut table = String::from("| what | measured | beside |\n|---|---|---|\n");
    for Row {
        what,
        measured,
        beside,
        sound,
    } in &rows
    {
        table.push_str(&format!(
            "| {what} | {}{measured} | {beside} |\n",
            if *sound { "" } else { "RED: " }
        ));
    }
    println!("\n{table}");
    if let Some(file) = out.filter(|_| parts.is_empty()) {
        let command = if full { "scripts/sip-load --full" } else { "scripts/sip-load" };
        std::fs::write(
            file,
            format!("# SIP under load\n\n`{command}` printed, on two shared cores:\n\n{table}\n{NOTE}"),
        )?;
    }
    ensure!(rows.iter().all(|row| row.sound), "not everything is as it must be");
    Ok(())
}

const NOTE: &str = "The callers are bytes on one socket, with the timers of RFC 3261 §17. Datagrams are lost by a seeded chance, each way. \
For signalling the daemon, Kamailio (stateful, one worker) and the thread that copies bytes have one core, the callers the other.\n";
