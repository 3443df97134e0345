//! What is in a mail, through a real Dovecot: what an agent reads, sees and may believe of it, and that none of it decides
//! by what the mail is known again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use voxea_tests::dovecot::{Dovecot, PASSWORD};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};

const PATIENCE: Duration = Duration::from_secs(60);

const ILLUSTRATED: &str = "Authentication-Results: mx.example.fr; spf=pass smtp.mailfrom=citoyen.example;\r\n dkim=fail header.d=citoyen.example\r\n\
    Received: by mx.example.fr\r\nAuthentication-Results: mx.example.fr; dkim=pass header.d=mairie.example; dmarc=pass header.from=mairie.example\r\n\
    From: =?iso-8859-1?Q?J=E9r=F4me?= <illustre@example.org>\r\nSubject: l\u{2019}arbre\r\nMessage-ID: <illustre@example.org>\r\n\
    Content-Type: multipart/related; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/html; charset=windows-1252\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
    <script>alert(1)</script><p>L=92arbre est <b>tomb=E9</b>.</p><ul><li>un<li>deux</ul><img src=3D\"cid:arbre@x\" alt=3D\"photo\">\
    <img src=3D\"https://traceur.example/p.gif\">\r\n\
    --b\r\nContent-Type: image/png; name=arbre.png\r\nContent-ID: <arbre@x>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--b--\r\n";

const INVITED: &str = "From: invite@example.org\r\nSubject: Conseil\r\nMessage-ID: <invite@example.org>\r\n\
    Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nVenez !\r\n\
    --b\r\nContent-Type: text/calendar; method=REQUEST; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\n\
    SUMMARY:Conseil de quartier\r\nDTSTART;TZID=Romance Standard Time:20261124T090000\r\nDTEND;TZID=Romance Standard Time:20261124T103000\r\n\
    LOCATION:salle des fêtes\r\nORGANIZER;CN=Jeanne Martin:mailto:j@example.org\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n--b--\r\n";

const SIGNED: &str = "From: signe@example.org\r\nSubject: Signature\r\nMessage-ID: <signe@example.org>\r\n\
    Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=b\r\n\r\n\
    --b\r\nContent-Type: text/plain\r\n\r\nSign\u{e9}  \r\n--b\r\nContent-Type: application/pkcs7-signature; name=smime.p7s\r\n\
    Content-Transfer-Encoding: base64\r\n\r\nMIIB\r\n--b--\r\n";

const SPAM: &str = "X-Spam-Flag: YES\r\nFrom: pourriel@example.org\r\nSubject: Gagnez\r\nMessage-ID: <pourriel@example.org>\r\n\
    List-Id: Gagnants <g.example>\r\n\r\nGagnez.\r\n";

const PACKED: &str = "From: outlook@example.org\r\nSubject: Fichier\r\nMessage-ID: <outlook@example.org>\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nVoir.\r\n--b\r\nContent-Type: application/ms-tnef; name=winmail.dat\r\n\
    Content-Transfer-Encoding: base64\r\n\r\neJ8+IgAA\r\n--b--\r\n";

fn channel(dovecot: &Dovecot) -> String {
    format!(
        "[[mailbox]]\nname = \"mairie\"\naddress = \"127.0.0.1:{}\"\nsecurity = \"none\"\nuser = \"mairie\"\npassword = \"{PASSWORD}\"\n\
         first = \"all\"\nauthserv_id = \"mx.example.fr\"\nspam_header = \"X-Spam-Flag: YES\"\n",
        dovecot.port
    )
}

