//! Following mailboxes, with Dovecot as the town's server: folders, outcomes, what is counted beforehand, and silence.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use voxea_tests::dovecot::{Dovecot, Imap, PASSWORD};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Scratch};

const PATIENCE: Duration = Duration::from_secs(60);

fn channel(dovecot: &Dovecot, keys: &str) -> String {
    format!(
        "[[mailbox]]\nname = \"mairie\"\naddress = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"mairie\"\npassword = \"{PASSWORD}\"\n{keys}\n",
        dovecot.port
    )
}

fn mail(from: &str, more: &str) -> Vec<u8> {
    format!("From: {from}\r\nTo: mairie@example.fr\r\nSubject: Trou\r\nMessage-ID: <{from}>\r\n{more}\r\nUn trou.\r\n").into_bytes()
}

/// The mailbox as `/v1/channels` shows it.
fn mailbox(channels: &Value) -> Option<&Value> {
    channels["items"].as_array()?.iter().find(|channel| channel["kind"] == "mailbox")
}

async fn holds(client: &mut Imap, folder: &str, count: usize) -> Result<()> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let said = client.command(&format!("STATUS {folder} (MESSAGES)")).await.unwrap_or_default();
        if said.iter().any(|line| line.contains(&format!("MESSAGES {count})"))) {
            return Ok(());
        }
        ensure!(std::time::Instant::now() < deadline, "{folder}: {said:?}, not {count}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_folders_are_followed_and_each_outcome_goes_where_it_shall() -> Result<()> {
    let dovecot = Dovecot::start().await?;
    let mut client = dovecot.client("mairie").await?;
    client.command("CREATE Voirie").await?;
    for number in 0..3 {
        client.append("INBOX", &mail(&format!("old{number}@example.org"), "")).await?;
    }
    let keys = "folders = [\"INBOX\", \"Voirie\", \"Perdu\"]\nfirst = \"all\"\n\
                after = { taken = \"move:Fait\", automatic = \"move:Automatique\" }";
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel(&dovecot, keys)).await?;

    // One of the folders is not there: that is said before, and keeps nothing of the others waiting.
    let counted = scratch.command(&["mailbox", "count", "mairie"]).output().await?;
    ensure!(
        !counted.status.success() && String::from_utf8_lossy(&counted.stderr).contains("\"Perdu\""),
        "{counted:?}"
    );
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    client.append("Voirie", &mail("voirie@example.org", "")).await?;
    client
        .append("INBOX", &mail("robot@example.org", "Auto-Submitted: auto-replied\r\n"))
        .await?;
    holds(&mut client, "Fait", 4).await?;
    holds(&mut client, "Automatique", 1).await?;
    holds(&mut client, "INBOX", 0).await?;
    ensure!(requests(&running, "channel=email").await?.len() == 5);
    let lost = |channels: &Value| {
        let folders = mailbox(channels).and_then(|mailbox| mailbox["folders"].as_array());
        folders.is_some_and(|folders| {
            folders.len() == 3
                && folders[..2].iter().all(|folder| folder["last_success"].is_string())
                && folders[2]["last_success"].is_null()
                && folders[2]["last_error"].as_str().is_some_and(|words| words.contains("\"Perdu\""))
        })
    };
    let shown = running.rest().until("/v1/channels", PATIENCE, lost).await?;
    ensure!(mailbox(&shown).context("no mailbox")?["state"] == "up", "{shown}");
    // It is made, and is followed without a restart.
    client.command("CREATE Perdu").await?;
    client.append("Perdu", &mail("perdu@example.org", "")).await?;
    holds(&mut client, "Fait", 5).await?;
    running.stop().await?;

    let counted = scratch
        .command(&["mailbox", "count", "mairie", "--since", "2026-01-01"])
        .output()
        .await?;
    let words = String::from_utf8(counted.stdout)?;
    ensure!(
        counted.status.success() && words.contains("first = \"all\" takes in 0 mails"),
        "{words}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_falls_silent_is_an_alarm_until_it_speaks() -> Result<()> {
    let mut dovecot = Dovecot::start().await?;
    let keys = "alarm_seconds = 5";
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel(&dovecot, keys)).await?;
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    let well = running.rest().get("/readyz").await?;
    ensure!(well["degraded"] != true, "{well}");
    dovecot.stop();
    let silent =
        |channels: &Value| mailbox(channels).is_some_and(|mailbox| mailbox["alarm"].as_str().is_some_and(|words| words.contains("INBOX")));
    let shown = running.rest().until("/v1/channels", PATIENCE, silent).await?;
    ensure!(mailbox(&shown).context("no mailbox")?["state"] != "halted", "{shown}");
    let degraded = running.rest().get("/readyz").await?;
    ensure!(degraded["degraded"] == true, "{degraded}");
    dovecot.restart().await?;
    let speaks = |channels: &Value| mailbox(channels).is_some_and(|mailbox| mailbox["alarm"].is_null() && mailbox["state"] == "up");
    running.rest().until("/v1/channels", PATIENCE, speaks).await?;
    let log = running.log();
    ensure!(
        !log.contains("mairie@") && !log.contains(PASSWORD),
        "an address or a password is in the log"
    );
    running.stop().await
}
