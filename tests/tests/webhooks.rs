//! Webhooks: the real daemon, receivers that verify with the public libraries, and deaths at any moment.
#![expect(clippy::print_stdout, reason = "a gate prints its figures")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use voxea_tests::authority::Authority;
use voxea_tests::dice::Dice;
use voxea_tests::postgres::Postgres;
use voxea_tests::receiver::{Language, Receiver};
use voxea_tests::scratch::{self, Rest, Running, Scratch};

const PATIENCE: Duration = Duration::from_secs(60);
/// What an attempt that died with its daemon holds for: it is made again after that.
const LEASE: Duration = Duration::from_secs(100);
const ALLOW: &str = "[webhooks]\nallow = [\"127.0.0.0/8\"]\n";

async fn town(store: &str, webhooks: &str) -> Result<Scratch> {
    Scratch::new(&scratch::binary()?, store, webhooks).await
}

/// A webhook, as the answer that made it shows it.
async fn made(rest: &mut Rest, content: Value) -> Result<Value> {
    let answered = rest.call("POST", "/v1/webhooks", Some(&content)).await?;
    ensure!(answered.status == 201, "{} {}", answered.status, answered.json()?);
    answered.json()
}

async fn posted(rest: &mut Rest, path: &str, content: Value, status: u16) -> Result<Value> {
    let answered = rest.call("POST", path, Some(&content)).await?;
    ensure!(answered.status == status, "{path}: {} {}", answered.status, answered.json()?);
    answered.json()
}

async fn visit(rest: &mut Rest, text: &str) -> Result<Value> {
    posted(rest, "/v1/intake/counter", json!({"from": "06 12 34 56 78", "text": text}), 201).await
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).context("a text is missing")
}

/// Every event of the feed, by id.
async fn feed(rest: &mut Rest) -> Result<Vec<Value>> {
    let (mut events, mut after) = (Vec::new(), String::new());
    loop {
        let page = rest.get(&format!("/v1/changes?limit=500{after}")).await?;
        events.extend(page["items"].as_array().into_iter().flatten().cloned());
        if page["has_more"] != true {
            return Ok(events);
        }
        after = format!("&after={}", text(&page["next"])?);
    }
}

