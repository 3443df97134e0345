//! Who may come in, against the real daemon: agents made on the machine, agents and programs of a real identity provider.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use voxea_tests::peer::Node;
use voxea_tests::scratch::{self, Answered, Rest, Running, Scratch};
use voxea_tests::timing::measure;

const PASSWORD: &str = "cheval rouge tasse";
/// Longer than the pause between two looks at a provider's keys.
const TURNED: Duration = Duration::from_secs(90);

async fn enter(running: &Running, login: &str, password: &str) -> Result<Answered> {
    let body = json!({"login": login, "password": password});
    Rest::new(running.api, "").call("POST", "/v1/sessions", Some(&body)).await
}

fn as_token(running: &Running, token: &Value) -> Result<Rest> {
    Ok(Rest::new(running.api, token.as_str().context("no token")?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_administrator_is_made_on_the_machine() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let file = scratch.path().join("first.password");
    let path = file.to_str().context("a path of ours is text")?;
    let add = |login: &'static str, role: &'static str| {
        let arguments = [
            "agent",
            "add",
            login,
            "--name",
            "Jeanne Dupond",
            "--role",
            role,
            "--password-file",
            path,
        ];
        arguments.map(str::to_owned)
    };
    let say = async |arguments: &[String]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        scratch.say(&arguments).await
    };
    std::fs::write(&file, format!("{PASSWORD}\n"))?;
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644))?;
    let open = say(&add("chef", "administrator")).await.unwrap_err().to_string();
    assert!(open.contains("chmod o-rwx"), "{open}");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600))?;
    let nobody = say(&add("chef", "roi")).await.unwrap_err().to_string();
    assert!(nobody.contains("administrator, agent, reader"), "{nobody}");
    assert_eq!(say(&add("chef", "administrator")).await?, "chef can log in\n");
    let twice = say(&add("chef", "administrator")).await.unwrap_err().to_string();
    assert!(twice.contains("there is an agent with this login"), "{twice}");
    std::fs::write(&file, "azertyuiop\n")?;
    let weak = say(&add("weak", "agent")).await.unwrap_err().to_string();
    assert!(weak.contains("the password: 47 bits; at least 50 are needed"), "{weak}");

    let mut running = scratch.run().await?;
    let entered = enter(&running, "Chef", PASSWORD).await?;
    assert_eq!(entered.status, 201);
    let entered = entered.json()?;
    let mut chief = as_token(&running, &entered["token"])?;
    let made = chief
        .call_with(
            "PUT",
            "/v1/agents/j.martin",
            &[("if-none-match", "*")],
            Some(&json!({"name": "J", "roles": ["reader"]})),
        )
        .await?;
    assert_eq!(made.status, 201);
    let set = chief
        .call(
            "PUT",
            "/v1/agents/j.martin/password",
            Some(&json!({"password": "autre tasse bleue"})),
        )
        .await?;
    assert_eq!(set.status, 204);
    let reader = enter(&running, "j.martin", "autre tasse bleue").await?.json()?;
    let mut reader = as_token(&running, &reader["token"])?;
    assert_eq!(reader.get("/v1/me").await?["grants"][0]["operations"], json!(["read"]));
    assert_eq!(
        reader.call("POST", "/v1/intake/counter", Some(&json!({"text": "a"}))).await?.status,
        403
    );
    // A session outlives the daemon, and ends when its holder is disabled, by whatever process.
    running.stop().await?;
    running = scratch.run().await?;
    let mut reader = as_token(&running, &json!(reader.key()))?;
    assert_eq!(reader.call("GET", "/v1/me", None).await?.status, 200);
    scratch.say(&["agent", "disable", "j.martin"]).await?;
    assert_eq!(reader.call("GET", "/v1/me", None).await?.status, 401);
    assert_eq!(enter(&running, "j.martin", "autre tasse bleue").await?.status, 401);
    let listed = scratch.say(&["agent", "list"]).await?;
    assert!(
        listed.contains("j.martin\tJ\treader\tpassword\t") && listed.contains("\tdisabled"),
        "{listed}"
    );
    // Each way in and out is a row of the trail: of who came in by their id, of who did not by what was typed.
    let mut chief = as_token(&running, &json!(chief.key()))?;
    assert_eq!(chief.call("DELETE", "/v1/sessions/current", None).await?.status, 204);
    assert_eq!(enter(&running, "Chef", "autre tasse bleue").await?.status, 401);
    assert_eq!(enter(&running, "nobody.here", "autre tasse bleue").await?.status, 401);
    let trail = running.rest().get("/v1/audit?limit=500").await?;
    let rows = trail["items"].as_array().context("no trail")?;
    let told = |action: &str| -> Vec<(&Value, &Value, &Value)> {
        let of = rows.iter().filter(|row| row["action"] == action);
        of.map(|row| (&row["actor"], &row["object"], &row["detail"])).collect()
    };
    let (came, went) = (told("logged_in"), told("logged_out"));
    ensure!(came.len() == 2 && went.len() == 1, "{came:?} {went:?}");
    assert_eq!((came[0].0, came[0].2), (went[0].0, &json!({"by": "password"})));
    let (nobody, by) = (json!("nobody"), json!({"by": "password"}));
    let refused = ["login/j.martin", "login/Chef", "login/nobody.here"].map(Value::from);
    let wanted: Vec<_> = refused.iter().map(|object| (&nobody, object, &by)).collect();
    assert_eq!(told("login_refused"), wanted, "nothing tells which of them exists");
    let log = running.log();
    ensure!(log.contains("login_refused") && log.contains("logged_out"), "{log}");
    // What was typed is in no log.
    for secret in [PASSWORD, "autre tasse", "j.martin", "nobody.here", "Dupond", "vs_"] {
        assert!(!running.log().contains(secret), "{secret} is in the log");
    }
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_looks_the_same_for_who_exists() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    let measured = measure(&running, 100).await?;
    // The time is for people to look at; a busy machine proves nothing.
    writeln!(std::io::stdout(), "{}", measured.report())?;
    assert_eq!(measured.answers.len(), 1, "{:?}", measured.answers);
    assert!(measured.answers.iter().all(|answer| answer.starts_with("401\n")));
    running.stop().await
}

