//! Mails, with Dovecot as the town's server.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use voxea_tests::dovecot::{Dovecot, PASSWORD};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smtp_sink::SmtpSink;

const PATIENCE: Duration = Duration::from_secs(60);
const MAILS: usize = 200;

fn channel(dovecot: &Dovecot, sink: &SmtpSink) -> String {
    format!(
        "[[mailbox]]\nname = \"mairie\"\naddress = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"mairie\"\npassword = \"{PASSWORD}\"\n\n\
         [mailbox.submission]\naddress = \"{}\"\nsecurity = \"none\"\nfrom = \"Mairie de Saint-Exemple <mairie@example.fr>\"\n",
        dovecot.port, sink.address
    )
}

/// The charsets of French mail, each with its own bytes for the same words.
fn mail(number: usize) -> Vec<u8> {
    let head = format!(
        "From: Citoyen {number} <c{number}@example.org>\r\nTo: mairie@example.fr\r\nMessage-ID: <n{number}@example.org>\r\n\
         Date: Tue, 24 Nov 2026 09:00:00 +0100\r\nMIME-Version: 1.0\r\n"
    );
    let words: (&str, &[u8]) = match number % 5 {
        0 => ("utf-8", "Réf\u{e9}rence : l’été à Noël, 5 €".as_bytes()),
        1 => ("iso-8859-15", b"R\xe9f\xe9rence : l'\xe9t\xe9 \xe0 No\xebl, 5 \xa4"),
        2 => ("windows-1252", b"R\xe9f\xe9rence : l\x92\xe9t\xe9 \xe0 No\xebl, 5 \x80"),
        // Labelled Latin-1, written by a program that means windows-1252.
        3 => ("iso-8859-1", b"R\xe9f\xe9rence : l\x92\xe9t\xe9 \xe0 No\xebl, 5 \x80"),
        _ => ("utf-8", "Référence : l'été à Noël, 5 €".as_bytes()),
    };
    let mut raw = head.into_bytes();
    raw.extend(format!("Subject: =?iso-8859-1?Q?=C9cole_{number}?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset={}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", words.0).bytes());
    raw.extend_from_slice(words.1);
    raw.extend(format!("\r\n--b\r\nContent-Type: application/pdf; name=\"pi\u{e8}ce.pdf\"\r\nContent-Disposition: attachment; filename=\"piece {number}.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK{:0>4}\r\n--b--\r\n", number % 10_000).bytes());
    raw
}

async fn one(running: &Running, from: &str) -> Result<(Value, Vec<Value>)> {
    let all = requests(running, "channel=email").await?;
    let request = all
        .into_iter()
        .find(|request| request["from"] == from)
        .with_context(|| format!("no request of {from}"))?;
    let shown = running
        .rest()
        .get(&format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?))
        .await?;
    Ok((request, shown["items"].as_array().cloned().unwrap_or_default()))
}