async fn verified_by(language: Language) -> Result<()> {
    let scratch = town("sqlite:voxea.db", ALLOW).await?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    let mut receiver = Receiver::start(language).await?;
    for scheme in ["ed25519", "hmac"] {
        let path = format!("/take/{scheme}");
        let url = format!("http://127.0.0.1:{}{path}", receiver.port);
        let webhook = made(&mut rest, json!({"url": url, "scheme": scheme, "types": ["fr.voxea.request.*"]})).await?;
        let this = text(&webhook["links"]["self"])?;
        let key = |webhook: &Value| text(webhook["public_keys"][0].get("key").unwrap_or(&webhook["secret"]));
        let first = key(&webhook)?;
        ensure!(first.starts_with(if scheme == "hmac" { "whsec_" } else { "whpk_" }), "{webhook}");
        ensure!(rest.get(&this).await?["secret"].is_null(), "a secret is shown once");
        receiver.keys(std::slice::from_ref(&first)).await?;
        let test = posted(&mut rest, &format!("{this}/test"), json!({}), 202).await?;
        let came = receiver.until(&path, PATIENCE, |came| came.len() == 1).await?;
        ensure!(
            came[0]["id"] == test["event_id"] && came[0]["verified"] == json!([first]),
            "{came:?}"
        );
        ensure!(text(&came[0]["body"])?.contains("fr.voxea.webhook.test"), "{came:?}");

        // An event is told member by member as the feed has it.
        let request = visit(&mut rest, "Un lampadaire").await?;
        let came = receiver.until(&path, PATIENCE, |came| came.len() == 2).await?;
        let event: Value = serde_json::from_str(&text(&came[1]["body"])?)?;
        let in_feed = feed(&mut rest).await?.into_iter().find(|one| one["id"] == event["id"]);
        ensure!(
            in_feed.as_ref() == Some(&event) && event["subject"] == request["id"],
            "{event} {in_feed:?}"
        );
        ensure!(
            came[1]["verified"] == json!([first]) && came[1]["type"] == "application/cloudevents+json; charset=utf-8",
            "{came:?}"
        );

        // For a time two keys sign, and whoever knows either is content.
        let rotated = posted(&mut rest, &format!("{this}/rotate"), json!({}), 200).await?;
        let second = key(&rotated)?;
        receiver.keys(&[first.clone(), second.clone()]).await?;
        visit(&mut rest, "Un arbre").await?;
        let came = receiver.until(&path, PATIENCE, |came| came.len() == 3).await?;
        ensure!(first != second && came[2]["verified"] == json!([first, second]), "{came:?}");
        let rotated = posted(&mut rest, &format!("{this}/rotate"), json!({"overlap_hours": 0}), 200).await?;
        let third = key(&rotated)?;
        receiver.keys(&[first, second, third.clone()]).await?;
        visit(&mut rest, "Un banc").await?;
        let came = receiver.until(&path, PATIENCE, |came| came.len() == 4).await?;
        ensure!(came[3]["verified"] == json!([third]), "{came:?}");
        let answered = rest.call("DELETE", &this, None).await?;
        ensure!(answered.status == 204, "{}", answered.status);
        println!("{language:?}, {scheme}: 4 of 4 verified by the public library, 2 keys at once, the old one refused after");
    }
    let log = running.log();
    ensure!(
        !log.contains("whsec_") && !log.contains("whsk_") && !log.contains("/take/"),
        "an address or a key is in the log"
    );
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_verifies_every_signature() -> Result<()> {
    verified_by(Language::Python).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_verifies_every_signature() -> Result<()> {
    verified_by(Language::Node).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_of_the_authority_that_the_operator_names() -> Result<()> {
    let scratch = town("sqlite:voxea.db", &format!("{ALLOW}ca_file = \"ca.pem\"\n")).await;
    ensure!(scratch.is_err(), "an authority that is not there is refused");
    let scratch = town("sqlite:voxea.db", ALLOW).await?;
    let authority = Authority::new(scratch.path())?;
    authority.issue("receiver", "localhost")?;
    let file = |end: &str| scratch.path().join(format!("receiver.{end}"));
    let receiver = Receiver::start_with(Language::Python, Some((file("pem"), file("key")))).await?;
    let content = json!({"url": format!("https://localhost:{}/take", receiver.port)});
    let running = scratch.run().await?;
    let mut rest = running.rest();
    let webhook = made(&mut rest, content).await?;
    let this = text(&webhook["links"]["self"])?;
    posted(&mut rest, &format!("{this}/test"), json!({}), 202).await?;
    let shown = rest.until(&this, PATIENCE, |shown| shown["failing"] == true).await?;
    ensure!(text(&shown["last_error"])?.contains("authority that nobody here knows"), "{shown}");
    running.stop().await?;
    let config = scratch.path().join("voxea.toml");
    std::fs::write(&config, std::fs::read_to_string(&config)? + "ca_file = \"ca.pem\"\n")?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    posted(&mut rest, &format!("{this}/test"), json!({}), 202).await?;
    receiver.until("/take", PATIENCE, |came| !came.is_empty()).await?;
    rest.until(&this, PATIENCE, |shown| shown["failing"] == false).await?;
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_holds_up_nobody_else() -> Result<()> {
    let scratch = town("sqlite:voxea.db", &format!("{ALLOW}timeout_seconds = 2\n")).await?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    let receiver = Receiver::start(Language::Python).await?;
    let mut hooks = Vec::new();
    for path in ["/hang", "/refuse/503", "/redirect", "/refuse/429", "/gone", "/take"] {
        let url = format!("http://127.0.0.1:{}{path}", receiver.port);
        let webhook = made(&mut rest, json!({"url": url, "types": ["fr.voxea.request.created"]})).await?;
        hooks.push((path, text(&webhook["links"]["self"])?));
    }
    for number in 0..20 {
        visit(&mut rest, &format!("Demande {number}")).await?;
    }
    receiver.until("/take", PATIENCE, |came| came.len() == 20).await?;
    for (path, this) in &hooks {
        let wanted = |shown: &Value| match *path {
            "/take" => shown["state"] == "active" && shown["last_success_at"].is_string() && shown["failing"] == false,
            "/gone" => shown["state"] == "disabled",
            _ => shown["failing"] == true && shown["next_attempt"].is_string(),
        };
        let shown = rest.until(this, PATIENCE, wanted).await?;
        let said = shown["last_error"].as_str().unwrap_or_default().to_owned();
        let right = match *path {
            "/hang" => said == "no answer within 2 s",
            "/refuse/503" => said == "it answered 503",
            "/redirect" => said == "it answered 307",
            // Retry-After asks for an hour.
            "/refuse/429" => said == "it answered 429" && text(&shown["next_attempt"])? > text(&shown["created_at"])?,
            "/gone" => shown["reason"].as_str().is_some_and(|reason| reason.contains("410")),
            _ => said.is_empty(),
        };
        ensure!(right, "{path}: {shown}");
    }
    ensure!(receiver.came("/refuse/429").len() <= 4, "it was asked to be left alone");
    ensure!(receiver.came("/take").len() == 20, "a redirect was followed");
    let (_, gone) = &hooks[4];
    let deliveries = rest.get(&format!("{gone}/deliveries?state=failed")).await?;
    ensure!(deliveries["items"][0]["status"] == 410, "{deliveries}");
    let id = text(&deliveries["items"][0]["id"])?;
    posted(&mut rest, &format!("{gone}/deliveries/{id}/retry"), json!({}), 409).await?;
    let (_, refusing) = &hooks[1];
    let delivery = rest.get(&format!("{refusing}/deliveries?limit=1")).await?;
    let id = text(&delivery["items"][0]["id"])?;
    let before = receiver.came("/refuse/503").len();
    posted(&mut rest, &format!("{refusing}/deliveries/{id}/retry"), json!({}), 202).await?;
    receiver.until("/refuse/503", PATIENCE, |came| came.len() > before).await?;
    // What was sent is sent again, under its id.
    let (_, taking) = &hooks[5];
    posted(&mut rest, &format!("{taking}/replay"), json!({"after": "beginning"}), 202).await?;
    let came = receiver.until("/take", PATIENCE, |came| came.len() == 40).await?;
    let ids: BTreeSet<&str> = came.iter().filter_map(|came| came["id"].as_str()).collect();
    ensure!(ids.len() == 20, "{} ids", ids.len());
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reaches_through_the_daemon_what_only_it_can_reach() -> Result<()> {
    let scratch = town("sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    let receiver = Receiver::start(Language::Python).await?;
    for url in [
        format!("https://127.0.0.1:{}/take", receiver.port),
        format!("http://localhost:{}/take", receiver.port),
        format!("https://[::ffff:127.0.0.1]:{}/take", receiver.port),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://2130706433/".to_owned(),
        "https://user:password@gru.example.fr/".to_owned(),
        "https://gru.example.fr:25/".to_owned(),
    ] {
        let answered = rest.call("POST", "/v1/webhooks", Some(&json!({"url": url}))).await?;
        ensure!(
            answered.status == 422 && answered.json()?["errors"][0]["pointer"] == "/url",
            "{url}: {}",
            answered.status
        );
    }
    // A name is judged by what it means, when it is asked.
    let url = format!("https://localhost:{}/take", receiver.port);
    let webhook = made(&mut rest, json!({"url": url})).await?;
    let this = text(&webhook["links"]["self"])?;
    posted(&mut rest, &format!("{this}/test"), json!({}), 202).await?;
    let shown = rest.until(&this, PATIENCE, |shown| shown["failing"] == true).await?;
    ensure!(text(&shown["last_error"])?.contains("the address is this machine"), "{shown}");
    ensure!(receiver.came("/take").is_empty());
    running.stop().await
}

/// Kills the daemon again and again while requests come in, and holds what a receiver was told against the feed.
async fn kills(store: &str, count: u64, environment: &[(&str, &str)], patience: Duration) -> Result<(usize, usize)> {
    let mut scratch = town(store, ALLOW).await?;
    scratch.environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let receiver = Receiver::start(Language::Python).await?;
    let mut dice = Dice::new(0x5eed);
    let mut this = String::new();
    for death in 0..count {
        let mut running = scratch.run().await?;
        let mut rest = running.rest();
        if this.is_empty() {
            let url = format!("http://127.0.0.1:{}/take", receiver.port);
            this = text(&made(&mut rest, json!({"url": url, "from": "beginning"})).await?["links"]["self"])?;
        }
        let life = dice.time(Duration::from_millis(100), Duration::from_millis(700));
        let writing = async {
            for number in 0.. {
                // The last one dies with its daemon.
                if visit(&mut rest, &format!("Demande {death}-{number}")).await.is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(life, writing).await;
        if environment.iter().any(|(name, _)| *name == "VOXEA_FAILPOINT") {
            running.died().await?;
        } else {
            running.kill().await?;
        }
    }
    scratch.environment.clear();
    let running = scratch.run().await?;
    let mut rest = running.rest();
    visit(&mut rest, "La dernière").await?;
    let wanted: BTreeSet<String> = feed(&mut rest)
        .await?
        .iter()
        .map(|event| text(&event["id"]))
        .collect::<Result<_>>()?;
    let told = |came: &[Value]| {
        came.iter()
            .filter_map(|came| came["id"].as_str().map(str::to_owned))
            .collect::<BTreeSet<_>>()
    };
    let all = receiver.until("/take", patience, |came| told(came).is_superset(&wanted)).await;
    let came = receiver.came("/take");
    let missing = wanted.difference(&told(&came)).count();
    println!(
        "{count} deaths, {} events, {} attempts that came, {missing} events that did not",
        wanted.len(),
        came.len()
    );
    ensure!(all.is_ok() == (missing == 0));
    running.stop().await?;
    Ok((wanted.len(), missing))
}

fn deaths() -> u64 {
    std::env::var("VOXEA_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_told_whatever_dies_on_sqlite() -> Result<()> {
    let (events, missing) = kills("sqlite:voxea.db", deaths(), &[], LEASE).await?;
    ensure!(events > 20 && missing == 0, "{missing} of {events} are missing");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_told_whatever_dies_on_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    let (events, missing) = kills(&cluster.database("voxea")?, deaths(), &[], LEASE).await?;
    ensure!(events > 20 && missing == 0, "{missing} of {events} are missing");
    Ok(())
}

/// The gate can fail: with the position moved in a transaction of its own, a death behind it loses what was passed; in one
/// transaction with the deliveries, the same death loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_that_moves_first_is_caught() -> Result<()> {
    let death = ("VOXEA_FAILPOINT", "webhook_planned=3");
    let (_, missing) = kills("sqlite:voxea.db", 2, &[death], LEASE).await?;
    ensure!(missing == 0, "{missing} are missing");
    let (_, missing) = kills(
        "sqlite:voxea.db",
        2,
        &[death, ("VOXEA_MUTANT", "webhook_moves_first")],
        Duration::from_secs(60),
    )
    .await?;
    ensure!(missing > 0, "nothing was missed");
    Ok(())
}

/// What was told stands in the documentation as a program that verifies it: each is run as it stands there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_documentation_shows_verifies() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/webhooks.md"))?;
    let block = |language: &str| {
        let fence = format!("```{language}\n");
        let blocks = page.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next());
        blocks.map(str::to_owned).collect::<Vec<_>>()
    };
    let scratch = town("sqlite:voxea.db", ALLOW).await?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    let receiver = Receiver::start(Language::Python).await?;
    let (python, node) = (block("python"), block("js"));
    ensure!(python.len() == 2 && node.len() == 2, "{} {}", python.len(), node.len());
    let schemes = ["hmac", "ed25519"].into_iter().zip(python.iter().zip(&node));
    for (scheme, (python, node)) in schemes {
        let path = format!("/take/{scheme}");
        let url = format!("http://127.0.0.1:{}{path}", receiver.port);
        let webhook = made(&mut rest, json!({"url": url, "scheme": scheme})).await?;
        let key = text(webhook["public_keys"][0].get("key").unwrap_or(&webhook["secret"]))?;
        let this = text(&webhook["links"]["self"])?;
        posted(&mut rest, &format!("{this}/test"), json!({}), 202).await?;
        let came = receiver.until(&path, PATIENCE, |came| came.len() == 1).await?;
        let headers = came[0]["headers"].to_string();
        for (forged, body) in [(false, text(&came[0]["body"])?), (true, text(&came[0]["body"])? + " ")] {
            let call = format!("{python}\nprint(verify(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3].encode()))\n");
            let said = run(
                &root.join("tests/peers/python"),
                ".venv/bin/python",
                &["-c", &call, &key, &headers, &body],
            )
            .await?;
            ensure!(said.contains("webhook.test") != forged, "Python, {scheme}: {said}");
            let call = format!("{node}\nconsole.log(verify(process.argv[1], JSON.parse(process.argv[2]), process.argv[3]))\n");
            let said = run(
                &root.join("tests/peers/node"),
                "node",
                &["--input-type=module", "-e", &call, &key, &headers, &body],
            )
            .await?;
            ensure!(said.contains("webhook.test") != forged, "Node, {scheme}: {said}");
        }
        println!("{scheme}: the programs of docs/webhooks.md verify, and refuse what was changed");
    }
    running.stop().await
}

async fn run(folder: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let program = if program.contains('/') {
        folder.join(program)
    } else {
        program.into()
    };
    let done = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .await?;
    Ok(String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr))
}

/// The daemon was asked to stop while an attempt hung, and stops in its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hanging_receiver_does_not_hold_up_the_stop() -> Result<()> {
    let scratch = town("sqlite:voxea.db", ALLOW).await?;
    let running: Running = scratch.run().await?;
    let mut rest = running.rest();
    let receiver = Receiver::start(Language::Python).await?;
    made(&mut rest, json!({"url": format!("http://127.0.0.1:{}/hang", receiver.port)})).await?;
    visit(&mut rest, "Un lampadaire").await?;
    receiver.until("/hang", PATIENCE, |came| !came.is_empty()).await?;
    running.stop().await
}
