//! Mails that are made to kill, and what each costs: `mail-bombs [--out FILE]`. Wants the release build and Dovecot; fails when one of
//! them exceeds what it may.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]

use anyhow::{Context as _, Result, bail, ensure};
use voxea_tests::mail_bombs::{MEMORY, NEXT, TIME, run, table};
use voxea_tests::scratch;

#[tokio::main]
async fn main() -> Result<()> {
    let (mut out, mut given) = (None, std::env::args().skip(1));
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--out" => out = Some(given.next().context("--out needs a file")?),
            other => bail!("no option {other}; there is --out FILE"),
        }
    }
    let all = run(&scratch::binary()?, &[], |_| true).await?;
    let page = format!(
        "# Mails that are made to kill\n\n`scripts/mail-bombs` printed, for the release build on SQLite:\n\n{}\n\
         Each is APPENDed to a mailbox of a real Dovecot, one after the other, into one daemon with one life; the last one comes from a \
         made-up server, which declares 500,000,000 bytes and sends the mail's. The time runs from the server's OK until the request is \
         shown by the API, the bomb's way over the network and IDLE's wait included; the next mail is an ordinary one, sent as soon as the \
         bomb's request is there. Memory is the most that the daemon had resident (VmHWM), set back before each bomb. The literal is \
         refused at once each time; its time is that of the pauses between the tries (`fetch_retry_seconds = 1` here), after which its \
         headers are asked for.\n\nEach must be a flagged request within {} s and {} MB, and the next mail must be in within {} s.\n",
        table(&all),
        TIME.as_secs(),
        MEMORY >> 20,
        NEXT.as_secs(),
    );
    println!("{page}");
    if let Some(out) = out {
        std::fs::write(out, &page)?;
    }
    let exceeded: Vec<String> = all.iter().filter_map(|figures| figures.exceeded(false)).collect();
    ensure!(exceeded.is_empty(), "{}", exceeded.join("; "));
    Ok(())
}
