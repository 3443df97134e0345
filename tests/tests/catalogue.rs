//! The catalogue against the real daemon: edited in a file on the command line, obeyed by the texts that come in.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smsc::{Ledger, Manner, Message, Smsc};

const PATIENCE: Duration = Duration::from_secs(20);

/// The themes of the texts of a number.
async fn themes(running: &Running, from: &str) -> Result<Vec<Value>> {
    let mine = requests(running, "channel=sms")
        .await?
        .into_iter()
        .filter(|request| request["from"] == from);
    Ok(mine.map(|request| request["theme"].clone()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_catalogue_is_obeyed_by_the_running_daemon() -> Result<()> {
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let channels = format!(
        "[[smpp]]\nname = \"s\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\ntheme = \"renseignement\"\n",
        smsc.address()
    );
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channels).await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    smsc.send_all(&[
        Message::plain("33611111111", "Voirie : un trou rue Foch"),
        Message::plain("33622222222", "Bonjour"),
    ]);
    ensure!(smsc.until(PATIENCE, Ledger::all_settled).await, "not every text was acknowledged");
    assert_eq!(themes(&running, "+33611111111").await?, ["voirie"]);
    assert_eq!(themes(&running, "+33622222222").await?, ["renseignement"]);

    let mut rest = running.rest();
    let before = rest.call("GET", "/v1/themes", None).await?;
    let tag = before.header("etag").context("no ETag")?.to_owned();
    let unchanged = rest.call_with("GET", "/v1/themes", &[("if-none-match", &tag)], None).await?;
    assert_eq!(unchanged.status, 304);

    let exported = scratch.say(&["catalogue", "export"]).await?;
    let edited = exported.replace("\"VOIRIE\"", "\"CHAUSSEE\"");
    ensure!(edited != exported, "there is no line to edit: {exported}");
    let file = scratch.path().join("catalogue.json");
    let import = ["catalogue", "import", file.to_str().context("a path of ours is text")?];
    // A file that is wrong changes nothing, and everything that is wrong is said.
    std::fs::write(&file, edited.replace("\"service\":\"service-dechets\"", "\"service\":\"aucun\""))?;
    let refused = scratch.say(&import).await.unwrap_err().to_string();
    assert!(refused.matches("there is no service aucun").count() > 1, "{refused}");
    std::fs::write(&file, &edited)?;
    scratch.say(&import).await?;

    let changes = rest
        .until("/v1/changes?limit=500", PATIENCE, |page| {
            page["items"]
                .as_array()
                .is_some_and(|items| items.iter().any(|event| event["type"] == "fr.voxea.theme.changed"))
        })
        .await?;
    let changed = changes["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|event| event["type"] == "fr.voxea.theme.changed");
    assert_eq!(changed.map(|event| &event["subject"]).collect::<Vec<_>>(), ["voirie"]);
    let after = rest.call_with("GET", "/v1/themes", &[("if-none-match", &tag)], None).await?;
    assert_eq!(after.status, 200, "asking made the daemon look");
    smsc.send_all(&[
        Message::plain("33633333333", "Chaussée abîmée rue Foch"),
        Message::plain("33644444444", "Voirie : un trou"),
    ]);
    ensure!(smsc.until(PATIENCE, Ledger::all_settled).await, "not every text was acknowledged");
    assert_eq!(themes(&running, "+33633333333").await?, ["voirie"]);
    assert_eq!(themes(&running, "+33644444444").await?, ["renseignement"]);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_names_what_there_is() -> Result<()> {
    let scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", "").await?;
    let new = async |terms: &[&str]| {
        let typed = [&["key", "new", "--name", "test", "--scope", "read"], terms].concat();
        let said = scratch.command(&typed).output().await?;
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        anyhow::Ok((said.status.code(), words, said.stdout.len()))
    };
    for (terms, told) in [
        (
            ["--theme", "voirie,voiri"],
            "--theme: there is no theme `voiri`; did you mean voirie? `voxea catalogue export` lists them",
        ),
        (
            ["--service", "service-tecnique"],
            "--service: there is no service `service-tecnique`; did you mean service-technique? `voxea catalogue export`",
        ),
        (
            ["--channel", "emial"],
            "--channel: there is no channel `emial`; did you mean email? There are call,",
        ),
        (
            ["--field", "statu"],
            "have no member `statu`; did you mean status? There are assignee",
        ),
    ] {
        let (code, words, printed) = new(&terms).await?;
        ensure!(
            (code, printed) == (Some(2), 0) && words.contains(told),
            "{terms:?}: {code:?} {words}"
        );
    }
    let right = [
        "--theme",
        "voirie",
        "--service",
        "service-technique",
        "--channel",
        "email",
        "--field",
        "status,raw",
    ];
    let (code, words, printed) = new(&right).await?;
    ensure!(code == Some(0) && printed == 60, "{words}");
    // The same for a program of an identity provider, whose section must be there first.
    let listed = scratch.say(&["key", "list"]).await?;
    assert_eq!(listed.lines().count(), 2, "the scratch's own and one more: {listed}");
    Ok(())
}
