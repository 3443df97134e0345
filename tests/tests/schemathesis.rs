//! The API against its own document: schemathesis calls every operation in every way that it can think of, with every kind
//! of key, and finds neither a 500 nor an answer that the document does not tell of.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::process::Command;
use voxea_tests::imap_server::ImapServer;
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::sip::{Answer, Call, Invite};
use voxea_tests::smsc::{Ledger, Manner, Message, Smsc};

const PATIENCE: Duration = Duration::from_secs(30);
/// Examples an operation; more find more.
const EXAMPLES: &str = "10";
const MAIL: &[u8] = b"From: a@example.org\r\nTo: mairie@example.fr\r\nSubject: Devis\r\nMessage-ID: <a@example.org>\r\n\
    MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Bonjour</p>\r\n\
    --b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\n\r\n%PDF-1.4\r\n--b--\r\n";

/// Ids of everything that an operation may ask for.
struct Ids {
    request: String,
    interaction: String,
    /// The interaction of a mail that has HTML.
    mail: String,
    reply: String,
    recording: String,
    attachment: String,
    citizen: String,
    point: String,
    webhook: String,
}

async fn seed(running: &Running, smsc: &Smsc, imap: &ImapServer) -> Result<Ids> {
    running.up("smpp").await?;
    running.up("mailbox").await?;
    smsc.send_all(&[Message::plain("33611111111", "Un lampadaire est en panne")]);
    ensure!(smsc.until(PATIENCE, Ledger::all_settled).await, "the text was not acknowledged");
    imap.deliver(MAIL)?;
    let Answer::Up(call) = Call::place(running.sip().await?, &Invite::new("0145000001", "3000")).await? else {
        bail!("the call was refused")
    };
    call.hang_up().await?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("an id is missing");
    let mut rest = running.rest();
    let of = async |channel: &str| -> Result<(String, Value)> {
        let there = |page: &Value| page["items"].as_array().is_some_and(|items| !items.is_empty());
        let page = running
            .rest()
            .until(&format!("/v1/requests?channel={channel}"), PATIENCE, there)
            .await?;
        let id = text(&page["items"][0]["id"])?;
        let ended = |shown: &Value| channel != "voicemail" || shown["items"][0]["call"]["end"].is_string();
        let shown = running
            .rest()
            .until(&format!("/v1/requests/{id}/interactions"), PATIENCE, ended)
            .await?;
        Ok((id, shown["items"][0].clone()))
    };
    let (request, interaction) = of("sms").await?;
    let (_, mail) = of("email").await?;
    let (_, voicemail) = of("voicemail").await?;
    let agent = json!({"name": "Jeanne Martin", "roles": ["reader"]});
    let made = rest
        .call_with("PUT", "/v1/agents/seeded", &[("if-none-match", "*")], Some(&agent))
        .await?;
    ensure!(made.status == 201, "the agent was not entered: {}", made.status);
    let brought = json!({"text": "Une demande", "status": "déposé"});
    let put = rest.call("PUT", "/v1/requests/by-external/ged/seeded", Some(&brought)).await?;
    ensure!(put.status == 201, "the request was not brought in: {}", put.status);
    let citizen = json!({"kind": "person", "family_name": "Durand", "contact_points": [{"kind": "phone", "value": "0611111111"}]});
    let citizen = rest.call("POST", "/v1/citizens", Some(&citizen)).await?.json()?;
    let reply = rest
        .call("POST", &format!("/v1/requests/{request}/replies"), Some(&json!({"text": "Merci"})))
        .await?
        .json()?;
    let made = rest
        .call("PUT", "/v1/consumers/seeded", Some(&json!({"from": "beginning"})))
        .await?;
    ensure!(made.status == 201, "the consumer was not made: {}", made.status);
    let webhook = json!({"url": "https://gru.example.fr/voxea"});
    let webhook = rest.call("POST", "/v1/webhooks", Some(&webhook)).await?.json()?;
    Ok(Ids {
        webhook: text(&webhook["id"])?,
        request,
        interaction: text(&interaction["id"])?,
        mail: text(&mail["id"])?,
        reply: text(&reply["id"])?,
        recording: text(&voicemail["recording"]["id"])?,
        attachment: text(&mail["attachments"][0]["id"])?,
        citizen: text(&citizen["id"])?,
        point: text(&citizen["contact_points"][0]["id"])?,
    })
}

