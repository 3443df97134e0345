//! A call, a text, a mail: what the citizen does, and what becomes of it.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use voxea_tests::sip::{Answer, Call, Impairment, Invite, g711};
use voxea_tests::smsc::Message;

use super::{PATIENCE, Stage};

const SPEECH: &[u8] = include_bytes!("../../../data/citizen-fr.wav");
const CALLER: &str = "0145000001";
const TEXTER: &str = "33612345678";
const WRITER: &str = "claire.martin@example.org";
const TEXT: &str = "Bonjour, le lampadaire devant l'école est cassé. Merci";
const MAIL: &str = "Comment inscrire ma fille à la cantine ?";

/// The request that came from an address by a channel, once it is there.
async fn request(stage: &Stage, channel: &str, from: &str) -> Result<Value> {
    let mut rest = stage.running.rest();
    let target = format!("/v1/requests?channel={channel}&limit=500");
    let mine = |list: &Value| {
        list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|item| item["from"] == from)
            .cloned()
    };
    let list = rest.until(&target, PATIENCE, |list| mine(list).is_some()).await?;
    mine(&list).context("no request")
}

/// What the citizen wrote, as an agent reads it.
async fn read_back(stage: &Stage, id: &str) -> Result<String> {
    let shown = stage.running.rest().get(&format!("/v1/requests/{id}/interactions")).await?;
    let first = &shown["items"][0];
    let flagged = first["flags"].as_array().is_some_and(|flags| flags.contains(&json!("undecodable")));
    ensure!(!flagged, "it could not be decoded: {}", first["text"]);
    Ok(text_of(first, "text").to_owned())
}

fn text_of<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or("?")
}

/// A citizen calls, hears the greeting, speaks, and hangs up.
pub(crate) async fn call(stage: &Stage, page: SocketAddr) -> Result<()> {
    let speech = g711::a_law_wav(SPEECH).context("the citizen's voice is no A-law")?;
    let server = stage.running.sip().await?;
    let mut invite = Invite::new(CALLER, "3000");
    invite
        .headers
        .push("Diversion: <sip:0145000000@pbx.example>;reason=no-answer".to_owned());
    let Answer::Up(call) = Call::place(server, &invite).await? else {
        bail!("the call was refused")
    };
    let request = request(stage, "voicemail", "+33145000001").await?;
    let (id, reference) = (text_of(&request, "id"), text_of(&request, "ref"));
    stage.say(&format!(
        "call    answered; request {reference} is in the database before the greeting begins"
    ));
    call.beep(PATIENCE).await?;
    stage.say("call    greeting and beep heard; the citizen speaks");
    call.play(speech, &Impairment::default()).await?;
    call.hang_up().await?;
    let target = format!("/v1/requests/{id}/interactions");
    let sealed = |shown: &Value| shown["items"][0]["recording"]["state"] == "sealed";
    let shown = stage.running.rest().until(&target, PATIENCE, sealed).await?;
    let interaction = &shown["items"][0];
    let recording = text_of(&interaction["recording"], "id");
    let milliseconds = interaction["recording"]["duration_ms"].as_u64().unwrap_or(0);
    let spoken = speech.len() as u64 / 8;
    stage.say(&format!(
        "call    hung up ({}); recording of {:.1} s sealed, {:.1} s were spoken; diverted from {}",
        text_of(&interaction["call"], "end"),
        milliseconds as f64 / 1000.0,
        spoken as f64 / 1000.0,
        interaction["call"]["diverted_from"]
    ));
    stage.say(&format!("call    listen: http://{page}/audio/{recording}"));
    ensure!(
        (spoken..spoken + 1000).contains(&(milliseconds + 40)),
        "{milliseconds} ms were recorded of {spoken}"
    );
    let audio = stage
        .running
        .rest()
        .call("GET", &format!("/v1/recordings/{recording}/audio"), None)
        .await?;
    ensure!(
        audio.status == 200 && audio.body.starts_with(b"RIFF"),
        "the audio cannot be fetched: {}",
        audio.status
    );
    Ok(())
}

