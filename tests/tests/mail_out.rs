//! Mails on their way out, to a server that reads them with Python's `email` package and refuses what its recipients say.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use voxea_tests::dovecot::{Dovecot, Imap, PASSWORD};
use voxea_tests::kill::requests;
use voxea_tests::python_sink::{PythonSink, field};
use voxea_tests::scratch::{self, Running, Scratch};

const PATIENCE: Duration = Duration::from_secs(60);

/// A town with one mailbox; `keys` are further lines of its submission.
struct Town {
    running: Running,
    dovecot: Dovecot,
    mailbox: Imap,
    sink: PythonSink,
    _scratch: Scratch,
}

impl Town {
    async fn with(keys: &str, acknowledge: bool, utf8: bool) -> Result<Self> {
        let dovecot = Dovecot::start().await?;
        let sink = PythonSink::start(utf8).await?;
        let channels = format!(
            "[[mailbox]]\nname = \"mairie\"\naddress = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"mairie\"\npassword = \"{PASSWORD}\"\n\
             acknowledge = {acknowledge}\n\n[mailbox.submission]\naddress = \"{}\"\nsecurity = \"none\"\n\
             from = \"Mairie d’Été-sur-Mer <mairie@example.fr>\"\n{keys}",
            dovecot.port, sink.address
        );
        let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
        let running = scratch.run().await?;
        running.up("mailbox").await?;
        let mailbox = dovecot.client("mairie").await?;
        Ok(Self {
            running,
            dovecot,
            mailbox,
            sink,
            _scratch: scratch,
        })
    }

    /// A citizen's mail, and the request that it opened.
    async fn writes(&mut self, from: &str, subject: &str, id: &str) -> Result<Value> {
        let raw = format!(
            "From: Zoé <{from}>\r\nTo: mairie@example.fr\r\nSubject: {subject}\r\nMessage-ID: <{id}@example.org>\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\nBonjour\r\n"
        );
        self.mailbox.append("INBOX", raw.as_bytes()).await?;
        self.request(|request| request["from"] == from).await
    }

