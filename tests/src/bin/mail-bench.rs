//! Mails into Voxea, and by three fetchers into a Maildir, in one run: `mail-bench [--mails N] [--out FILE]`. Needs the release
//! build, Dovecot, PostgreSQL, fetchmail, getmail6 and isync. `mail-bench --deliver FOLDER` is fetchmail's delivery agent.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use voxea_tests::mail_bench::fetchers::{Fetcher, deliver};
use voxea_tests::mail_bench::table::{All, page};
use voxea_tests::mail_bench::{Stand, ceiling};
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch;

/// As many as the field notes were measured with.
const MAILS: usize = 5_000;

fn main() -> Result<()> {
    let (mut mails, mut out) = (MAILS, None);
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut value = || given.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--deliver" => return deliver(&PathBuf::from(value()?)),
            "--mails" => mails = value()?.parse()?,
            "--out" => out = Some(value()?),
            other => bail!("no option {other}; there are --mails N and --out FILE"),
        }
    }
    tokio::runtime::Runtime::new()?.block_on(measure(mails, out))
}

async fn measure(mails: usize, out: Option<String>) -> Result<()> {
    let (binary, cluster) = (scratch::binary()?, Postgres::start()?);
    let mut stand = Stand::fill(1, mails).await?;
    // The first look at a mailbox makes the server's index; it is in nobody's figures.
    ceiling::server(stand.dovecot.port, mails)?;
    let server = ceiling::server(stand.dovecot.port, mails)?;
    let bytes = ceiling::bytes(stand.totals.bytes, mails)?;
    println!("the server's own pace {server:.0}/s, the raw ceiling {bytes:.0}/s");
    let voxea = [
        stand.voxea(&binary, "sqlite:voxea.db", false).await?,
        stand.voxea(&binary, "sqlite:voxea.db", true).await?,
        stand.voxea(&binary, &cluster.database("mails")?, false).await?,
    ];
    println!("Voxea: {voxea:?}");
    let mut fetchers = Vec::new();
    for fetcher in [Fetcher::Mbsync, Fetcher::Fetchmail, Fetcher::Getmail] {
        let figures = fetcher.run(&mut stand).await?;
        println!("{}: {figures:?}", fetcher.name());
        fetchers.push((fetcher, figures));
    }
    let all = All {
        mails: (mails, stand.totals.bytes),
        fetchers,
        voxea,
        bytes,
        server,
    };
    let page = page(&all);
    println!("\n{page}");
    if let Some(file) = out {
        let head = "# Mails, beside fetchmail, getmail6 and mbsync\n\n`scripts/mail-bench` printed, on two shared cores:\n\n";
        std::fs::write(file, format!("{head}{page}"))?;
    }
    Ok(())
}
