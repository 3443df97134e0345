//! Texts through Voxea and through Kannel in one run: `sms-bench [--texts N] [--out FILE] [--apart]`. Needs the release build,
//! Kannel, PostgreSQL and python3.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use anyhow::{Context as _, Result, ensure};
use voxea_tests::ceiling;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch;
use voxea_tests::sms_bench::table::{All, In, page};
use voxea_tests::sms_bench::{kannel_in, kannel_out, texts_in, texts_in_apart, texts_out};

/// Texts that Voxea takes in with each window; Kannel has a fifth of them, and so many go out.
const TEXTS: usize = 50_000;

#[tokio::main]
async fn main() -> Result<()> {
    let (mut texts, mut out, mut only_apart) = (TEXTS, None, false);
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--texts" => texts = given.next().context("--texts needs a number")?.parse()?,
            "--out" => out = Some(given.next().context("--out needs a file")?),
            "--apart" => only_apart = true,
            other => anyhow::bail!("no option {other}; there are --texts N, --out FILE and --apart"),
        }
    }
    ensure!(texts >= 100, "at least 100 texts");
    let (binary, fewer) = (scratch::binary()?, texts / 5);
    if only_apart {
        // The daemon and the simulator on a core each: what a change is tried against.
        for _ in 0..3 {
            let (apart, ceiling) = (texts_in_apart(&binary, 64, texts)?, ceiling::sqlite(64)?);
            println!(
                "{:.0}/s, {:.0} µs of CPU a text, bare inserts {ceiling:.0}/s",
                apart.rate, apart.cpu
            );
        }
        return Ok(());
    }
    let cluster = Postgres::start()?;
    let mut rows = Vec::new();
    for window in [10, 64, 1000] {
        let url = cluster.database(&format!("in{window}"))?;
        let sqlite = texts_in(&binary, "sqlite:voxea.db", window, texts).await?;
        let kannel = kannel_in(window, fewer).await?;
        let postgres = texts_in(&binary, &url, window, texts).await?;
        println!(
            "window {window}: {:.0}/s and {:.0}/s, Kannel {:.0}/s",
            sqlite.rate, postgres.rate, kannel.rate
        );
        rows.push(In {
            window,
            sqlite: (sqlite, ceiling::sqlite(window)?),
            postgres: (postgres, cluster.inserts(window)?),
            kannel,
        });
    }
    let urls = [cluster.database("through")?, cluster.database("queued")?];
    let all = All {
        texts_in: rows,
        apart: (texts_in_apart(&binary, 64, texts)?, ceiling::sqlite(64)?),
        texts_out: [
            texts_out(&binary, ["sqlite:voxea.db"; 2], fewer).await?,
            texts_out(&binary, [&urls[0], &urls[1]], fewer).await?,
            kannel_out(fewer).await?,
        ],
    };
    let page = page(&all);
    println!("\n{page}");
    if let Some(file) = out {
        let head = "# Texts, beside Kannel\n\n`scripts/sms-bench` printed, on two shared cores";
        std::fs::write(
            file,
            format!("{head}, {texts} texts a window ({fewer} for Kannel and on the way out):\n\n{page}"),
        )?;
    }
    Ok(())
}