/// The identity provider, and its URL.
async fn provider() -> Result<(Node, String)> {
    let (node, listening) = Node::start("issuer.mjs", "oidc-provider").await?;
    Ok((node, listening["issuer"].as_str().context("no issuer")?.to_owned()))
}

/// What a browser sees that logs in as somebody: the answer of the callback.
async fn browse(running: &Running, node: &mut Node, login: &str, keeps_cookie: bool) -> Result<(Answered, String, String)> {
    let mut rest = Rest::new(running.api, "");
    let sent = rest.call("GET", "/v1/oidc/login", None).await?;
    ensure!(sent.status == 303, "{}: {}", sent.status, String::from_utf8_lossy(&sent.body));
    let cookie = sent.header("set-cookie").context("no cookie")?;
    ensure!(
        cookie.contains("; HttpOnly; SameSite=Lax; Secure") && cookie.contains("Path=/v1/oidc"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let order = json!({"browse": sent.header("location").context("no location")?, "login": login});
    let back = node.order(&order, "back").await?;
    let back = back["url"].as_str().context("no url")?;
    let target = back.strip_prefix("https://voxea.example.fr").context("sent elsewhere")?.to_owned();
    let headers = [("cookie", cookie.as_str())];
    let answered = rest
        .call_with("GET", &target, if keeps_cookie { &headers } else { &[] }, None)
        .await?;
    Ok((answered, target, cookie))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_log_in_with_the_towns_identity_provider() -> Result<()> {
    let (mut node, issuer) = provider().await?;
    let config = format!(
        "[oidc]\nissuer = \"{issuer}\"\nclient_id = \"voxea\"\nclient_secret = \"a secret with : and %\"\n\
         redirect_url = \"https://voxea.example.fr/v1/oidc/callback\"\nclaim = \"email\"\n"
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &config).await?;
    let running = scratch.run().await?;
    let mut admin = running.rest();
    for (login, body) in [
        (
            "by-subject",
            json!({"name": "A", "roles": ["reader"], "oidc_issuer": issuer, "oidc_subject": "jeanne"}),
        ),
        ("by-email", json!({"name": "B", "email": "paul@ville.example"})),
        ("unproved", json!({"name": "C", "email": "unproved@ville.example"})),
        ("off", json!({"name": "D", "email": "off@ville.example", "enabled": false})),
    ] {
        let path = format!("/v1/agents/{login}");
        let made = admin.call_with("PUT", &path, &[("if-none-match", "*")], Some(&body)).await?;
        ensure!(made.status == 201, "{login}: {}", String::from_utf8_lossy(&made.body));
    }
    for (who, login) in [("jeanne", "by-subject"), ("paul", "by-email")] {
        let (answered, target, cookie) = browse(&running, &mut node, who, true).await?;
        ensure!(
            answered.status == 200,
            "{who}: {}\n{}",
            String::from_utf8_lossy(&answered.body),
            running.log()
        );
        let session = answered.json()?;
        assert_eq!(session["agent"]["login"], login);
        let me = as_token(&running, &session["token"])?.get("/v1/me").await?;
        assert_eq!(me["agent"]["login"], login);
        // The same once more, as somebody would who saw the address.
        let again = Rest::new(running.api, "")
            .call_with("GET", &target, &[("cookie", &cookie)], None)
            .await?;
        assert_eq!(again.status, 403);
    }
    for who in ["stranger", "unproved", "off"] {
        let (answered, ..) = browse(&running, &mut node, who, true).await?;
        assert_eq!(answered.status, 403, "{who}");
        assert_eq!(answered.json()?["type"], "urn:voxea:problem:not-let-in");
    }
    // Another browser than the one that began.
    let (answered, ..) = browse(&running, &mut node, "jeanne", false).await?;
    assert_eq!(answered.status, 403);
    let trail = admin.get("/v1/audit?limit=500").await?;
    let rows = trail["items"].as_array().context("no trail")?;
    let by = json!({"by": "oidc"});
    let objects = |action: &str| -> Vec<&str> {
        let of = rows.iter().filter(|row| row["action"] == action && row["detail"] == by);
        of.filter_map(|row| row["object"].as_str()).collect()
    };
    assert_eq!(objects("logged_in").len(), 2);
    // Twice a login that was over, the three above, and the other browser.
    let refused = objects("login_refused");
    let unnamed = refused.iter().filter(|object| **object == "login/").count();
    assert_eq!((refused.len(), unnamed), (6, 3), "{refused:?}");
    ensure!(refused.iter().any(|object| object.contains("stranger")), "{refused:?}");
    let agents = admin.get("/v1/agents").await?;
    assert_eq!(agents["items"].as_array().map(Vec::len), Some(4), "nobody is entered by a login");
    assert!(
        scratch
            .say(&["doctor"])
            .await?
            .contains("ok    oidc: answers, and has 3 usable keys")
    );
    for secret in ["a secret with", "jeanne", "ville.example", "eyJ"] {
        assert!(!running.log().contains(secret), "{secret} is in the log");
    }
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_bring_a_token_of_the_provider() -> Result<()> {
    let (mut node, issuer) = provider().await?;
    let config = format!("[[oauth]]\nname = \"town\"\nissuer = \"{issuer}\"\naudience = \"https://voxea.example\"\n");
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &config).await?;
    let running = scratch.run().await?;
    let mut mint = async |program: &str, audience: &str| -> Result<String> {
        let order = json!({"mint": program, "audience": audience});
        let minted = node.order(&order, "minted").await?;
        Ok(minted["token"].as_str().context("no token")?.to_owned())
    };
    let ask = async |token: &str| Rest::new(running.api, token).call("GET", "/v1/me", None).await;
    let unknown = scratch
        .say(&[
            "client",
            "add",
            "--issuer",
            "city",
            "--subject",
            "x",
            "--name",
            "x",
            "--scope",
            "read",
        ])
        .await;
    assert!(unknown.unwrap_err().to_string().contains("there are: town"));
    let mut ids = Vec::new();
    for program in ["etl-rs", "etl-es", "etl-ed"] {
        let token = mint(program, "https://voxea.example").await?;
        assert_eq!(ask(&token).await?.status, 401, "{program} is not entered yet");
        let add = [
            "client",
            "add",
            "--issuer",
            "town",
            "--subject",
            program,
            "--name",
            "ETL",
            "--scope",
            "read",
            "--purpose",
            "statistics",
        ];
        ids.push(scratch.say(&add).await?.trim().to_owned());
        let known = ask(&token).await?;
        ensure!(known.status == 200, "{program}: {}\n{}", known.status, running.log());
        let me = known.json()?;
        assert_eq!(
            (&me["id"], &me["purpose"]),
            (&json!(format!("oauth:town/{program}")), &json!("statistics"))
        );
        assert_eq!(Rest::new(running.api, &token).call("GET", "/v1/agents", None).await?.status, 403);
    }
    assert_eq!(ask(&mint("etl-rs", "https://other.example").await?).await?.status, 401);
    assert_eq!(ask(&mint("stranger", "https://voxea.example").await?).await?.status, 401);
    let old = mint("etl-es", "https://voxea.example").await?;
    assert_eq!(ask(&old).await?.status, 200);
    assert_eq!(ask(&old[..old.len() - 4]).await?.status, 401);
    let revoked = mint("etl-rs", "https://voxea.example").await?;
    scratch.say(&["client", "revoke", &ids[0]]).await?;
    assert_eq!(ask(&revoked).await?.status, 401);

    // The provider's keys turn: the new are looked for, though not twice a minute, and the old are dropped.
    node.order(&json!({"turn": true}), "turned").await?;
    let order = json!({"mint": "etl-ed", "audience": "https://voxea.example"});
    let minted = node.order(&order, "minted").await?;
    let new = minted["token"].as_str().context("no token")?;
    let deadline = Instant::now() + TURNED;
    while ask(new).await?.status != 200 {
        ensure!(Instant::now() < deadline, "the new keys are not found:\n{}", running.log());
        sleep(Duration::from_millis(500)).await;
    }
    assert_ne!(ask(&old).await?.status, 200, "the old keys are dropped");
    assert!(!running.log().contains("eyJ"), "a token is in the log");
    running.stop().await
}
