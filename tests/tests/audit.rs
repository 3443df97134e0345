//! The audit trail against the real daemon: killed and started again it is sound, and whatever is done to it in the
//! database is named by a tool that needs no daemon.

use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::process::Command;
use voxea_tests::postgres::Postgres;
use voxea_tests::scratch::{self, Rest, Scratch};

/// Runs `voxea audit …`; what it says on stdout, and its exit code.
async fn audit(scratch: &Scratch, arguments: &[&str]) -> Result<(String, i32)> {
    let mut command = Command::new(scratch::binary()?);
    command
        .arg("audit")
        .args(arguments)
        .arg("--config")
        .arg(scratch.path().join("voxea.toml"));
    let Output { status, stdout, stderr } = command.output().await?;
    let code = status.code().with_context(|| String::from_utf8_lossy(&stderr).into_owned())?;
    Ok((String::from_utf8(stdout)? + &String::from_utf8(stderr)?, code))
}

/// As an administrator of the database would, with no key.
async fn tamper(url: &str, statements: &[&str]) -> Result<()> {
    for statement in statements {
        let sql = AssertSqlSafe((*statement).to_owned());
        if url.starts_with("postgres:") {
            let mut connection = sqlx::PgConnection::connect(url).await?;
            sqlx::query(sql).execute(&mut connection).await?;
            connection.close().await?;
        } else {
            let mut connection = sqlx::SqliteConnection::connect(url).await?;
            sqlx::query(sql).execute(&mut connection).await?;
            connection.close().await?;
        }
    }
    Ok(())
}

/// A visit to the counter, read, changed and listed, with a purpose.
async fn work(rest: &mut Rest) -> Result<String> {
    let body = json!({"from": "0612345678", "name": "Claire", "text": "Un nid-de-poule"});
    let made = rest.call("POST", "/v1/intake/counter", Some(&body)).await?.json()?;
    let id = made["id"].as_str().context("no id")?.to_owned();
    let path = format!("/v1/requests/{id}");
    let shown = rest
        .call_with("GET", &path, &[("Voxea-Purpose", "instruction du dossier")], None)
        .await?;
    let tag = shown.header("ETag").context("no ETag")?.to_owned();
    let patch = json!({"status": "in_progress", "assignee": "Paul"});
    let patched = rest.call_with("PATCH", &path, &[("If-Match", &tag)], Some(&patch)).await?;
    ensure!((shown.status, patched.status) == (200, 200), "{shown:?} {patched:?}");
    rest.get("/v1/requests?limit=10").await?;
    Ok(id)
}

