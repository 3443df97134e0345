//! Prints whether the time of a refused login tells that there is such an agent: `timing [N]`, 2000 tries of each kind
//! when nobody says. Run it on the release build of the daemon, on a quiet machine.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use voxea_tests::scratch::{self, Scratch};
use voxea_tests::timing::measure;

#[tokio::main]
async fn main() -> Result<()> {
    let n = match std::env::args().nth(1) {
        Some(text) => text.parse().context("N must be a number")?,
        None => 2000,
    };
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let measured = measure(&running, n).await?;
    running.stop().await?;
    writeln!(std::io::stdout(), "{}", measured.report())?;
    ensure!(measured.answers.len() == 1, "the answers differ: {:?}", measured.answers);
    Ok(())
}
