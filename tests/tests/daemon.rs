//! The daemon as its operator and a back-office developer meet it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use voxea_tests::kill::requests;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch::{self, Rest, Running, Scratch};
use voxea_tests::smsc::{Ledger, Manner, Message, Smsc};

const PATIENCE: Duration = Duration::from_secs(20);

const SIP: &str = "[sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\nmedia_ports = \"26000-26099\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n[[sip.line]]\nnumber = \"3000\"\n\n";

async fn counter(rest: &mut Rest, key: &str, text: &str) -> Result<(u16, Value)> {
    let body = json!({"from": "0612345678", "name": "Claire", "text": text});
    let answered = rest
        .call_with("POST", "/v1/intake/counter", &[("Idempotency-Key", key)], Some(&body))
        .await?;
    Ok((answered.status, answered.json()?))
}

async fn rest_story(store: &str) -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, store, "").await?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    let (status, first) = counter(&mut rest, "k1", "Un nid-de-poule").await?;
    assert_eq!(status, 201);
    assert_eq!(
        counter(&mut rest, "k1", "Un nid-de-poule").await?,
        (201, first.clone()),
        "the same call, the same answer"
    );
    assert_eq!(counter(&mut rest, "k1", "Autre chose").await?.0, 422);
    for number in 0..4 {
        assert_eq!(counter(&mut rest, &format!("n{number}"), "Bonjour").await?.0, 201);
    }
    let path = format!("/v1/requests/{}", first["id"].as_str().context("no id")?);
    let shown = rest.call("GET", &path, None).await?;
    let tag = shown.header("ETag").context("no ETag")?.to_owned();
    let patch = json!({"status": "in_progress", "assignee": "Paul"});
    assert_eq!(rest.call("PATCH", &path, Some(&patch)).await?.status, 428);
    let patched = rest.call_with("PATCH", &path, &[("If-Match", &tag)], Some(&patch)).await?;
    assert_eq!((patched.status, patched.json()?["status"].as_str()), (200, Some("in_progress")));
    let stale = rest.call_with("PATCH", &path, &[("If-Match", &tag)], Some(&patch)).await?;
    assert_eq!(
        (stale.status, stale.header("Content-Type")),
        (412, Some("application/problem+json"))
    );
    let now = patched.header("ETag").context("no ETag")?.to_owned();
    let wrong = rest
        .call_with("PATCH", &path, &[("If-Match", &now)], Some(&json!({"status": "received"})))
        .await?;
    assert_eq!(wrong.status, 409);
    for (target, status) in [
        ("/v1/requests?limit=0", 400),
        ("/v1/requests?limit=501", 400),
        ("/v1/requests?after=nonsense", 400),
        ("/v1/changes?after=nonsense", 400),
        ("/v1/requests/00000000-0000-7000-8000-000000000000", 404),
        ("/v1/replies/x", 404),
        ("/nowhere", 404),
    ] {
        let answered = rest.call("GET", target, None).await?;
        let problem = answered.json()?;
        assert_eq!(
            (answered.status, problem["status"].as_u64()),
            (status, Some(u64::from(status))),
            "{target}"
        );
        assert!(
            problem["type"].is_string() && problem["title"].is_string() && problem["detail"].is_string(),
            "{problem}"
        );
    }
    assert_eq!(
        Rest::new(running.api, "vx_000000000000_x")
            .call("GET", "/v1/requests", None)
            .await?
            .status,
        401
    );
    // Pages of two see all five, in order, and the feed agrees.
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let page = rest.get(&format!("/v1/requests?limit=2{after}")).await?;
        seen.extend(page["items"].as_array().into_iter().flatten().map(|item| item["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let changes = rest.get("/v1/changes?limit=500").await?;
    let events: Vec<&Value> = changes["items"].as_array().into_iter().flatten().collect();
    let created: Vec<Value> = events
        .iter()
        .filter(|event| event["type"] == "fr.voxea.request.created")
        .map(|event| event["subject"].clone())
        .collect();
    assert_eq!((seen.len(), &seen), (5, &created));
    assert!(
        events
            .iter()
            .all(|event| event["specversion"] == "1.0" && event["sequence"].as_str().is_some_and(|text| text.len() == 20))
    );
    let next = changes["next"].as_str().context("next is never null")?;
    let end = rest.get(&format!("/v1/changes?after={next}")).await?;
    assert_eq!(
        (
            end["items"].as_array().map(Vec::len),
            end["has_more"].as_bool(),
            end["next"].as_str()
        ),
        (Some(0), Some(false), Some(next))
    );
    // Answers are remembered across a restart.
    running.stop().await?;
    let running = scratch.run().await?;
    let again = counter(&mut running.rest(), "k1", "Un nid-de-poule").await?;
    assert_eq!((again.0, &again.1["id"]), (201, &first["id"]));
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_keeps_its_word_on_sqlite() -> Result<()> {
    rest_story("sqlite:voxea.db").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_keeps_its_word_on_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    rest_story(&cluster.database("voxea")?).await
}

/// Every documented GET answers as documented, with the members that its schema requires.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_and_the_daemon_say_the_same() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", SIP).await?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    let (_, request) = counter(&mut rest, "k", "Bonjour").await?;
    let document = rest.get("/openapi.json").await?;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let mut called = 0;
    for (path, item) in document["paths"].as_object().context("no paths")? {
        let Some(operation) = item.get("get") else { continue };
        if path == "/v1/changes/stream" {
            // It has no end; tests/feed.rs listens to it.
            continue;
        }
        let id = if path.starts_with("/v1/requests/") {
            request["id"].as_str().unwrap_or_default()
        } else {
            "00000000-0000-7000-8000-000000000000"
        };
        let answered = rest.call("GET", &path.replace("{id}", id), None).await?;
        let response = &operation["responses"][answered.status.to_string()];
        assert!(
            response.is_object(),
            "GET {path} answered {}, which is not documented",
            answered.status
        );
        called += 1;
        let reference = response["content"]["application/json"]["schema"]["$ref"].as_str();
        let Some(schema) = reference.and_then(|reference| reference.rsplit('/').next()) else {
            continue;
        };
        let body = answered.json()?;
        for member in document["components"]["schemas"][schema]["required"]
            .as_array()
            .into_iter()
            .flatten()
        {
            assert!(
                body.get(member.as_str().unwrap_or_default()).is_some(),
                "GET {path} lacks {member}: {body}"
            );
        }
    }
    assert!(called >= 14, "{called} calls");
    running.stop().await
}

/// Strangers' bytes on every port; then a text still comes in, and memory is where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_every_port_stops_nothing() -> Result<()> {
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let channels = format!(
        "{SIP}[[smpp]]\nname = \"s\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n",
        smsc.address()
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    let sip = running.up("sip").await?;
    let before = running.memory()?;
    let mut dice = voxea_tests::kill::Dice::new(4475);
    let mut bytes = move |count: usize| (0..count).map(|_| u8::try_from(dice.below(256)).unwrap_or(0)).collect::<Vec<u8>>();
    let udp = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    for address in &sip {
        let (transport, address) = address.split_once(':').context("an address")?;
        for round in 0..200 {
            let garbage = bytes(round * 7);
            if transport == "udp" {
                udp.send_to(&garbage, address).await?;
            } else if let Ok(mut stream) = tokio::net::TcpStream::connect(address).await {
                let _ = stream.write_all(&garbage).await;
                let _ = stream
                    .write_all(b"INVITE sip:x SIP/2.0\r\nContent-Length: 99999999999999\r\n\r\n")
                    .await;
            }
        }
    }
    for round in 0..100 {
        if let Ok(mut stream) = tokio::net::TcpStream::connect(running.api).await {
            let _ = stream.write_all(&bytes(round * 11)).await;
        }
    }
    smsc.send_raw(&[&[0_u8, 0, 0, 200, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1][..], &bytes(184)].concat());
    smsc.send(&Message::plain("33612345678", "Toujours là ?"));
    ensure!(smsc.until(PATIENCE, Ledger::all_settled).await, "the text was not taken in");
    assert!(
        requests(&running, "channel=sms")
            .await?
            .iter()
            .any(|request| request["from"] == "+33612345678")
    );
    assert_eq!(voxea_tests::sip::options(running.sip().await?).await?, 200);
    let grown = running.memory()?.saturating_sub(before) / 1_048_576;
    assert!(grown < 50, "{grown} MB more");
    running.stop().await
}

/// One of everything, as loud as it gets: nothing of a citizen, and no secret, stands in the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_nothing_of_citizens() -> Result<()> {
    let smsc = Smsc::listen("voxea", "hunter2x", Manner::default()).await?;
    let channels = format!(
        "{SIP}[[smpp]]\nname = \"s\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"hunter2x\"\nnumber = \"36123\"\n",
        smsc.address()
    );
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    scratch.environment.push(("VOXEA_LOG".to_owned(), "trace".to_owned()));
    let running = scratch.run().await?;
    running.up("smpp").await?;
    smsc.send(&Message::plain("33687654321", "Texte confidentiel"));
    ensure!(smsc.until(PATIENCE, Ledger::all_settled).await, "the text was not taken in");
    counter(&mut running.rest(), "k", "Visite confidentielle").await?;
    let voxea_tests::sip::Answer::Up(call) =
        voxea_tests::sip::Call::place(running.sip().await?, &voxea_tests::sip::Invite::new("0198765432", "3000")).await?
    else {
        anyhow::bail!("refused")
    };
    call.hang_up().await?;
    let id = requests(&running, "channel=sms").await?[0]["id"]
        .as_str()
        .context("no id")?
        .to_owned();
    let reply = json!({"text": "Réponse confidentielle"});
    running
        .rest()
        .call("POST", &format!("/v1/requests/{id}/replies"), Some(&reply))
        .await?;
    ensure!(smsc.until(PATIENCE, |ledger| !ledger.submits.is_empty()).await, "no reply");
    let log = running.log();
    running.stop().await?;
    assert!(
        log.contains("\"level\":\"DEBUG\"") || log.contains("\"level\":\"TRACE\""),
        "the log is not loud: {log}"
    );
    for secret in [
        "87654321",
        "confidentiel",
        "98765432",
        "12345678",
        "Claire",
        "hunter2x",
        &scratch.key[16..],
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_says_everything_that_is_wrong_with_its_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("voxea.toml");
    let wrong = "[organisation]\nname = \"M\"\ntime_zone = \"Europe/Pari\"\n[store]\nurl = \"mysql:x\"\n[api]\nlissten = \"127.0.0.1:0\"\nstop_seconds = \"ten\"\n[[smpp]]\nname = \"s\"\naddress = \"127.0.0.1:2775\"\nsystem_id = \"v\"\npassword_file = \"missing\"\nnumber = \"36123\"\nwindow = 0\n";
    std::fs::write(&file, wrong)?;
    let checked = Command::new(scratch::binary()?)
        .args(["check", "--config"])
        .arg(&file)
        .output()
        .await?;
    assert_eq!(checked.status.code(), Some(2));
    let words = String::from_utf8(checked.stdout)?;
    for line in [
        "line 3: organisation.time_zone",
        "line 5: store.url",
        "line 7: api.lissten",
        "line 8: api.stop_seconds",
        "line 13: smpp[0].password_file",
        "line 15: smpp[0].window",
    ] {
        assert!(words.contains(line), "{line} is missing in:\n{words}");
    }
    assert!(words.contains("did you mean listen?"));
    let sample = Command::new(scratch::binary()?)
        .args(["check", "--config", concat!(env!("CARGO_MANIFEST_DIR"), "/../config/voxea.toml")])
        .output()
        .await?;
    assert_eq!(sample.status.code(), Some(0), "the shipped sample passes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_works_at_once_and_until_it_is_revoked() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let key = |arguments: &'static [&'static str]| {
        let config = scratch.path().join("voxea.toml");
        async move {
            anyhow::Ok(
                Command::new(scratch::binary()?)
                    .arg("key")
                    .args(arguments)
                    .arg("--config")
                    .arg(config)
                    .output()
                    .await?,
            )
        }
    };
    let made = key(&["new", "--name", "reader", "--scope", "read"]).await?;
    let token = String::from_utf8(made.stdout)?.trim().to_owned();
    let mut rest = Rest::new(running.api, &token);
    assert_eq!(rest.call("GET", "/v1/requests", None).await?.status, 200);
    assert_eq!(
        rest.call("POST", "/v1/intake/counter", Some(&json!({"text": "x"}))).await?.status,
        403
    );
    let id = token.split('_').nth(1).context("no id")?.to_owned();
    let config = scratch.path().join("voxea.toml");
    let revoked = Command::new(scratch::binary()?)
        .args(["key", "revoke", &id, "--config"])
        .arg(config)
        .output()
        .await?;
    assert!(revoked.status.success());
    assert_eq!(rest.call("GET", "/v1/requests", None).await?.status, 401);
    let begun = Instant::now();
    stop(running).await?;
    assert!(begun.elapsed() < Duration::from_secs(10));
    Ok(())
}

async fn stop(running: Running) -> Result<()> {
    running.stop().await
}
