//! Memory and descriptors over many texts and links: `soak [--texts N] [--reconnects N] [--out FILE]`, on SQLite.

#![expect(clippy::print_stdout, reason = "the account of what happens is what this program is for")]

use anyhow::{Context as _, Result, ensure};
use voxea_tests::{scratch, soak};

#[tokio::main]
async fn main() -> Result<()> {
    let (mut texts, mut reconnects, mut out) = (1_000_000, 1_000, None);
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut value = || given.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--texts" => texts = value()?.parse()?,
            "--reconnects" => reconnects = value()?.parse()?,
            "--out" => out = Some(value()?),
            other => anyhow::bail!("no option {other}; there are --texts N, --reconnects N and --out FILE"),
        }
    }
    let outcome = soak::run(&scratch::binary()?, "sqlite:voxea.db", texts, reconnects).await?;
    println!("{outcome}");
    for (at, sample) in outcome.samples.iter().enumerate().step_by((outcome.samples.len() / 20).max(1)) {
        println!(
            "link {at}: {:.1} MB, {} descriptors",
            sample.memory as f64 / 1_048_576.0,
            sample.descriptors
        );
    }
    ensure!(outcome.is_flat(), "it grows");
    if let Some(file) = out {
        std::fs::write(file, format!("# Memory and descriptors\n\n`scripts/soak` printed: {outcome}.\n"))?;
    }
    Ok(())
}
