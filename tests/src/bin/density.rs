//! How many calls one core records: `density [--out FILE] [--seconds N] [CALLS...]`, by default 100, 200, 500 and 1000 calls,
//! encrypted, both ways. Needs the release build and two cores.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use voxea_tests::density::{self, Figure};
use voxea_tests::scratch;

/// The sizes, with the CPU that each may take (ms a call and second).
const TARGETS: [(usize, f64); 4] = [(100, 0.9), (200, 0.7), (500, 0.55), (1_000, 0.5)];
/// Memory that a call may take.
const MEMORY: u64 = 64 * 1024;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if density::bare(&arguments)? {
        return Ok(());
    }
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(measure(arguments))
}

async fn measure(arguments: Vec<String>) -> Result<()> {
    let (mut out, mut span, mut sizes) = (None, Duration::from_secs(20), Vec::new());
    let mut given = arguments.into_iter();
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--out" => out = Some(given.next().context("--out needs a file")?),
            "--seconds" => span = Duration::from_secs(given.next().context("--seconds needs a number")?.parse()?),
            calls => sizes.push(calls.parse::<usize>().context("a size is a number of calls")?),
        }
    }
    let whole = sizes.is_empty();
    if whole {
        sizes.extend(TARGETS.map(|(calls, _)| calls));
    }
    let binary = scratch::binary()?;
    let mut table = String::from(
        "| calls | CPU a call-second | wanted | bare sockets, same packets | share of that ceiling | memory a call | recordings right | packets back, the call with fewest | sender |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    let mut sound = true;
    for calls in sizes {
        let figure = density::measure(&binary, calls, span).await?;
        let wanted = TARGETS.iter().find(|(size, _)| *size == calls).map(|(_, cpu)| *cpu);
        let met = wanted.is_none_or(|wanted| figure.cpu <= wanted) && figure.memory <= MEMORY;
        sound &= figure.verdict.wrong == 0;
        let row = row(&figure, wanted, met);
        println!("{row}");
        table.push_str(&row);
        table.push('\n');
    }
    println!("\n{table}");
    if let Some(file) = out.filter(|_| whole) {
        std::fs::write(
            file,
            format!("# Calls on one core\n\n`scripts/density` printed:\n\n{table}\n{NOTE}"),
        )?;
    }
    ensure!(sound, "recordings are not what was said");
    Ok(())
}

fn row(figure: &Figure, wanted: Option<f64>, met: bool) -> String {
    let Figure {
        calls,
        cpu,
        bare,
        memory,
        lateness,
        heard,
        verdict,
        thrown_away,
    } = figure;
    format!(
        "| {calls} | {}{cpu:.2} ms | {} | {bare:.2} ms | {:.0} % | {} kB | {} of {}, {} octets wrong, the shortest {:.1} s | {:.1} % | {lateness}; {thrown_away} runs thrown away |",
        if met { "" } else { "OVER: " },
        wanted.map_or_else(|| "-".to_owned(), |wanted| format!("≤ {wanted} ms")),
        bare / cpu * 100.0,
        memory / 1024,
        verdict.right,
        verdict.right + verdict.wrong,
        verdict.octets,
        verdict.shortest_ms as f64 / 1_000.0,
        heard * 100.0,
    )
}

const NOTE: &str = "Every call is two-way G.711: 50 packets a second of noise of its own in, 50 out. Recordings are encrypted. \
The daemon, all of its threads, has one core from its start on; the callers have the other. CPU is the whole process's, user and \
kernel, while all calls are up. A run whose sender was late (more than 5 in 1,000 packets by over 20 ms, or one by 150 ms) is thrown \
away. Recordings are read over the API afterwards and compared octet for octet with what was sent. Bare sockets are a process \
on the same core that sends and takes in the same packets and does nothing else. Memory is the growth of the daemon's resident \
size, divided by the calls.\n";