async fn taken(running: &Running, count: usize) -> Result<()> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let there = requests(running, "channel=email").await?.len();
        if there >= count {
            return Ok(());
        }
        ensure!(std::time::Instant::now() < deadline, "{there} of {count} mails came in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_mails_come_in_once_and_are_acknowledged_once() -> Result<()> {
    let dovecot = Dovecot::start().await?;
    let sink = SmtpSink::start().await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel(&dovecot, &sink)).await?;
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    let mut mailbox = dovecot.client("mairie").await?;
    let mails: Vec<Vec<u8>> = (0..MAILS).map(mail).collect();
    mailbox.append_all("INBOX", mails.iter().map(Vec::as_slice)).await?;
    taken(&running, MAILS).await?;
    for (number, sent) in mails.iter().enumerate().take(5) {
        let (request, shown) = one(&running, &format!("c{number}@example.org")).await?;
        assert_eq!(request["subject"], format!("École {number}"));
        let text = shown[0]["text"].as_str().context("no text")?;
        assert!(text.contains("été à Noël, 5 €"), "{number}: {text}");
        let attachment = &shown[0]["attachments"][0];
        assert_eq!(attachment["name"], format!("piece {number}.pdf"));
        let target = format!("/v1/attachments/{}", attachment["id"].as_str().context("no attachment")?);
        let bytes = running.rest().call("GET", &target, None).await?;
        assert!(
            bytes.body.starts_with(b"%PDF-1.4\n")
                && bytes
                    .header("Content-Disposition")
                    .is_some_and(|value| value.starts_with("attachment"))
        );
        let raw = running
            .rest()
            .call(
                "GET",
                &format!("/v1/interactions/{}/raw", shown[0]["id"].as_str().context("no id")?),
                None,
            )
            .await?;
        assert_eq!(&raw.body, sent, "the mail as it came");
    }
    let acknowledgements = sink.wait(MAILS, PATIENCE).await?;
    let mut per_citizen: BTreeMap<String, usize> = BTreeMap::new();
    for mail in &acknowledgements {
        *per_citizen.entry(mail.to.join(",")).or_default() += 1;
        assert_eq!(mail.header("Auto-Submitted").as_deref(), Some("auto-replied"));
    }
    assert_eq!((per_citizen.len(), acknowledgements.len()), (MAILS, MAILS));

    // An agent answers, the citizen answers back; a machine writes too, and a notification of failure.
    let (request, shown) = one(&running, "c7@example.org").await?;
    let replies = format!("/v1/requests/{}/replies", request["id"].as_str().context("no id")?);
    let answered = running
        .rest()
        .call("POST", &replies, Some(&json!({"text": "Bonjour,\n\nc'est noté."})))
        .await?;
    assert_eq!(answered.status, 202);
    let sent = sink.wait(MAILS + 1, PATIENCE).await?.pop().context("no answer")?;
    assert_eq!(sent.header("In-Reply-To").as_deref(), Some("<n7@example.org>"));
    let references = sent.header("References").unwrap_or_default();
    assert!(
        references.contains("<n7@example.org>"),
        "{references}\n{}",
        String::from_utf8_lossy(&sent.data)
    );
    assert_eq!(shown[0]["native_id"], "<n7@example.org>");
    let ours = sent.header("Message-ID").context("no Message-ID")?;
    let back = format!(
        "From: c7@example.org\r\nTo: mairie@example.fr\r\nSubject: Re: x\r\nMessage-ID: <back@example.org>\r\nIn-Reply-To: {ours}\r\n\r\nMerci !\r\n\r\nLe 24 nov. 2026 à 10:00, Mairie a écrit :\r\n> c'est noté.\r\n"
    );
    let machine = b"From: robot@example.org\r\nTo: mairie@example.fr\r\nSubject: Absent\r\nAuto-Submitted: auto-replied\r\nMessage-ID: <robot@example.org>\r\n\r\nJe suis absent.\r\n";
    mailbox.append("INBOX", back.as_bytes()).await?;
    mailbox.append("INBOX", machine).await?;
    taken(&running, MAILS + 1).await?;
    let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
    let joined = |shown: &Value| {
        shown["items"]
            .as_array()
            .is_some_and(|items| items.iter().any(|item| item["native_id"] == "<back@example.org>"))
    };
    let shown = running.rest().until(&target, PATIENCE, joined).await?;
    let back = shown["items"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|item| item["native_id"] == "<back@example.org>")
        .context("no answer")?;
    assert_eq!(back["text_stripped"], "Merci !");
    let (_, robot) = one(&running, "robot@example.org").await?;
    assert!(
        robot[0]["flags"]
            .as_array()
            .is_some_and(|flags| flags.contains(&json!("automatic")))
    );

    // The cursor survives: nothing comes twice, and what comes next does.
    running.stop().await?;
    let running = scratch.run().await?;
    mailbox.append("INBOX", &mail(1000)).await?;
    taken(&running, MAILS + 2).await?;
    let acknowledgements = sink.wait(MAILS + 2, PATIENCE).await?;
    assert_eq!(
        acknowledgements.len(),
        MAILS + 2,
        "one each, one answer, none to the machine, none to who answered"
    );
    assert_eq!(requests(&running, "channel=email").await?.len(), MAILS + 2);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_halts_the_mailbox_alone() -> Result<()> {
    let dovecot = Dovecot::start().await?;
    let sink = SmtpSink::start().await?;
    let channels = channel(&dovecot, &sink).replacen(&format!("password = \"{PASSWORD}\""), "password = \"hunter2\"", 1);
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    let halted = |channels: &Value| {
        channels["items"].as_array().is_some_and(|items| {
            items
                .iter()
                .any(|channel| channel["kind"] == "mailbox" && channel["state"] == "halted")
        })
    };
    running.rest().until("/v1/channels", PATIENCE, halted).await?;
    assert!(!running.log().contains("hunter2"), "a password is in the log");
    running.stop().await
}
