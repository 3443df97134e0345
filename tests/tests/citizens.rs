//! Citizens against the real daemon: made over REST, named by the texts and calls that come from their number, and in nobody's
//! way.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::{Answer, Call, Invite};
use voxea_tests::smsc::{Ledger, Manner, Message, Smsc};

const PATIENCE: Duration = Duration::from_secs(20);
/// A call that did not ask for privacy, and one that did (RFC 3323 §4.1.1.3).
const CALLERS: [&str; 2] = ["0612345678", "anonymous"];

async fn daemon(smsc: &Smsc) -> Result<(Scratch, Running)> {
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"26200-26299\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n\
         [[sip.line]]\nnumber = \"3000\"\nbeep = false\n\n\
         [[smpp]]\nname = \"s\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n",
        smsc.address()
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    Ok((scratch, running))
}

async fn send(running: &Running, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Value> {
    let answered = running.rest().call_with(method, path, headers, Some(body)).await?;
    let text = String::from_utf8_lossy(&answered.body).into_owned();
    ensure!(
        (200..300).contains(&answered.status),
        "{method} {path}: {}: {text}",
        answered.status
    );
    answered.json()
}

/// Whose the requests of a sender are, the first one first.
async fn whose(running: &Running, channel: &str, from: &str) -> Result<Vec<Value>> {
    let all = requests(running, &format!("channel={channel}")).await?;
    let mine = all.into_iter().filter(|request| request["from"] == from);
    Ok(mine.map(|request| request["citizen"].clone()).collect())
}

async fn text(smsc: &Smsc, from: &str, text: &str) -> Result<()> {
    smsc.send(&Message::plain(from, text));
    ensure!(smsc.until(PATIENCE, Ledger::all_settled).await, "a text was not acknowledged");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_and_a_call_name_their_citizen() -> Result<()> {
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let (_scratch, running) = daemon(&smsc).await?;
    text(&smsc, "33612345678", "Avant que l'on me connaisse").await?;
    assert_eq!(whose(&running, "sms", "+33612345678").await?, [Value::Null]);

    let point = json!({"kind": "phone", "value": "06 12 34 56 78"});
    let new = json!({"kind": "person", "given_name": "Marie", "family_name": "Durand", "contact_points": [point]});
    let citizen = send(&running, "POST", "/v1/citizens", &[], &new).await?;
    let id = citizen["id"].clone();
    assert_eq!(whose(&running, "sms", "+33612345678").await?, std::slice::from_ref(&id));

    // A keyword opens a request of its own.
    text(&smsc, "33612345678", "VOIRIE un trou rue Foch").await?;
    assert_eq!(whose(&running, "sms", "+33612345678").await?, [id.clone(), id.clone()]);
    for stranger in ["33698765432", "36123", "MAIRIE"] {
        text(&smsc, stranger, "Bonjour").await?;
    }
    for stranger in ["+33698765432", "36123", "MAIRIE"] {
        assert_eq!(whose(&running, "sms", stranger).await?, [Value::Null], "{stranger}");
    }
    for caller in CALLERS {
        let Answer::Up(call) = Call::place(running.sip().await?, &Invite::new(caller, "3000")).await? else {
            bail!("{caller} was refused")
        };
        call.hang_up().await?;
    }
    let calls = requests(&running, "channel=voicemail").await?;
    let named: Vec<(&Value, &Value)> = calls.iter().map(|request| (&request["from"], &request["citizen"])).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    assert_eq!(named[0], (&json!("+33612345678"), &id));
    assert_eq!(named[1].1, &Value::Null);

    let theirs = running
        .rest()
        .get(citizen["links"]["requests"].as_str().context("no link")?)
        .await?;
    assert_eq!(theirs["items"].as_array().map(Vec::len), Some(3));
    let found = running.rest().get("/v1/citizens:lookup?phone=0612345678").await?;
    assert_eq!(found["items"][0]["id"], id);
    let log = running.log();
    for personal in ["612345678", "Durand", "0612"] {
        assert!(!log.contains(personal), "{personal} is in the log");
    }
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_survives_and_is_not_made_twice() -> Result<()> {
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let (scratch, running) = daemon(&smsc).await?;
    let key = [("Idempotency-Key", "citizen-1")];
    let new = json!({"kind": "organisation", "organisation": "Amicale", "contact_points": [{"kind": "phone", "value": "0612345678"}]});
    let first = send(&running, "POST", "/v1/citizens", &key, &new).await?;
    let stop = json!({"channel": "sms", "address": "+33698765432", "how": "STOP"});
    let noted = send(&running, "PUT", "/v1/opt-outs", &[], &stop).await?;
    running.kill().await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    assert_eq!(send(&running, "POST", "/v1/citizens", &key, &new).await?, first);
    assert_eq!(send(&running, "PUT", "/v1/opt-outs", &[], &stop).await?, noted);
    let all = running.rest().get("/v1/citizens").await?;
    assert_eq!(all["items"], json!([first]));
    text(&smsc, "33612345678", "Bonjour").await?;
    assert_eq!(whose(&running, "sms", "+33612345678").await?, std::slice::from_ref(&first["id"]));
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_reaches_who_wants_no_campaigns() -> Result<()> {
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let (_scratch, running) = daemon(&smsc).await?;
    let stop = json!({"channel": "sms", "address": "0612345678", "how": "STOP"});
    send(&running, "PUT", "/v1/opt-outs", &[], &stop).await?;
    text(&smsc, "33612345678", "Quand passe la benne ?").await?;
    let request = requests(&running, "channel=sms").await?.remove(0);
    let replies = request["links"]["replies"].as_str().context("no link")?.to_owned();
    send(&running, "POST", &replies, &[], &json!({"text": "Mardi"})).await?;
    let sent = |ledger: &Ledger| ledger.submits.iter().any(|submit| submit.destination.2 == "33612345678");
    ensure!(smsc.until(PATIENCE, sent).await, "the answer did not go out");
    running.stop().await
}