/// The interaction of the mail of this sender, once it is there.
async fn of(running: &Running, from: &str) -> Result<Value> {
    let wanted = |shown: &Value| {
        let items = shown["items"].as_array().into_iter().flatten();
        items.into_iter().any(|request| request["from"] == from)
    };
    let shown = running
        .rest()
        .until("/v1/requests?channel=email&limit=500", PATIENCE, wanted)
        .await?;
    let items = shown["items"].as_array().into_iter().flatten();
    let request = items.into_iter().find(|request| request["from"] == from).context("no request")?;
    let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
    Ok(running.rest().get(&target).await?["items"][0].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_reads_what_the_citizen_wrote_and_nothing_runs() -> Result<()> {
    let mut dovecot = Dovecot::start().await?;
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel(&dovecot)).await?;
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    let mails = [ILLUSTRATED, INVITED, SIGNED, SPAM, PACKED];
    dovecot
        .client("mairie")
        .await?
        .append_all("INBOX", mails.iter().map(|mail| mail.as_bytes()))
        .await?;

    let shown = of(&running, "illustre@example.org").await?;
    assert_eq!((&shown["from_name"], &shown["subject"]), (&json!("Jérôme"), &json!("l’arbre")));
    assert_eq!(shown["text"], "L’arbre est tombé.\n\n- un\n- deux\n\n[photo]");
    let said = json!({
        "by": "mx.example.fr", "spf": {"result": "pass", "domain": "citoyen.example"},
        "dkim": [{"result": "fail", "domain": "citoyen.example"}], "dmarc": null,
    });
    assert_eq!(
        shown["authenticity"], said,
        "the server's own word, and not what stands below it in its name"
    );
    let image = &shown["attachments"][0];
    assert_eq!(
        (&image["name"], &image["inline"], &image["content_id"]),
        (&json!("arbre.png"), &json!(true), &json!("arbre@x"))
    );
    let page = running
        .rest()
        .get(&format!("/v1/interactions/{}/html", shown["id"].as_str().context("no id")?))
        .await?;
    let html = page["html"].as_str().context("no HTML")?;
    assert!(html.contains("<b>tombé</b>") && html.contains("src=\"cid:arbre@x\""), "{html}");
    assert!(!html.contains("alert") && !html.contains("traceur"), "{html}");
    assert_eq!(page["blocked"], 1);

    let shown = of(&running, "invite@example.org").await?;
    assert_eq!(
        shown["text"],
        "Venez !\n\nInvitation : Conseil de quartier\nQuand : mardi 24 novembre 2026, de 9 h 00 à 10 h 30\nOù : salle des fêtes\nOrganisateur : Jeanne Martin"
    );
    assert_eq!((&shown["flags"], &shown["authenticity"]), (&json!(["invitation"]), &Value::Null));

    let shown = of(&running, "signe@example.org").await?;
    assert_eq!((&shown["flags"], &shown["text"]), (&json!(["signed"]), &json!("Signé")));
    let signature = format!(
        "/v1/attachments/{}",
        shown["attachments"][0]["id"].as_str().context("no signature")?
    );
    assert_eq!(running.rest().call("GET", &signature, None).await?.body, b"0\x82\x01");
    let raw = format!("/v1/interactions/{}/raw", shown["id"].as_str().context("no id")?);
    assert_eq!(
        running.rest().call("GET", &raw, None).await?.body,
        SIGNED.as_bytes(),
        "byte for byte"
    );

    let shown = of(&running, "pourriel@example.org").await?;
    assert_eq!(shown["flags"], json!(["automatic", "list", "spam"]));
    let shown = of(&running, "outlook@example.org").await?;
    assert_eq!(
        (&shown["flags"], &shown["attachments"][0]["name"]),
        (&json!(["tnef"]), &json!("winmail.dat"))
    );

    // The same mails under other UIDs are known by their bytes; what is new comes.
    running.stop().await?;
    dovecot.stop();
    dovecot.change_uidvalidity("mairie")?;
    // UIDVALIDITY is a time in seconds: it must be another one.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    dovecot.restart().await?;
    let running = scratch.run().await?;
    running.up("mailbox").await?;
    let new = "From: nouveau@example.org\r\nSubject: Nouveau\r\nMessage-ID: <nouveau@example.org>\r\n\r\nBonjour\r\n";
    dovecot.client("mairie").await?.append("INBOX", new.as_bytes()).await?;
    of(&running, "nouveau@example.org").await?;
    let there = requests(&running, "channel=email").await?;
    ensure!(
        there.len() == mails.len() + 1,
        "{} requests of {} mails",
        there.len(),
        mails.len() + 1
    );
    running.stop().await
}
