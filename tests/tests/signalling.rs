//! What a PBX asks of signalling beyond a plain call: SIPp and a caller who knows bytes, against the running daemon.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::{Answer, Call, Invite};
use voxea_tests::sipp;
use voxea_tests::voicemail;

async fn daemon(ports: &str, trunk: &str) -> Result<(Scratch, Running)> {
    daemon_with(ports, trunk, "").await
}

async fn daemon_with(ports: &str, trunk: &str, line: &str) -> Result<(Scratch, Running)> {
    let channels = format!(
        "[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"{ports}\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n{trunk}\n{}",
        voicemail::line(line)
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    Ok((scratch, running))
}

async fn reliable(running: &Running, folder: &Path) -> Result<()> {
    plays(running, folder, "reliable.xml", &[]).await
}

async fn plays(running: &Running, folder: &Path, scenario: &str, more: &[&str]) -> Result<()> {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/sipp").join(scenario);
    let scenario = scenario.to_string_lossy();
    let mut arguments = vec!["-sf", &*scenario, "-timeout", "30", "-m", "1"];
    arguments.extend(more);
    sipp::run(running.sip().await?, folder, &arguments).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_requires_100rel_is_answered_and_all_that_it_says_is_kept() -> Result<()> {
    let (scratch, running) = daemon("24200-24299", "").await?;
    reliable(&running, scratch.path()).await?;
    let request = requests(&running, "channel=voicemail").await?.remove(0);
    assert_eq!(request["from"], "+33612345678", "who the trunk asserts, and not From");
    let call = voicemail::interaction(&running, &request).await?["call"].clone();
    assert_eq!(
        (&call["end"], &call["end_reason"]),
        (&json!("caller"), &json!("Q.850;cause=16")),
        "the cause, and no text"
    );
    assert_eq!(
        call["diverted_from"],
        json!(["+33145000001", "+33145000002"]),
        "the first diversion first"
    );
    let said = &call["signalling"];
    assert_eq!(
        (&said["trusted"], &said["verification"], &said["privacy"]),
        (&json!(true), &json!("passed"), &json!(["none"]))
    );
    assert_eq!(said["session_id"], "47755a9de7794ba387653f2099600ef2");
    assert_eq!(
        said["diversions"],
        json!([{"number": "0145000001", "reason": "unconditional"}, {"number": "0145000002", "reason": "no-answer"}])
    );
    assert_eq!(said["history"][1], json!({"index": "1.1", "number": "3000", "cause": 302}));
    assert_eq!(said["remote_party"][0]["screened"], true);
    running.stop().await
}

/// Outside its hours, where no messages are taken, a line costs nobody anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_line_is_heard_without_an_answer() -> Result<()> {
    let closed = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/short-greeting.wav");
    let line = format!(
        "closed_greeting = \"{}\"\nhours = \"closed\"\nclosed_takes_messages = false\n",
        closed.display()
    );
    let (scratch, running) = daemon_with("24600-24699", "", &line).await?;
    let ear = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    let port = ear.local_addr()?.port().to_string();
    plays(&running, scratch.path(), "unanswered.xml", &["-key", "audio_port", &port]).await?;
    let (mut packets, mut packet) = (0, [0; 2_048]);
    while ear.try_recv(&mut packet).is_ok() {
        packets += 1;
    }
    assert!(packets >= 10, "the sentence of 200 ms was heard: {packets} packets");
    let request = requests(&running, "channel=voicemail").await?.remove(0);
    let shown = voicemail::interaction(&running, &request).await?;
    assert_eq!(
        (&shown["call"]["end"], &shown["call"]["answered_at"], &shown["recording"]["state"]),
        (&json!("operator"), &Value::Null, &json!("failed"))
    );
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trunk_that_is_not_trusted_is_heard_and_not_believed() -> Result<()> {
    let (scratch, running) = daemon("24300-24399", "trusted = false\n").await?;
    reliable(&running, scratch.path()).await?;
    let request = requests(&running, "channel=voicemail").await?.remove(0);
    assert_ne!(request["from"], "+33612345678");
    let call = voicemail::interaction(&running, &request).await?["call"].clone();
    assert_eq!(call["diverted_from"], json!([]));
    assert_eq!(call["signalling"]["trusted"], false);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_trunk_hears_the_status_that_it_falls_back_on() -> Result<()> {
    let (_scratch, running) = daemon("24400-24499", "max_calls = 1\nfailure_status = 480\n").await?;
    let server = running.sip().await?;
    let Answer::Up(first) = Call::place(server, &Invite::new("+33612345678", "3000")).await? else {
        anyhow::bail!("the first call was refused")
    };
    let Answer::Refused(second) = Call::place(server, &Invite::new("+33612345679", "3000")).await? else {
        anyhow::bail!("the second call was taken in")
    };
    assert_eq!((second.status, second.header("Retry-After")), (480, Some("5")));
    first.hang_up().await?;
    let Answer::Up(third) = Call::place(server, &Invite::new("+33612345670", "3000")).await? else {
        anyhow::bail!("the place did not come back")
    };
    third.hang_up().await?;
    assert_eq!(
        requests(&running, "channel=voicemail").await?.len(),
        2,
        "who was refused is no request"
    );
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_to_stay_unknown_is_named_nowhere() -> Result<()> {
    let (_scratch, running) = daemon("24500-24599", "").await?;
    let mut invite = Invite::new("anonymous", "3000");
    invite.headers.push("P-Asserted-Identity: <tel:+33612345678>".to_owned());
    invite.headers.push("Privacy: id".to_owned());
    let Answer::Up(call) = Call::place(running.sip().await?, &invite).await? else {
        anyhow::bail!("refused")
    };
    call.hang_up().await?;
    let request = requests(&running, "channel=voicemail").await?.remove(0);
    let shown = voicemail::interaction(&running, &request).await?;
    assert_eq!((&request["from"], &shown["from"]), (&json!(""), &json!("")));
    assert!(shown["flags"].as_array().is_some_and(|flags| flags.contains(&json!("withheld"))));
    assert!(!shown.to_string().contains("612345678") && !request.to_string().contains("612345678"));
    assert_eq!(shown["call"]["signalling"]["privacy"], json!(["id"]));
    running.stop().await
}
