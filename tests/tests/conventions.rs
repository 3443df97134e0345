//! What holds for every call, against the real daemon and with tools that nobody here wrote: xmllint validates its XML, gzip and zstd
//! unpack its answers.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use voxea_tests::scratch::{self, Running, Scratch};

const XML: (&str, &str) = ("accept", "application/xml");

/// What a program makes of some bytes.
async fn through(program: &str, arguments: &[&str], bytes: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .with_context(|| format!("{program} is missing: scripts/install-peers"))?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    let (written, done) = tokio::join!(
        async move {
            stdin.write_all(bytes).await?;
            stdin.shutdown().await
        },
        child.wait_with_output()
    );
    let done = done?;
    ensure!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    written?;
    Ok(done.stdout)
}

async fn valid(schema: &Path, document: &[u8]) -> Result<()> {
    let schema = schema.to_str().context("a path of ours is text")?;
    through("xmllint", &["--nonet", "--noout", "--schema", schema, "-"], document)
        .await
        .map(drop)
}

/// Requests of every kind that a form makes, with odd texts.
async fn filled(running: &Running) -> Result<String> {
    let mut rest = running.rest();
    let fields = json!({"type": "object", "properties": {"lieu": {"type": "string"}, "danger": {"type": "boolean"}}});
    let theme = json!({"label": "Lampadaires", "service": "service-technique", "fields": fields});
    let put = rest
        .call_with("PUT", "/v1/themes/lampadaires", &[("if-none-match", "*")], Some(&theme))
        .await?;
    ensure!(put.status == 201, "{}", put.status);
    let mut last = String::new();
    for number in 0..30 {
        let body = json!({
            "from": "06 12 34 56 78", "name": "Zoé <Durand> & fils", "subject": format!("Nid de poule n° {number} \u{1}"),
            "text": "Un trou < 1 m & \"profond\"\r\nrue Foch\u{b}", "theme": "lampadaires", "fields": {"lieu": "rue <Foch>", "danger": true},
        });
        let made = rest.call("POST", "/v1/intake/web", Some(&body)).await?;
        ensure!(made.status == 201, "{}", String::from_utf8_lossy(&made.body));
        last = made.json()?["id"].as_str().context("no id")?.to_owned();
    }
    let body = json!({"id": "2026/1 <é>", "status": "en cours"});
    let put = rest.call("PUT", &format!("/v1/requests/{last}/external/ged"), Some(&body)).await?;
    ensure!(put.status == 201, "{}", put.status);
    Ok(last)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn xml_is_valid_by_its_published_schema() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let id = filled(&running).await?;
    let mut rest = running.rest();
    let schema = scratch.path().join("voxea-1.xsd");
    std::fs::write(&schema, rest.call("GET", "/schemas/voxea-1.xsd", None).await?.body)?;
    let mut seen = 0;
    for path in [
        "/v1/requests".to_owned(),
        format!("/v1/requests/{id}"),
        format!("/v1/requests/{id}/interactions"),
        "/v1/changes?limit=500".to_owned(),
        "/v1/requests/by-external/ged/2026%2F1%20%3C%C3%A9%3E".to_owned(),
    ] {
        let answered = rest.call_with("GET", &path, &[XML], None).await?;
        ensure!(
            answered.status == 200 && answered.header("content-type") == Some("application/xml"),
            "{path}: {}",
            answered.status
        );
        valid(&schema, &answered.body)
            .await
            .with_context(|| String::from_utf8_lossy(&answered.body).into_owned())?;
        seen += answered.body.len();
    }
    // That the validator would see what is wrong.
    let wrong = String::from_utf8(rest.call_with("GET", &format!("/v1/requests/{id}"), &[XML], None).await?.body)?;
    ensure!(valid(&schema, wrong.replace("<version>", "<version>x").as_bytes()).await.is_err());
    ensure!(
        valid(&schema, wrong.replace("<channel>", "<pigeon/><channel>").as_bytes())
            .await
            .is_err()
    );
    let contact = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<contact xmlns=\"urn:voxea:1\"><text>Bonjour</text><theme>lampadaires</theme>\
                   <fields><member name=\"danger\" type=\"boolean\">true</member></fields></contact>";
    valid(&schema, contact.as_bytes()).await?;
    let made = rest.send("POST", "/v1/intake/web", &[], Some(("application/xml", contact))).await?;
    ensure!(
        made.status == 201 && made.json()?["fields"] == json!({"danger": true}),
        "{}",
        String::from_utf8_lossy(&made.body)
    );
    let problem = rest.call_with("GET", "/v1/requests/nobody", &[XML], None).await?;
    ensure!(problem.header("content-type") == Some("application/problem+xml"));
    through("xmllint", &["--nonet", "--noout", "-"], &problem.body).await?;
    println!("{seen} bytes of XML are valid by the published schema");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entities_expand_to_nothing_and_cost_nothing() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let mut rest = running.rest();
    std::fs::write(scratch.path().join("secret"), "le secret")?;
    let secret = scratch.path().join("secret");
    let levels: String = (1..12)
        .map(|level| format!("<!ENTITY l{level} \"{}\">", format!("&l{};", level - 1).repeat(10)))
        .collect();
    let bombs = [
        format!("<!DOCTYPE contact [<!ENTITY l0 \"lol\">{levels}]><contact xmlns=\"urn:voxea:1\"><text>&l11;</text></contact>"),
        format!(
            "<!DOCTYPE contact [<!ENTITY x SYSTEM \"file://{}\">]><contact xmlns=\"urn:voxea:1\"><text>&x;</text></contact>",
            secret.display()
        ),
        format!("<contact xmlns=\"urn:voxea:1\">{}", "<a>".repeat(300_000)),
        format!(
            "<contact xmlns=\"urn:voxea:1\" {}/>",
            (0..60_000).map(|n| format!("a{n}=\"\" ")).collect::<String>()
        ),
    ];
    let before = running.memory()?;
    for bomb in &bombs {
        let refused = rest.send("POST", "/v1/intake/web", &[], Some(("application/xml", bomb))).await?;
        ensure!(
            refused.status == 400,
            "{}: {}",
            refused.status,
            String::from_utf8_lossy(&refused.body)
        );
        ensure!(!String::from_utf8_lossy(&refused.body).contains("secret"));
    }
    let after = running.memory()?;
    println!("memory before {before}, after {after}");
    ensure!(after < before + 64 * 1024 * 1024, "{before} to {after}");
    ensure!(rest.get("/v1/requests").await?["items"] == json!([]));
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_packed_as_others_unpack_them() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    filled(&running).await?;
    let mut rest = running.rest();
    let plain = rest.call("GET", "/v1/requests", None).await?;
    ensure!(plain.header("content-encoding").is_none() && plain.body.len() > 10_000);
    for (coding, program) in [("gzip", "gzip"), ("zstd", "zstd")] {
        let packed = rest.call_with("GET", "/v1/requests", &[("accept-encoding", coding)], None).await?;
        ensure!(packed.header("content-encoding") == Some(coding), "{coding}");
        let unpacked = through(program, &["-d", "-c"], &packed.body).await?;
        ensure!(unpacked == plain.body, "{coding} has another content");
        println!("{coding}: {} bytes become {}", plain.body.len(), packed.body.len());
        ensure!(packed.body.len() < plain.body.len() / 4);
    }
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_found_again_in_the_log_and_a_quota_is_kept() -> Result<()> {
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let config = scratch.path().join("voxea.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(
        &config,
        text.replace(
            "[api]\n",
            "[api]\nrequests_per_minute = 60\ncors_origins = [\"https://agents.example.fr\"]\n",
        ),
    )?;
    scratch.environment.push(("VOXEA_LOG".to_owned(), "voxea=debug".to_owned()));
    let running = scratch.run().await?;
    let mut rest = running.rest();
    let refused = rest
        .call_with("GET", "/v1/requests/nobody", &[("x-request-id", "trace-7f3a")], None)
        .await?;
    ensure!(refused.header("x-request-id") == Some("trace-7f3a"));
    ensure!(refused.json()?["instance"] == "urn:voxea:call:trace-7f3a");
    running.logged(&["trace-7f3a"]).await?;
    let log = running.log();
    let line = log.lines().find(|line| line.contains("trace-7f3a")).context("no line")?;
    let line: Value = serde_json::from_str(line)?;
    ensure!(line["span"]["id"] == "trace-7f3a" && line["status"] == 404, "{line}");
    let mut answered = 0;
    let last = loop {
        let one = rest.call("GET", "/v1/channels", None).await?;
        if one.status != 200 {
            break one;
        }
        answered += 1;
        ensure!(answered < 100, "no quota");
    };
    ensure!(last.status == 429 && last.header("retry-after") == Some("1"), "{}", last.status);
    ensure!(last.header("ratelimit-policy") == Some("\"key\";q=60;w=60"));
    let asked = [("origin", "https://agents.example.fr"), ("access-control-request-method", "GET")];
    let preflight = rest.send("OPTIONS", "/v1/requests", &asked, None).await?;
    ensure!(preflight.status == 204 && preflight.header("access-control-allow-origin") == Some("https://agents.example.fr"));
    running.stop().await?;
    // What is wrong with it is said before anything runs.
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text.replace("https://agents.example.fr", "http://agents.example.fr/"))?;
    let checked = scratch.command(&["check"]).output().await?;
    let said = String::from_utf8_lossy(&checked.stdout);
    ensure!(
        checked.status.code() == Some(2) && said.contains("cors_origins") && said.contains("http://agents.example.fr/"),
        "{said}"
    );
    Ok(())
}

