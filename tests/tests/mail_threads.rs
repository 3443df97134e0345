//! Which request a mail belongs to, with Dovecot as the town's server and two mailboxes.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use voxea_tests::dovecot::{Dovecot, Imap, PASSWORD};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smtp_sink::SmtpSink;

const PATIENCE: Duration = Duration::from_secs(60);

fn mailbox(dovecot: &Dovecot, sink: &SmtpSink, name: &str, oversize_mib: u32) -> String {
    format!(
        "[[mailbox]]\nname = \"{name}\"\naddress = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"{name}\"\npassword = \"{PASSWORD}\"\n\
         oversize_mib = {oversize_mib}\n\n[mailbox.submission]\naddress = \"{}\"\nsecurity = \"none\"\nfrom = \"Mairie <{name}@example.fr>\"\n\n",
        dovecot.port, sink.address
    )
}

async fn interactions(running: &Running, request: &Value) -> Result<Vec<Value>> {
    let id = request["id"].as_str().context("no id")?;
    let shown = running.rest().get(&format!("/v1/requests/{id}/interactions")).await?;
    Ok(shown["items"].as_array().cloned().unwrap_or_default())
}

/// Waits until this many mails came in, wherever they went.
async fn came(running: &Running, count: usize) -> Result<Vec<(Value, Vec<Value>)>> {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let mut all = Vec::new();
        for request in requests(running, "channel=email").await? {
            let shown = interactions(running, &request).await?;
            all.push((request, shown));
        }
        let there: usize = all
            .iter()
            .map(|(_, shown)| shown.iter().filter(|one| one["direction"] == "in").count())
            .sum();
        if there >= count {
            // What came while it was read may have changed its request.
            for (request, _) in &mut all {
                let id = request["id"].as_str().context("no id")?;
                *request = running.rest().get(&format!("/v1/requests/{id}")).await?;
            }
            return Ok(all);
        }
        ensure!(std::time::Instant::now() < deadline, "{there} of {count} mails came in");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The same mail as two servers' deliveries wrote it down.
async fn to_both(boxes: &mut [Imap; 2], mail: &[u8]) -> Result<()> {
    for (at, mailbox) in boxes.iter_mut().enumerate() {
        let delivered = format!(
            "Return-Path: <x@example.org>\r\nDelivered-To: box{at}@example.fr\r\nReceived: by mx{at}.example.fr; Tue, 24 Nov 2026 09:00:0{at} +0100\r\n"
        );
        mailbox.append("INBOX", &[delivered.as_bytes(), mail].concat()).await?;
    }
    Ok(())
}

/// A daemon with this fault, or with none.
async fn started(channels: &str, mutant: &str) -> Result<(Scratch, Running)> {
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", channels).await?;
    scratch.environment = vec![("VOXEA_MUTANT".to_owned(), mutant.to_owned())];
    let running = scratch.run().await?;
    Ok((scratch, running))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_mail_in_two_mailboxes_is_one_request_whatever_it_is() -> Result<()> {
    in_two_mailboxes("").await
}

/// The gate can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_looking_for_copies_is_caught() -> Result<()> {
    let seen = in_two_mailboxes("no_twins").await.err().context("nothing was seen")?;
    ensure!(seen.to_string().starts_with("one request each"), "{seen}");
    Ok(())
}

async fn in_two_mailboxes(mutant: &str) -> Result<()> {
    let dovecot = Dovecot::start().await?;
    let sink = SmtpSink::start().await?;
    let channels = mailbox(&dovecot, &sink, "mairie", 1) + &mailbox(&dovecot, &sink, "voirie", 2);
    let (_scratch, running) = started(&channels, mutant).await?;
    running
        .rest()
        .until("/v1/channels", PATIENCE, |channels| {
            let items = channels["items"].as_array().into_iter().flatten();
            items.filter(|one| one["kind"] == "mailbox" && one["state"] == "up").count() == 2
        })
        .await?;
    let mut boxes = [dovecot.client("mairie").await?, dovecot.client("voirie").await?];
    let head = |from: &str, id: &str| {
        format!(
            "{from}To: mairie@example.fr, voirie@example.fr\r\nDate: Tue, 24 Nov 2026 09:00:00 +0100\r\nSubject: {id}\r\nMessage-ID: <{id}@example.org>\r\n"
        )
    };
    let known = "From: Zoé <zoe@example.org>\r\n";
    let plain = head(known, "plain") + "\r\nBonjour\r\n";
    let nobody = head("", "nobody") + "\r\nBonjour\r\n";
    let mut mails = 0;
    let unreadable = head(known, "unreadable") + &"Content-Type: message/rfc822\r\n\r\n".repeat(70);
    let line = "Bonjour Bonjour Bonjour Bonjour Bonjour Bonjour Bonjour\r\n";
    let large = |lines| "Content-Type: text/plain\r\n\r\n".to_owned() + &line.repeat(lines);
    let oversize = head(known, "oversize") + &large(48_000);
    // Whole in one of the mailboxes, too large for the other.
    let half = head(known, "half") + &large(24_000);
    // As some forms and copiers write them.
    let without_id = |mail: String| mail.replacen("Message-ID", "X-Was", 1);
    // Of somebody else: one sender is acknowledged six times an hour.
    let other = "From: Yves <yves@example.org>\r\n";
    let anonymous = without_id(head(other, "anonymous") + "\r\nBonjour\r\n");
    let anonymous_half = without_id(head(other, "anonymous half") + &large(24_000));
    for mail in [&plain, &nobody, &unreadable, &oversize, &half, &anonymous, &anonymous_half] {
        to_both(&mut boxes, mail.as_bytes()).await?;
        mails += 2;
        let all = came(&running, mails).await?;
        ensure!(all.len() == mails / 2, "one request each: {:?}", all.last());
    }
    // An agent closes the request before the second mailbox has its copy.
    let slow = head(known, "slow") + "\r\nBonjour\r\n";
    boxes[0].append("INBOX", slow.as_bytes()).await?;
    mails += 1;
    let all = came(&running, mails).await?;
    let (request, _) = all.iter().find(|(request, _)| request["subject"] == "slow").context("no request")?;
    let target = format!("/v1/requests/{}", request["id"].as_str().context("no id")?);
    let closing = json!({"status": "closed"});
    let closed = running
        .rest()
        .call_with(
            "PATCH",
            &target,
            &[("If-Match", &format!("\"{}\"", request["version"]))],
            Some(&closing),
        )
        .await?;
    assert_eq!(closed.status, 200, "{}", String::from_utf8_lossy(&closed.body));
    boxes[1]
        .append("INBOX", [b"Received: by mx1.example.fr\r\n", slow.as_bytes()].concat().as_slice())
        .await?;
    mails += 1;
    let all = came(&running, mails).await?;
    assert_eq!(all.len(), 8);
    for (request, shown) in &all {
        let (coming, going) = (
            shown.iter().filter(|one| one["direction"] == "in").count(),
            shown.iter().filter(|one| one["direction"] == "out").count(),
        );
        let acknowledged = usize::from(request["subject"] != "nobody");
        assert_eq!((coming, going), (2, acknowledged), "{request}");
        assert_eq!(request["status"], if request["subject"] == "slow" { "closed" } else { "received" });
    }
    let ledger = sink.wait(7, PATIENCE).await?;
    running.stop().await?;
    assert_eq!(ledger.len(), 7, "one acknowledgement each, but to nobody");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_a_closed_request_brings_it_back() -> Result<()> {
    answers("").await
}

/// The gate can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letting_anybody_take_part_is_caught() -> Result<()> {
    let seen = answers("anybody_takes_part").await.err().context("nothing was seen")?;
    ensure!(seen.to_string().starts_with("a stranger has no request"), "{seen}");
    Ok(())
}

async fn answers(mutant: &str) -> Result<()> {
    let dovecot = Dovecot::start().await?;
    let sink = SmtpSink::start().await?;
    let (_scratch, running) = started(&mailbox(&dovecot, &sink, "mairie", 1), mutant).await?;
    running.up("mailbox").await?;
    let mut inbox = dovecot.client("mairie").await?;
    inbox
        .append(
            "INBOX",
            b"From: zoe@example.org\r\nTo: mairie@example.fr\r\nSubject: Trou\r\nMessage-ID: <1@example.org>\r\n\r\nBonjour\r\n",
        )
        .await?;
    let acknowledgement = sink.wait(1, PATIENCE).await?.remove(0);
    let ours = acknowledgement.header("Message-ID").context("no Message-ID")?;
    let (request, _) = came(&running, 1).await?.remove(0);
    let target = format!("/v1/requests/{}", request["id"].as_str().context("no id")?);
    let version = format!("\"{}\"", request["version"]);
    let closing = json!({"status": "closed"});
    assert_eq!(
        running
            .rest()
            .call_with("PATCH", &target, &[("If-Match", &version)], Some(&closing))
            .await?
            .status,
        200
    );
    // What we sent is nobody's word when it comes back, as from a folder of sent mail.
    let returned = format!(
        "From: Mairie <Mairie@example.fr>\r\nSubject: Re: Trou\r\nMessage-ID: {ours}\r\nIn-Reply-To: <1@example.org>\r\n\r\nOui\r\n"
    );
    inbox.append("INBOX", returned.as_bytes()).await?;
    // A machine's answer brings nothing back; a person's does.
    let robot = format!(
        "From: zoe@example.org\r\nAuto-Submitted: auto-replied\r\nSubject: Absent\r\nMessage-ID: <2@example.org>\r\nIn-Reply-To: {ours}\r\n\r\nAbsente\r\n"
    );
    inbox.append("INBOX", robot.as_bytes()).await?;
    let all = came(&running, 2).await?;
    assert_eq!((all.len(), &all[0].0["status"]), (1, &json!("closed")));
    let person =
        format!("From: zoe@example.org\r\nSubject: Re: Trou\r\nMessage-ID: <3@example.org>\r\nIn-Reply-To: {ours}\r\n\r\nToujours la\r\n");
    inbox.append("INBOX", person.as_bytes()).await?;
    let all = came(&running, 3).await?;
    assert_eq!((all.len(), &all[0].0["status"]), (1, &json!("reopened")));
    let history = running.rest().get(&format!("{target}/history")).await?;
    let actions: Vec<&str> = history["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    assert!(actions.contains(&"reopened"), "{actions:?}");
    // A stranger who names the reference has a request of their own, which says so.
    let reference = request["ref"].as_str().context("no reference")?;
    let stranger =
        format!("From: mallory@example.net\r\nSubject: Re: Trou [{reference}]\r\nMessage-ID: <4@example.net>\r\n\r\nEt moi ?\r\n");
    inbox.append("INBOX", stranger.as_bytes()).await?;
    let all = came(&running, 4).await?;
    let (other, shown) = all
        .iter()
        .find(|(request, _)| request["from"] == "mallory@example.net")
        .context("a stranger has no request of their own")?;
    assert_eq!(
        other["links"]["related"],
        json!([{"kind": "mentions", "request": target, "earlier": true}])
    );
    assert!(
        shown[0]["flags"].as_array().is_some_and(|flags| flags.contains(&json!("mention"))),
        "{}",
        shown[0]
    );
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_form_sends_is_the_mail_of_whoever_filled_it_in() -> Result<()> {
    let dovecot = Dovecot::start().await?;
    let sink = SmtpSink::start().await?;
    let channels = "[[mailbox]]\nforms = [\"noreply@ville.example\"]\n".to_owned()
        + mailbox(&dovecot, &sink, "mairie", 1).trim_start_matches("[[mailbox]]\n");
    let (_scratch, running) = started(&channels, "").await?;
    running.up("mailbox").await?;
    let mut mairie = dovecot.client("mairie").await?;
    for (id, reply_to) in [
        ("1", "Reply-To: Zoé <zoe@example.org>\r\n"),
        ("2", "Reply-To: yves@example.org\r\n"),
        ("3", ""),
    ] {
        let mail = format!(
            "From: Site <noreply@ville.example>\r\nTo: mairie@example.fr\r\n{reply_to}Subject: Trou\r\nMessage-ID: <{id}@ville.example>\r\n\
             Auto-Submitted: auto-generated\r\n\r\nBonjour\r\n"
        );
        mairie.append("INBOX", mail.as_bytes()).await?;
    }
    let all = came(&running, 3).await?;
    let mut senders: Vec<(&str, &str, &Value)> = Vec::new();
    for (request, shown) in &all {
        let mail = shown.iter().find(|one| one["direction"] == "in").context("no mail")?;
        let text = |member: &str| mail[member].as_str().unwrap_or_default();
        ensure!(request["from"] == mail["from"]);
        senders.push((text("from"), text("from_name"), &mail["flags"]));
    }
    senders.sort_unstable_by_key(|(from, ..)| *from);
    assert_eq!(
        senders,
        [
            ("noreply@ville.example", "Site", &json!(["automatic"])),
            ("yves@example.org", "Site", &json!([])),
            ("zoe@example.org", "Zoé", &json!([])),
        ]
    );
    let mut acknowledged: Vec<String> = sink.wait(2, PATIENCE).await?.into_iter().flat_map(|mail| mail.to).collect();
    acknowledged.sort_unstable();
    assert_eq!(acknowledged, ["yves@example.org", "zoe@example.org"]);
    running.stop().await
}