/// A citizen texts and is answered.
pub(crate) async fn text(stage: &Stage) -> Result<()> {
    stage.smsc.send(&Message::plain(TEXTER, TEXT));
    let request = request(stage, "sms", "+33612345678").await?;
    let (id, reference) = (text_of(&request, "id"), text_of(&request, "ref"));
    stage.say(&format!("text    taken in and acknowledged to the operator: request {reference}"));
    let read = read_back(stage, id).await?;
    ensure!(read == TEXT, "{read:?} is read where {TEXT:?} was sent");
    stage.say(&format!("text    read back as it was sent: « {TEXT} »"));
    let reply = json!({"text": format!("Bonjour, votre demande {reference} est transmise au service voirie.")});
    let answered = stage
        .running
        .rest()
        .call("POST", &format!("/v1/requests/{id}/replies"), Some(&reply))
        .await?;
    ensure!(answered.status == 202, "the reply was refused: {}", answered.status);
    let reply = answered.json()?;
    let seen = stage.smsc.until(PATIENCE, |ledger| !ledger.submits.is_empty()).await;
    ensure!(seen, "the operator saw no reply");
    let submitted = stage
        .smsc
        .look(|ledger| ledger.submits.first().map(|submit| submit.text().chars().count()));
    stage.say(&format!(
        "text    reply handed to the operator, {} characters",
        submitted.unwrap_or(0)
    ));
    let target = format!("/v1/replies/{}", text_of(&reply, "id"));
    stage
        .running
        .rest()
        .until(&target, PATIENCE, |reply| reply["state"] == "delivered")
        .await?;
    stage.say("text    receipt came: the reply is delivered");
    let idle = |channels: &Value| {
        let mut items = channels["items"].as_array().into_iter().flatten();
        items.any(|channel| channel["kind"] == "smpp" && channel["queue"] == 0)
    };
    stage.running.rest().until("/v1/channels", PATIENCE, idle).await?;
    Ok(())
}

/// A citizen writes and gets an acknowledgement.
pub(crate) async fn mail(stage: &Stage) -> Result<()> {
    let mail = format!(
        "From: Claire Martin <{WRITER}>\r\nTo: mairie@example.fr\r\nSubject: =?utf-8?q?Inscription_=C3=A0_la_cantine?=\r\n\
         Date: Tue, 24 Nov 2026 09:00:00 +0100\r\nMessage-ID: <demo-1@example.org>\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
         Bonjour,\r\n\r\n{MAIL}\r\n\r\nClaire Martin\r\n"
    );
    let uid = stage.mailbox.deliver(mail.as_bytes())?;
    let request = request(stage, "email", WRITER).await?;
    stage.say(&format!(
        "mail    taken in: request {}, « {} »",
        text_of(&request, "ref"),
        text_of(&request, "subject")
    ));
    tokio::time::timeout(PATIENCE, stage.mailbox.settled(uid))
        .await
        .context("the mail was not marked as read")?;
    stage.say("mail    marked as read on the server, after the commit");
    let id = text_of(&request, "id");
    let read = read_back(stage, id).await?;
    ensure!(read.contains(MAIL), "{read:?} is read where {MAIL:?} was sent");
    let reply = json!({"text": "Bonjour Madame,\n\nL'inscription se fait au guichet des écoles.\n\nLa mairie"});
    let answered = stage
        .running
        .rest()
        .call("POST", &format!("/v1/requests/{id}/replies"), Some(&reply))
        .await?;
    ensure!(answered.status == 202, "the reply was refused: {}", answered.status);
    let received = stage.sink.wait(2, PATIENCE).await?;
    let kind = received
        .iter()
        .find_map(|mail| mail.header("Auto-Submitted"))
        .context("no acknowledgement came")?;
    stage.say(&format!(
        "mail    acknowledgement received by the citizen's mail server (Auto-Submitted: {kind})"
    ));
    let target = format!("/v1/replies/{}", text_of(&answered.json()?, "id"));
    stage
        .running
        .rest()
        .until(&target, PATIENCE, |reply| reply["state"] == "submitted")
        .await?;
    stage.say("mail    the agent's answer is with the mail server, in the same thread");
    Ok(())
}

/// A back-office application pulls all of it.
pub(crate) async fn feed(stage: &Stage) -> Result<()> {
    let page = stage.running.rest().get("/v1/changes?limit=500").await?;
    let events = page["items"].as_array().context("no events")?;
    let created = events.iter().filter(|event| event["type"] == "fr.voxea.request.created").count();
    stage.say(&format!(
        "feed    {} events in commit order, {created} of them new requests",
        events.len()
    ));
    ensure!(created == 3, "{created} requests were created, not 3");
    Ok(())
}