/// How many replies there are after one was asked for under a key, the daemon died before it answered, and it was asked for again.
async fn replies_after_a_death(mutant: Option<&str>) -> Result<usize> {
    // Nobody listens there, so that nothing is sent meanwhile.
    let channels = "[[smpp]]\nname = \"s\"\naddress = \"127.0.0.1:1\"\nsystem_id = \"voxea\"\npassword = \"x\"\nnumber = \"36123\"\n";
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", channels).await?;
    let mutant = mutant.map(|name| ("VOXEA_MUTANT".to_owned(), name.to_owned()));
    scratch
        .environment
        .push(("VOXEA_FAILPOINT".to_owned(), "http.once.before_remember=1".to_owned()));
    scratch.environment.extend(mutant.clone());
    let mut running = scratch.run().await?;
    let mut rest = running.rest();
    let contact = json!({"from": "06 12 34 56 78", "text": "Bonjour"});
    let made = rest.call("POST", "/v1/intake/counter", Some(&contact)).await?.json()?;
    let path = format!("/v1/requests/{}/replies", made["id"].as_str().context("no id")?);
    let (key, reply) = ([("idempotency-key", "k1")], json!({"text": "Merci", "channel": "sms"}));
    ensure!(rest.call_with("POST", &path, &key, Some(&reply)).await.is_err(), "it answered");
    running.died().await?;
    scratch.environment = mutant.into_iter().collect();
    let running = scratch.run().await?;
    let mut rest = running.rest();
    let again = rest.call_with("POST", &path, &key, Some(&reply)).await?;
    ensure!(again.status == 202, "{}", String::from_utf8_lossy(&again.body));
    let shown = rest.get(&path.replace("/replies", "/interactions")).await?;
    let out = shown["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| one["direction"] == "out")
        .count();
    running.stop().await?;
    Ok(out)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_goes_out_once_though_the_daemon_dies() -> Result<()> {
    ensure!(replies_after_a_death(None).await? == 1);
    let seen = replies_after_a_death(Some("no_reply_origin")).await?;
    ensure!(seen == 2, "the story would not see a reply that goes out twice: {seen}");
    Ok(())
}