    async fn request(&self, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = requests(&self.running, "channel=email")
                .await?
                .into_iter()
                .rev()
                .find(|one| wanted(one))
            {
                return Ok(found);
            }
            ensure!(std::time::Instant::now() < deadline, "no such request came");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn interactions(&self, request: &Value) -> Result<Vec<Value>> {
        let shown = self
            .running
            .rest()
            .get(&format!("/v1/requests/{}/interactions", text(request, "id")?))
            .await?;
        Ok(shown["items"].as_array().cloned().unwrap_or_default())
    }

    /// Answers a request; the status and the body.
    async fn answer(&self, request: &Value, reply: &Value) -> Result<(u16, Value)> {
        let target = format!("/v1/requests/{}/replies", text(request, "id")?);
        let answered = self.running.rest().call("POST", &target, Some(reply)).await?;
        Ok((answered.status, answered.json()?))
    }

    /// Answers a request that takes it.
    async fn answers(&self, request: &Value, reply: &Value) -> Result<Value> {
        let (status, body) = self.answer(request, reply).await?;
        ensure!(status == 202, "{status}: {body}");
        Ok(body)
    }

    /// Waits for a reply to be as wanted.
    async fn until(&self, reply: &Value, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let target = format!("/v1/replies/{}", text(reply, "id")?);
        self.running.rest().until(&target, PATIENCE, wanted).await
    }
}

fn text<'a>(value: &'a Value, member: &str) -> Result<&'a str> {
    value[member].as_str().with_context(|| format!("no {member} in {value}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_is_what_python_reads_and_nothing_is_injected() -> Result<()> {
    let mut town = Town::with("html = true\nreply_token = \"plus\"\n", true, true).await?;
    let request = town.writes("zoe@example.org", "Trou", "1").await?;
    let acknowledged = town.sink.wait("zoe@example.org", 1, PATIENCE).await?.remove(0);
    assert_eq!(field(&acknowledged, "Auto-Submitted"), Some("auto-replied"));
    assert!(field(&acknowledged, "X-Voxea-Loop").is_some());
    let token_of = |mail: &Value| field(mail, "Reply-To").map(str::to_owned).context("no Reply-To");
    let reply_to = token_of(&acknowledged)?;
    assert!(reply_to.contains("<mairie+") && reply_to.contains("@example.fr>"), "{reply_to}");

    // What agents may write, and what must become of it: a subject, and what Python reads of it.
    let long = "l’aménagement de la rue de la République et de ses trottoirs ".repeat(4);
    let subjects = [
        ("Trou\r\nBcc: mallory@example.net", "Re: Trou Bcc: mallory@example.net"),
        ("Trou\nX-Injected: 1\n\n<html>", "Re: Trou X-Injected: 1 <html>"),
        ("Trou\rSubject: autre", "Re: Trou Subject: autre"),
        ("Trou\u{85}\u{2028}\u{2029}Bcc: x@y", "Re: Trou Bcc: x@y"),
        ("=?utf-8?B?Qm9uam91cg==?=", "Re: =?utf-8?B?Qm9uam91cg==?="),
        ("\t  L’été, 5 € – « œuvre » 😀  ", "Re: L’été, 5 € – « œuvre » 😀"),
        (long.as_str(), ""),
        ("Trou\u{202e}gpj.exe", "Re: Trougpj.exe"),
    ];
    let texts = [
        "Bonjour,\n.\n..\nFrom là, =41 et <b>gras</b>\r\n.\r\nMAIL FROM:<x@y>\r\n\r\nfin",
        "Une ligne très longue : ",
        "--=_mixed_0\n\n--=_text_0--\nContent-Type: text/html\n\n<script>",
    ];
    let allowed = [
        "Date",
        "From",
        "Reply-To",
        "To",
        "Subject",
        "Message-ID",
        "In-Reply-To",
        "References",
        "MIME-Version",
        "Content-Type",
    ];
    let mut count = 1;
    for (at, (subject, read)) in subjects.iter().enumerate() {
        let mut words = texts[at % texts.len()].to_owned();
        if at % texts.len() == 1 {
            words += &"é".repeat(3000);
        }
        let pdf: Vec<u8> = (0..=255).cycle().take(5000 + at).collect();
        let files = json!([
            {"name": "plan.pdf", "type": "application/pdf", "content": STANDARD.encode(&pdf)},
            {"name": "délibération « été » 2026, n° 7 – séance du conseil municipal de Saint-Exemple.odt",
             "type": "application/vnd.oasis.opendocument.text", "content": ""},
            {"name": "a\"; x=\"y.exe", "content": "AA=="},
        ]);
        let reply = json!({"text": words, "subject": subject, "attachments": files});
        let queued = town.answers(&request, &reply).await?;
        count += 1;
        let mail = town.sink.wait("zoe@example.org", count, PATIENCE).await?.remove(count - 1);
        ensure!(mail["defects"] == json!([]), "{subject:?}: {}", mail["defects"]);
        let lines = |member: &str, most| mail[member].as_u64().is_some_and(|longest| longest <= most);
        ensure!(
            mail["bare"] == 0 && lines("longest", 78) && lines("hard", 998),
            "{subject:?}: {mail}"
        );
        let names: Vec<&str> = mail["fields"]
            .as_array()
            .context("no fields")?
            .iter()
            .filter_map(|field| field[0].as_str())
            .collect();
        assert!(names.iter().all(|name| allowed.contains(name)), "{subject:?}: {names:?}");
        assert_eq!(mail["rcpt"], json!(["zoe@example.org"]), "{subject:?}");
        let wanted = format!("{read} [{}]", text(&request, "ref")?);
        let shown = field(&mail, "Subject").context("no subject")?;
        assert!(
            read.is_empty() && shown.starts_with("Re: l’aménagement de la rue") || shown == wanted,
            "{subject:?}: {shown}"
        );
        assert_eq!(mail["from"], json!([["Mairie d’Été-sur-Mer", "mairie@example.fr"]]));
        let said = mail["text"].as_str().context("no text")?;
        assert_eq!(
            said.replace("\r\n", "\n").trim_end(),
            words.replace("\r\n", "\n").trim_end(),
            "{subject:?}"
        );
        let html = mail["html"].as_str().context("no HTML")?;
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
        let sent: Vec<(&str, &str)> = mail["files"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|file| Some((file["name"].as_str()?, file["type"].as_str()?)))
            .collect();
        assert_eq!(
            sent,
            [
                ("plan.pdf", "application/pdf"),
                (
                    "délibération « été » 2026, n° 7 – séance du conseil municipal de Saint-Exemple.odt",
                    "application/vnd.oasis.opendocument.text"
                ),
                ("a_; x=_y.exe", "application/octet-stream"),
            ]
        );
        assert_eq!(mail["files"][0]["base64"], STANDARD.encode(&pdf));
        assert_eq!(
            field(&mail, "In-Reply-To"),
            Some("<1@example.org>"),
            "a person's answer, to the citizen's mail"
        );
        town.until(&queued, |reply| reply["state"] == "submitted").await?;
    }
    // The files are the interaction's; one of them goes again by its id, under another name.
    let shown = town.interactions(&request).await?;
    let sent = shown.last().context("no interaction")?;
    let file = &sent["attachments"][0];
    assert_eq!((&file["name"], &file["size"]), (&json!("plan.pdf"), &json!(5007)));
    let again = json!({"text": "Encore", "attachments": [{"id": file["id"], "name": "plan bis.pdf"}]});
    town.answers(&request, &again).await?;
    count += 1;
    let mail = town.sink.wait("zoe@example.org", count, PATIENCE).await?.remove(count - 1);
    assert_eq!(
        (&mail["files"][0]["name"], &mail["files"][0]["type"]),
        (&json!("plan bis.pdf"), &json!("application/pdf"))
    );
    // What cannot be is refused, naming the member.
    for (bad, member) in [
        (json!([{"id": "nothing"}]), "/attachments/0/id"),
        (json!([{"name": "a\r\nBcc: x@y", "content": ""}]), "/attachments/0/name"),
        (json!([{"name": "../../a", "content": ""}]), "/attachments/0/name"),
        (json!([{"name": "a\u{202e}fdp.exe", "content": ""}]), "/attachments/0/name"),
        (
            json!([{"name": "a", "type": "message/rfc822", "content": ""}]),
            "/attachments/0/type",
        ),
        (
            json!([{"name": "a", "type": "a/b\r\nBcc: x@y", "content": ""}]),
            "/attachments/0/type",
        ),
        (json!([{"name": "a", "content": "no base64"}]), "/attachments/0/content"),
        (json!([{"name": "a"}]), "/attachments/0"),
        (json!(vec![json!({"name": "a", "content": ""}); 21]), "/attachments"),
    ] {
        let (status, body) = town.answer(&request, &json!({"text": "x", "attachments": bad})).await?;
        assert_eq!((status, body["errors"][0]["pointer"].as_str()), (422, Some(member)), "{body}");
    }

    // The token that an answer brings back finds the request, whoever sends it and whatever it says beside; a forged one does not.
    let address = reply_to.split(['<', '>']).nth(1).context("no address")?.to_owned();
    let forged = address.replacen("+a", "+b", 1).replacen("+b", "+c", 1);
    let forged = if forged == address {
        address.replacen('+', "+x", 1)
    } else {
        forged
    };
    for (to, from, joins) in [(&address, "brother@example.net", true), (&forged, "mallory@example.net", false)] {
        let raw = format!(
            "From: {from}\r\nTo: <{}>\r\nSubject: autre\r\nMessage-ID: <{from}>\r\n\r\nMoi aussi\r\n",
            to.to_uppercase()
        );
        town.mailbox.append("INBOX", raw.as_bytes()).await?;
        let there = |shown: &Value| {
            let mut items = shown["items"].as_array().into_iter().flatten();
            items.any(|item| item["from"] == from)
        };
        if joins {
            let target = format!("/v1/requests/{}/interactions", text(&request, "id")?);
            town.running.rest().until(&target, PATIENCE, there).await?;
        } else {
            town.request(|request| request["from"] == from).await?;
        }
    }
    let log = town.running.log();
    assert!(!log.contains("zoe@") && !log.contains("mallory"), "an address is in the log");
    town.running.stop().await?;
    drop(town.dovecot);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_what_its_code_says_and_a_dead_address_is_left_alone() -> Result<()> {
    let mut town = Town::with("", false, true).await?;
    let hello = json!({"text": "Oui."});
    let mut asked = Vec::new();
    for who in [
        "later-1@slow.example",
        "full-1@slow2.example",
        "policy-1@example.org",
        "dead-1@example.org",
        "fine@example.org",
    ] {
        let request = town.writes(who, "Trou", who).await?;
        let reply = town.answers(&request, &hello).await?;
        asked.push((request, reply));
    }
    // Tried again later, in the server's words.
    for (at, words) in [
        (0, "451: 4.7.1 too many mails, come back later"),
        (1, "452: 4.2.2 the mailbox is full"),
    ] {
        let shown = town.until(&asked[at].1, |reply| !reply["reason"].is_null()).await?;
        assert_eq!(shown["state"], "queued");
        assert!(text(&shown, "reason")?.contains(words), "{shown}");
    }
    let rejected = town.until(&asked[2].1, |reply| reply["state"] == "rejected").await?;
    assert!(text(&rejected, "reason")?.contains("550: 5.7.1 refused by policy"), "{rejected}");
    let dead = town.until(&asked[3].1, |reply| reply["state"] == "rejected").await?;
    assert!(text(&dead, "reason")?.contains("550: 5.1.1 no such user"), "{dead}");
    town.until(&asked[4].1, |reply| reply["state"] == "submitted").await?;
    assert_eq!(town.sink.tries("policy-1@example.org"), 1);

    // A domain that asked for it is left alone as a whole; one whose mailbox is full is not.
    let neighbour = town.writes("fine-1@slow.example", "Trou", "n1").await?;
    let other = town.writes("fine-1@slow2.example", "Trou", "n2").await?;
    let waits = town.answers(&neighbour, &hello).await?;
    let goes = town.answers(&other, &hello).await?;
    town.until(&goes, |reply| reply["state"] == "submitted").await?;
    let shown = town.running.rest().get(&format!("/v1/replies/{}", text(&waits, "id")?)).await?;
    assert_eq!(
        (shown["state"].as_str(), town.sink.tries("fine-1@slow.example")),
        (Some("queued"), 0)
    );
    assert!(
        shown["attempts"].as_i64().is_some_and(|attempts| attempts <= 1),
        "waiting is no try: {shown}"
    );

    // What was refused by policy may be tried again by hand; an address that takes no mail is not written to.
    let again = town.answers(&asked[2].0, &hello).await?;
    town.until(&again, |reply| reply["state"] == "rejected").await?;
    let (status, refused) = town.answer(&asked[3].0, &hello).await?;
    assert_eq!(status, 409, "{refused}");
    assert!(text(&refused, "detail")?.contains("5.1.1 no such user"), "{refused}");
    assert_eq!(town.sink.tries("dead-1@example.org"), 1);
    // Whoever looks at the citizen sees it.
    let citizen = json!({"kind": "person", "family_name": "Durand", "contact_points": [{"kind": "email", "value": "Dead-1@example.org"}]});
    let made = town.running.rest().call("POST", "/v1/citizens", Some(&citizen)).await?.json()?;
    let point = &made["contact_points"][0];
    assert!(
        point["undeliverable"]["how"].as_str().is_some_and(|how| how.contains("5.1.1")),
        "{made}"
    );
    // Until somebody of the town says so, and the server says it again.
    let target = format!("/v1/citizens/{}", text(&made, "id")?);
    let at = format!("{target}/contact-points/{}", text(point, "id")?);
    let (mut rest, version) = (town.running.rest(), format!("\"{}\"", made["version"]));
    let matched = [("If-Match", version.as_str())];
    let told = json!({"undeliverable": "x"});
    let told = rest.call_with("PATCH", &at, &matched, Some(&told)).await?;
    assert_eq!(
        (told.status, told.json()?["errors"][0]["pointer"].as_str()),
        (422, Some("/undeliverable"))
    );
    let freed = json!({"undeliverable": null});
    let changed = rest.call_with("PATCH", &at, &matched, Some(&freed)).await?.json()?;
    assert!(changed["contact_points"][0]["undeliverable"].is_null(), "{changed}");
    let history = rest.get(&format!("{target}/history")).await?;
    assert!(history.to_string().contains("5.1.1"), "{history}");
    let tried = town.answers(&asked[3].0, &hello).await?;
    town.until(&tried, |reply| reply["state"] == "rejected").await?;
    let (status, _) = town.answer(&asked[3].0, &hello).await?;
    assert_eq!((status, town.sink.tries("dead-1@example.org")), (409, 2));
    // Or until a mail comes from there.
    town.writes("dead-1@example.org", "Trou", "alive").await?;
    let reached = |citizen: &Value| citizen["contact_points"][0]["undeliverable"].is_null();
    town.running.rest().until(&target, PATIENCE, reached).await?;
    town.answers(&asked[3].0, &hello).await?;
    town.running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_settles_the_mail_and_the_address_is_left_alone() -> Result<()> {
    let mut town = Town::with("", true, true).await?;
    let request = town.writes("zoe@example.org", "Trou", "1").await?;
    let acknowledgement = town.sink.wait("zoe@example.org", 1, PATIENCE).await?.remove(0);
    let reply = town.answers(&request, &json!({"text": "Oui."})).await?;
    let mail = town.sink.wait("zoe@example.org", 2, PATIENCE).await?.remove(1);
    town.until(&reply, |reply| reply["state"] == "submitted").await?;
    let notice = |id: &str, action: &str, status: &str, words: &str| {
        format!(
            "From: MAILER-DAEMON@mx.example\r\nTo: mairie@example.fr\r\nReturn-Path: <>\r\nAuto-Submitted: auto-replied\r\n\
             Subject: Undelivered\r\nMessage-ID: <dsn-{status}@mx.example>\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nIt did not arrive.\r\n\
             --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n\
             Final-Recipient: rfc822; zoe@example.org\r\nAction: {action}\r\nStatus: {status}\r\nDiagnostic-Code: smtp; {words}\r\n\r\n\
             --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {id}\r\nSubject: x\r\n\r\n--b--\r\n"
        )
    };
    let id = field(&mail, "Message-ID").context("no Message-ID")?;
    let id = id.trim().to_owned();
    town.mailbox
        .append("INBOX", notice(&id, "delayed", "4.4.1", "451 4.4.1 later").as_bytes())
        .await?;
    town.mailbox
        .append("INBOX", notice(&id, "failed", "5.2.1", "550 5.2.1 mailbox disabled").as_bytes())
        .await?;
    let rejected = town.until(&reply, |reply| reply["state"] == "rejected").await?;
    assert!(text(&rejected, "reason")?.contains("550 5.2.1 mailbox disabled"), "{rejected}");
    let (status, refused) = town.answer(&request, &json!({"text": "Encore"})).await?;
    assert_eq!(status, 409, "{refused}");
    assert_eq!(
        requests(&town.running, "channel=email").await?.len(),
        1,
        "a notification opens nothing"
    );
    assert_eq!(
        town.running.rest().get(&format!("/v1/requests/{}", text(&request, "id")?)).await?["status"],
        "received"
    );
    // The citizen writes again, from the address that came back, and is acknowledged and answered.
    town.writes("zoe@example.org", "Autre", "2").await?;
    town.sink.wait("zoe@example.org", 3, PATIENCE).await?;
    let reply = town.answers(&request, &json!({"text": "Encore"})).await?;
    town.until(&reply, |reply| reply["state"] == "submitted").await?;
    let reported = format!(
        "From: abuse@provider.example\r\nTo: mairie@example.fr\r\nSubject: complaint\r\nMessage-ID: <arf@provider.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\r\nUnwanted.\r\n\
         --b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\n\r\n\
         --b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: {}\r\nSubject: x\r\n\r\nx\r\n--b--\r\n",
        field(&acknowledgement, "Message-ID").context("no Message-ID")?.trim()
    );
    town.mailbox.append("INBOX", reported.as_bytes()).await?;
    let target = format!("/v1/requests/{}/history", text(&request, "id")?);
    town.running
        .rest()
        .until(&target, PATIENCE, |history| history.to_string().contains("reported as unwanted"))
        .await?;
    assert_eq!(requests(&town.running, "channel=email").await?.len(), 2);
    town.running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_or_hangs_up_costs_nobody_a_mail() -> Result<()> {
    let mut town = Town::with("answer_seconds = 1\n", false, true).await?;
    let hangs = town.writes("hang-1@example.org", "Trou", "1").await?;
    let cut = town.writes("cut-1@example.org", "Trou", "2").await?;
    let fine = town.writes("fine@example.org", "Trou", "3").await?;
    let hanging = town.answers(&hangs, &json!({"text": "Oui."})).await?;
    let cutting = town.answers(&cut, &json!({"text": "Oui."})).await?;
    town.until(&cutting, |reply| reply["state"] == "submitted").await?;
    let other = town.answers(&fine, &json!({"text": "Oui."})).await?;
    town.until(&other, |reply| reply["state"] == "submitted").await?;
    // A mail has a minute and a half, and the server a second more here.
    let target = format!("/v1/replies/{}", text(&hanging, "id")?);
    let waiting = town
        .running
        .rest()
        .until(&target, 3 * PATIENCE, |reply| !reply["reason"].is_null())
        .await?;
    assert_eq!(waiting["state"], "queued");
    // It is tried again, under the same Message-ID and with the same bytes.
    let tries = town.sink.wait("hang-1@example.org", 2, 2 * PATIENCE).await?;
    assert_eq!(tries[0]["base64"], tries[1]["base64"]);
    assert_eq!(town.sink.mails("cut-1@example.org").len(), 1, "a 250 is a 250");
    town.running.kill().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_beyond_ascii_is_written_to_where_the_server_carries_it() -> Result<()> {
    for utf8 in [true, false] {
        let mut town = Town::with("", false, utf8).await?;
        let request = town.writes("zoé@exemple.org", "Trou", "1").await?;
        let reply = town.answers(&request, &json!({"text": "Oui."})).await?;
        if utf8 {
            town.until(&reply, |reply| reply["state"] == "submitted").await?;
            let mail = town.sink.wait("zoé@exemple.org", 1, PATIENCE).await?.remove(0);
            assert_eq!(field(&mail, "To"), Some("zoé@exemple.org"));
            let told = town.sink.told();
            let named = told.iter().find(|event| event["event"] == "recipient").context("no recipient")?;
            assert!(named["mail_options"].to_string().contains("SMTPUTF8"), "{named}");
        } else {
            let rejected = town.until(&reply, |reply| reply["state"] == "rejected").await?;
            assert!(text(&rejected, "reason")?.contains("SMTPUTF8"), "{rejected}");
            assert_eq!(town.sink.told().len(), 0);
        }
        // A domain beyond ASCII has another spelling, which every server carries; the citizen is the one that it was.
        let request = town.writes("zoe@été.example", "Trou", "2").await?;
        let reply = town.answers(&request, &json!({"text": "Oui."})).await?;
        town.until(&reply, |reply| reply["state"] == "submitted").await?;
        let mail = town.sink.wait("zoe@xn--t-9fab.example", 1, PATIENCE).await?.remove(0);
        assert_eq!(field(&mail, "To"), Some("zoe@xn--t-9fab.example"));
        town.running.stop().await?;
    }
    Ok(())
}
