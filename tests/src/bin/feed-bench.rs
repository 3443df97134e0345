//! Lists and the feed at three sizes on both databases: `feed-bench [--sizes N,N,...] [--seconds S] [--out FILE]`. Needs the
//! release build, PostgreSQL and python3.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use voxea_tests::feed_bench::table::page;
use voxea_tests::feed_bench::{measure, places};
use voxea_tests::scratch;

const SIZES: &str = "10000,100000,1000000";
const SECONDS: u64 = 5;

#[tokio::main]
async fn main() -> Result<()> {
    let (mut sizes, mut seconds, mut out) = (SIZES.to_owned(), SECONDS, None);
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut value = || given.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--sizes" => sizes = value()?,
            "--seconds" => seconds = value()?.parse()?,
            "--out" => out = Some(value()?),
            other => bail!("no option {other}; there are --sizes N,N, --seconds S and --out FILE"),
        }
    }
    let sizes = sizes.split(',').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let largest = sizes.iter().max().copied().context("no size")?;
    let (binary, spell) = (scratch::binary()?, Duration::from_secs(seconds));
    let (mut figures, mut live) = (Vec::new(), Vec::new());
    for place in places()? {
        for requests in &sizes {
            let (found, waited) = measure(&binary, &place, *requests, spell, *requests == largest).await?;
            println!("{found:?} {waited:?}");
            figures.push(found);
            live.extend(waited.map(|waited| (place.name(), waited)));
        }
    }
    let page = page(&figures, &live);
    println!("\n{page}");
    if let Some(file) = out {
        let head = "# Lists and the feed\n\n`scripts/feed-bench` printed, on two shared cores:\n\n";
        std::fs::write(file, format!("{head}{page}"))?;
    }
    Ok(())
}