/// The ids, as schemathesis is told them.
fn told(ids: &Ids) -> String {
    let mut file = String::new();
    for (path, id) in [
        ("requests/.id.", &ids.request),
        ("interactions/.id.(?!/html)", &ids.interaction),
        ("interactions/.id./html", &ids.mail),
        ("replies/.id.", &ids.reply),
        ("recordings/.id.", &ids.recording),
        ("attachments/.id.", &ids.attachment),
        ("citizens/.id.", &ids.citizen),
        ("webhooks/.id.", &ids.webhook),
    ] {
        file += &format!("[[operations]]\ninclude-path-regex = \"^/v1/{path}\"\nparameters = {{ \"path.id\" = \"{id}\" }}\n\n");
    }
    file += &format!(
        "[[operations]]\ninclude-path-regex = \"/contact-points/.pid.\"\nparameters = {{ \"path.id\" = \"{}\", \"path.pid\" = \"{}\" }}\n\n",
        ids.citizen, ids.point
    );
    file += "[[operations]]\ninclude-path-regex = \"^/v1/consumers/.name.\"\nparameters = { \"path.name\" = \"seeded\" }\n\n";
    file += "[[operations]]\ninclude-path-regex = \"^/v1/channels/.kind.\"\nparameters = { \"path.kind\" = \"smpp\", \"path.name\" = \"s\" }\n\n";
    file += "[[operations]]\ninclude-path-regex = \"^/v1/requests/by-external/\"\nparameters = { \"path.system\" = \"ged\", \"path.id\" = \"seeded\" }\n\n";
    file += "[[operations]]\ninclude-path-regex = \"^/v1/agents/.login.\"\nparameters = { \"path.login\" = \"seeded\" }\n";
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_one_that_the_document_tells_of() -> Result<()> {
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let imap = ImapServer::start("mairie", "secret").await?;
    let greeting = concat!(env!("CARGO_MANIFEST_DIR"), "/data/short-greeting.wav");
    let channels = format!(
        "[[smpp]]\nname = \"s\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n\n\
         [[mailbox]]\nname = \"m\"\naddress = \"{}\"\nsecurity = \"none\"\nuser = \"mairie\"\npassword = \"secret\"\nacknowledge = false\n\n\
         [webhooks]\nenabled = false\n\n\
         [sip]\nlisten = [\"udp:127.0.0.1:0\"]\nmedia_ports = \"26200-26299\"\n\n[[sip.trunk]]\nname = \"pbx\"\nallow = [\"127.0.0.0/8\"]\n\n\
         [[sip.line]]\nnumber = \"3000\"\ngreeting = \"{greeting}\"\nbeep = false\n",
        smsc.address(),
        imap.address()
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    let ids = seed(&running, &smsc, &imap).await?;
    let config = scratch.path().join("schemathesis.toml");
    std::fs::write(&config, told(&ids))?;
    let mut keys = vec![("admin".to_owned(), scratch.key.clone())];
    let kinds: [(&str, &[&str]); 5] = [
        ("read", &["--scope", "read"]),
        ("reply", &["--scope", "reply"]),
        ("intake", &["--scope", "intake"]),
        ("one theme", &["--scope", "read,reply,intake", "--theme", "voirie"]),
        ("two members", &["--scope", "read,reply", "--field", "status,channel"]),
    ];
    for (name, terms) in kinds {
        let made = scratch.say(&[&["key", "new", "--name", name], terms].concat()).await?;
        keys.push((name.to_owned(), made.trim().to_owned()));
    }
    let agent = json!({"name": "Paul Petit", "roles": ["agent"]});
    let (mut rest, password) = (running.rest(), "cheval rouge tasse");
    rest.call_with("PUT", "/v1/agents/petit", &[("if-none-match", "*")], Some(&agent))
        .await?;
    rest.call("PUT", "/v1/agents/petit/password", Some(&json!({"password": password})))
        .await?;
    let entered = rest
        .call("POST", "/v1/sessions", Some(&json!({"login": "petit", "password": password})))
        .await?
        .json()?;
    keys.push((
        "of an agent".to_owned(),
        entered["token"].as_str().context("no session")?.to_owned(),
    ));
    keys.push(("of nobody".to_owned(), "vx_000000000000_x".to_owned()));
    // What it changes, it changes one after another for each key; keys do not wait for each other.
    let (daemon, config) = (&running, &config);
    let runs = keys.iter().map(|(name, key)| async move {
        let (done, said) = schemathesis(daemon, config, &format!("http://{}/openapi.json", daemon.api), key).await?;
        ensure!(done, "key {name}: {said}");
        let summary = said.lines().filter(|line| line.contains("generated") || line.contains("Tested:"));
        if name == "admin" {
            // It would not have seen what the operations answer for things that are there.
            let told = said.split("Missing test data").nth(1).unwrap_or_default();
            let missing = told.lines().any(|line| line.trim_start().starts_with("- GET "));
            ensure!(!missing, "{said}");
        }
        println!("key {name}: {}", summary.map(str::trim).collect::<Vec<_>>().join(", "));
        anyhow::Ok(())
    });
    try_join_all(runs).await?;
    ensure!(requests(&running, "").await?.len() > 10, "it brought nothing in");
    let panics = running.log();
    ensure!(!panics.contains("panicked"), "{panics}");
    running.stop().await
}

/// Calls every operation of a document with a key: whether all was as the document tells, and what was said of it.
async fn schemathesis(running: &Running, config: &Path, document: &str, key: &str) -> Result<(bool, String)> {
    let binary = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/python/.venv/bin/schemathesis");
    let done = Command::new(binary)
        .arg("--config-file")
        .arg(config)
        .args(["run", document, "--url", &format!("http://{}", running.api)])
        .args(["--header", &format!("Authorization: Bearer {key}")])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--mode",
            "all",
            "--max-examples",
            EXAMPLES,
            "--seed",
            "1",
        ])
        // A browser's way to another server and back; login.rs walks it.
        .args(["--exclude-path-regex", "^/v1/oidc/|^/v1/changes/stream"])
        .args(["--continue-on-failure", "--warnings", "missing_test_data", "--checks"])
        .arg("not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance")
        .env("NO_COLOR", "1")
        // It keeps what it learns in the folder where it runs.
        .current_dir(config.parent().unwrap_or(config))
        .kill_on_drop(true)
        .output()
        .await
        .context("schemathesis is missing: scripts/install-peers")?;
    Ok((done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_keeps_something_back_is_found_out() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let mut document = running.rest().get("/openapi.json").await?;
    let path = document["paths"]["/v1/requests/{id}"].take();
    document["paths"] = json!({"/v1/requests/{id}": path});
    let answers = document["paths"]["/v1/requests/{id}"]["get"]["responses"].as_object_mut();
    answers.and_then(|answers| answers.remove("404")).context("404 is not told of")?;
    let file = scratch.path().join("openapi.json");
    std::fs::write(&file, document.to_string())?;
    let config = scratch.path().join("schemathesis.toml");
    std::fs::write(&config, "")?;
    let document = file.to_str().context("a path of ours is text")?;
    let (done, said) = schemathesis(&running, &config, document, &scratch.key).await?;
    ensure!(!done && said.contains("Undocumented status code"), "{said}");
    running.stop().await
}