async fn story(store: &str, database: &str) -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, store, "").await?;
    let (said, code) = audit(&scratch, &["key"]).await?;
    ensure!(
        code == 2 && said.contains("audit.key"),
        "there is no key before the first start: {said}"
    );
    let running = scratch.run().await?;
    let id = work(&mut running.rest()).await?;
    let (public, code) = audit(&scratch, &["key"]).await?;
    let public = public.trim();
    assert_eq!((public.len(), code), (44, 0));
    ensure!(running.log().contains(public), "the public key is in the log, once");
    running.kill().await?;
    // Row 1 is the key that was made for this story; then taken_in, read, patched, listed.
    let (said, code) = audit(&scratch, &["verify"]).await?;
    assert_eq!(
        (said.as_str(), code),
        ("sound: 5 rows, 1 to 5\nno checkpoint: nothing of it is signed yet\n", 0)
    );

    let running = scratch.run().await?;
    let mut rest = running.rest();
    ensure!(!running.log().contains(public), "the key is made once");
    work(&mut rest).await?;
    let trail = rest.get(&format!("/v1/audit?object=request/{id}")).await?;
    let told: Vec<(&str, &Value)> = trail["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| (row["action"].as_str().unwrap_or_default(), &row["purpose"]))
        .collect();
    let purpose = json!("instruction du dossier");
    assert_eq!(told, [("taken_in", &Value::Null), ("read", &purpose), ("patched", &Value::Null)]);
    // Nobody's name, number or words are in it, whoever reads it.
    let whole = rest.get("/v1/audit?limit=500").await?.to_string();
    for personal in ["612345678", "Claire", "Paul", "nid-de-poule"] {
        ensure!(!whole.contains(personal), "{personal} is in the trail: {whole}");
    }
    let (said, code) = audit(&scratch, &["verify"]).await?;
    ensure!(
        code == 0 && said.starts_with("sound: 11 rows, 1 to 11\n"),
        "beside the running daemon: {said}"
    );
    running.stop().await?;

    let (said, code) = audit(&scratch, &["verify", "--public-key", public]).await?;
    let mut lines = said.lines();
    assert_eq!((lines.next(), code), (Some("sound: 11 rows, 1 to 11"), 0), "{said}");
    let signed = lines.next().context("no word on checkpoints")?;
    ensure!(
        signed.contains("the last one at row 11 of 20") && signed.ends_with("; not signed yet: no row"),
        "{said}"
    );
    // The export says the same, without the database and the configuration.
    let (exported, code) = audit(&scratch, &["export"]).await?;
    let file = scratch.path().join("export.jsonl");
    std::fs::write(&file, &exported)?;
    let named = file.to_str().context("a path of ours is text")?;
    assert_eq!(code, 0);
    let judged = audit(&scratch, &["verify", "--file", named, "--public-key", public]).await?;
    assert_eq!(judged, (said, 0));
    std::fs::write(&file, exported.replacen("in_progress", "in_progres5", 1))?;
    let (said, code) = audit(&scratch, &["verify", "--file", named, "--public-key", public]).await?;
    assert_eq!(
        (said.as_str(), code),
        (
            "NOT SOUND: row 4 was edited: its hash does not follow from its content and the row before\n",
            1
        )
    );
    // Another key than the one that the town kept.
    let stranger = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    let (said, code) = audit(&scratch, &["verify", "--public-key", stranger]).await?;
    ensure!(
        code == 1 && said.starts_with("NOT SOUND: from row 1 on another key signs: "),
        "{said}"
    );

    // A trail that was stripped of its signatures, with a chain that may be anybody's.
    let database = match database {
        "" => format!("sqlite://{}", scratch.path().join("voxea.db").display()),
        url => url.to_owned(),
    };
    let strip = [
        "ALTER TABLE audit_checkpoint RENAME TO kept",
        "CREATE TABLE audit_checkpoint AS SELECT * FROM kept WHERE 1 = 0",
    ];
    tamper(&database, &strip).await?;
    let stripped: String = exported
        .lines()
        .filter(|line| !line.contains("\"signature\""))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&file, stripped)?;
    for arguments in [
        &["verify"][..],
        &["verify", "--public-key", public],
        &["verify", "--file", named, "--public-key", public],
    ] {
        let (said, code) = audit(&scratch, arguments).await?;
        ensure!(code == 1 && said.starts_with("NOT SOUND: "), "{arguments:?}: {said}");
    }
    tamper(
        &database,
        &["DROP TABLE audit_checkpoint", "ALTER TABLE kept RENAME TO audit_checkpoint"],
    )
    .await?;

    // Each is done beside what was done before, further up, and the first thing that is wrong is named.
    let stories: [(&[&str], &str); 4] = [
        (&["DELETE FROM audit WHERE seq > 9"], "rows 10 to 11 were deleted"),
        (&["DELETE FROM audit WHERE seq = 7"], "row 7 was deleted"),
        (
            &["UPDATE audit SET actor = 'key:somebody' WHERE seq = 5"],
            "row 5 was edited: its hash does not follow from its content and the row before",
        ),
        (
            &[
                "UPDATE audit SET seq = -seq WHERE seq >= 3",
                "UPDATE audit SET seq = 1 - seq WHERE seq < 0",
                "INSERT INTO audit SELECT 3, at, actor, action, 'request/planted', detail, purpose, hash FROM audit WHERE seq = 2",
            ],
            "row 3 was inserted",
        ),
    ];
    for (statements, broken) in stories {
        tamper(&database, statements).await?;
        let (said, code) = audit(&scratch, &["verify", "--public-key", public]).await?;
        assert_eq!((said, code), (format!("NOT SOUND: {broken}\n"), 1), "{statements:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trail_is_sound_until_somebody_touches_it_on_sqlite() -> Result<()> {
    story("sqlite:voxea.db", "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trail_is_sound_until_somebody_touches_it_on_postgres() -> Result<()> {
    let cluster = Postgres::start()?;
    let url = cluster.database("voxea")?;
    story(&url, &url).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_the_towns_own_signs() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let (made, code) = audit(&scratch, &["new-key"]).await?;
    ensure!(code == 0 && made.starts_with("-----BEGIN PRIVATE KEY-----\n"), "no key was printed");
    let config = scratch.path().join("voxea.toml");
    let text = std::fs::read_to_string(&config)? + "\n[audit]\nsigning_key_file = \"town.key\"\npurpose = \"required\"\n";
    std::fs::write(&config, text)?;
    let refused = scratch.say(&["check"]).await;
    ensure!(refused.is_err(), "a key that is named must be there");
    let file = scratch.path().join("town.key");
    std::fs::write(&file, made)?;
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o640))?;
    let running = scratch.run().await?;
    running.rest().get("/v1/requests").await?;
    running.stop().await?;
    let (public, _) = audit(&scratch, &["key"]).await?;
    let (said, code) = audit(&scratch, &["verify", "--public-key", public.trim()]).await?;
    ensure!(code == 0 && said.contains("1 checkpoint, the last one at row 2"), "{said}");
    ensure!(!scratch.path().join("audit.key").exists(), "no other key was made");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_was_lost_does_not_pass_silently() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let running = scratch.run().await?;
    work(&mut running.rest()).await?;
    running.stop().await?;
    let (old, _) = audit(&scratch, &["key"]).await?;
    let (old, file) = (old.trim().to_owned(), scratch.path().join("audit.key"));
    std::fs::remove_file(&file)?;
    // The town goes on working.
    let running = scratch.run().await?;
    work(&mut running.rest()).await?;
    running.stop().await?;
    let (new, _) = audit(&scratch, &["key"]).await?;
    let new = new.trim();
    ensure!(new != old, "the key is another one");
    // Rows 1 to 5 as in the story above, then four more and the one that tells of the key.
    for key in [old.as_str(), new] {
        let (said, code) = audit(&scratch, &["verify", "--public-key", key]).await?;
        let from = if key == old { 6 } else { 1 };
        ensure!(
            code == 1 && said.starts_with(&format!("NOT SOUND: from row {from} on another key signs: ")),
            "{said}"
        );
        ensure!(said.contains(", at rows 5 to 5") && said.contains(", at rows 10 to 10"), "{said}");
        ensure!(
            said.matches(", given: ").count() == 1 && said.matches(", not given: ").count() == 1,
            "{said}"
        );
    }
    let (said, code) = audit(&scratch, &["verify"]).await?;
    ensure!(code == 1, "its own key alone is not enough: {said}");
    let (said, code) = audit(&scratch, &["verify", "--public-key", &old, "--public-key", new]).await?;
    ensure!(
        code == 0 && said.starts_with("sound: 10 rows") && said.contains("\nfrom row 6 on another key signs: "),
        "{said}"
    );
    let (exported, _) = audit(&scratch, &["export"]).await?;
    ensure!(exported.contains("\"key_changed\"") && exported.contains(new), "{exported}");
    Ok(())
}
