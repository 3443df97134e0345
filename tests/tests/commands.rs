//! STOP, START, CONTACT and AIDE, acknowledgements by text, and contacts that are moved: the daemon, and an SMSC that knows only bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use voxea_tests::kill::requests;
use voxea_tests::scratch::{self, Running, Scratch};
use voxea_tests::smsc::{Ledger, Manner, Message, Smsc};

const PATIENCE: Duration = Duration::from_secs(60);
const SPELLINGS: [&str; 10] = [
    "STOP",
    "stop",
    "Stop.",
    "« STOP »",
    "Stôp !",
    "S.T.O.P",
    "STOP SMS",
    "stop 36123",
    "Stop, merci",
    "STOP \u{1f64f}",
];

async fn town(smsc: &Smsc, more: &str) -> Result<Scratch> {
    let channel = format!(
        "[[smpp]]\nname = \"short-number\"\naddress = \"{}\"\nsystem_id = \"voxea\"\npassword = \"secret\"\nnumber = \"36123\"\n{more}",
        smsc.address()
    );
    let mut scratch = Scratch::new(&scratch::binary()?, "sqlite:voxea.db", &channel).await?;
    let phone = ("VOXEA__ORGANISATION__PHONE".to_owned(), "01 40 20 50 50".to_owned());
    scratch.environment.push(phone);
    Ok(scratch)
}

/// A town that runs, and its SMSC.
async fn begun(more: &str) -> Result<(Smsc, Scratch, Running)> {
    let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
    let scratch = town(&smsc, more).await?;
    let running = scratch.run().await?;
    running.up("smpp").await?;
    Ok((smsc, scratch, running))
}

async fn settled(smsc: &Smsc) -> Result<()> {
    ensure!(smsc.until(PATIENCE, Ledger::all_settled).await, "not everything was answered");
    Ok(())
}

/// Waits until so many texts of ours have come, and returns all of them: (number, text).
async fn submits(smsc: &Smsc, count: usize) -> Result<Vec<(String, String)>> {
    let came = smsc.until(PATIENCE, |ledger| ledger.submits.len() >= count).await;
    let seen = |ledger: &Ledger| -> Vec<(String, String)> {
        let texts = ledger.submits.iter();
        texts.map(|submit| (submit.destination.2.clone(), submit.text())).collect()
    };
    let seen = smsc.look(seen);
    ensure!(came, "{count} texts were awaited, and came: {seen:?}");
    Ok(seen)
}

/// Everything that was to be sent is sent when so many texts have come and a later answer is among them. Those to one number leave in
/// their order, and those to another may pass them.
async fn sentinel(smsc: &Smsc, number: &str, before: usize) -> Result<Vec<(String, String)>> {
    smsc.send(&Message::plain(number, "AIDE"));
    settled(smsc).await?;
    let seen = submits(smsc, before + 1).await?;
    ensure!(seen.len() == before + 1, "{before} texts and the last were awaited: {seen:?}");
    let last = seen.iter().rfind(|(to, _)| to == number);
    ensure!(last.is_some_and(|(_, text)| text.contains("Urgence")), "{seen:?}");
    Ok(seen)
}

async fn opt_outs(running: &Running) -> Result<Vec<Value>> {
    let listed = running.rest().get("/v1/opt-outs?limit=500").await?;
    Ok(listed["items"].as_array().cloned().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_in_ten_spellings_is_confirmed_once_a_day() -> Result<()> {
    let (smsc, _scratch, running) = begun("").await?;
    let number = |n: usize| format!("3361000000{n}");
    // What was answered is lost with the link: all are delivered again.
    smsc.behave(|manner| manner.deaf = true);
    for (n, text) in SPELLINGS.iter().enumerate() {
        smsc.send(&Message::plain(&number(n), text));
    }
    let answered = |ledger: &Ledger| ledger.entries.iter().all(|entry| entry.answers > 0);
    ensure!(smsc.until(PATIENCE, answered).await, "no answers");
    // A text that is on its way when the link is cut is never sent again: nobody knows whether it came.
    submits(&smsc, 10).await?;
    smsc.behave(|manner| manner.deaf = false);
    smsc.cut();
    settled(&smsc).await?;
    // And twice the same day, in other words.
    for (n, _) in SPELLINGS.iter().enumerate() {
        smsc.send(&Message::plain(&number(n), "Stop aux messages"));
    }
    settled(&smsc).await?;
    let seen = sentinel(&smsc, "33699999999", 10).await?;
    let mut to: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, text) in seen.iter().take(10) {
        *to.entry(number).or_default() += 1;
        assert_eq!(
            text,
            "Mairie de Saint-Exemple : c'est noté, vous ne recevrez plus nos campagnes par SMS. Vos demandes en cours restent suivies."
        );
    }
    assert!(to.len() == 10 && to.values().all(|count| *count == 1), "{to:?}");
    let opted_out = opt_outs(&running).await?;
    assert_eq!(opted_out.len(), 10);
    assert!(
        opted_out.iter().all(|one| one["how"] == "STOP" && one["channel"] == "sms"),
        "{opted_out:?}"
    );
    // Nobody's inbox has them, and none is lost.
    assert_eq!(requests(&running, "channel=sms&status=received").await?.len(), 0);
    assert_eq!(requests(&running, "channel=sms&status=closed").await?.len(), 21);
    // One segment of the 7-bit alphabet each.
    smsc.look(|ledger| {
        for submit in &ledger.submits {
            assert!(
                submit.data_coding == 0 && submit.esm_class == 0 && submit.message.len() <= 160,
                "{submit:?}"
            );
        }
    });
    let log = running.log();
    assert!(
        !log.contains("361000000") && !log.contains("c'est noté"),
        "the log tells nobody's number and no text"
    );
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contact_and_aide_say_what_there_is_to_say_and_machines_are_told_nothing() -> Result<()> {
    let (smsc, _scratch, running) = begun("acknowledge = true\n").await?;
    let short = |number: &str, ton: u8, text: &str| Message {
        from_ton: ton,
        ..Message::plain(number, text)
    };
    // A short code, ourselves, two names, a range of machines, a paid service.
    for (number, ton) in [
        ("36124", 3),
        ("36123", 3),
        ("MAIRIE", 5),
        ("Info2026", 5),
        ("33937123456", 1),
        ("33899123456", 1),
    ] {
        for text in ["STOP", "CONTACT", "AIDE", "Votre message a bien été reçu."] {
            smsc.send(&short(number, ton, text));
        }
    }
    smsc.send(&Message::plain("33611111111", "Contact ?"));
    settled(&smsc).await?;
    let seen = sentinel(&smsc, "33611111111", 1).await?;
    assert_eq!(seen[0].1, "Mairie de Saint-Exemple, tél. 01 40 20 50 50.");
    assert_eq!(
        seen[1].1,
        "Mairie de Saint-Exemple : écrivez-nous votre demande par SMS. CONTACT : nous joindre. STOP : ne plus recevoir nos campagnes. Urgence : 112."
    );
    // What a machine says is a request like any other.
    assert_eq!(requests(&running, "channel=sms&status=received").await?.len(), 6);
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_between_commit_and_answer_answers_once() -> Result<()> {
    for place in ["intake.before_commit", "intake.after_commit"] {
        let smsc = Smsc::listen("voxea", "secret", Manner::default()).await?;
        let mut scratch = town(&smsc, "acknowledge = true\n").await?;
        let without = scratch.environment.clone();
        scratch.environment.push(("VOXEA_FAILPOINT".to_owned(), format!("{place}=1")));
        let mut running = scratch.run().await?;
        running.up("smpp").await?;
        smsc.send(&Message::plain("33622222222", "STOP"));
        smsc.send(&Message::plain("33633333333", "Un lampadaire est cassé"));
        running.died().await?;
        drop(running);
        scratch.environment = without;
        let running = scratch.run().await?;
        settled(&smsc).await?;
        submits(&smsc, 2).await?;
        let seen = sentinel(&smsc, "33699999999", 2).await?;
        for number in ["33622222222", "33633333333"] {
            assert_eq!(seen.iter().filter(|(to, _)| to == number).count(), 1, "{place}: {seen:?}");
        }
        assert_eq!(opt_outs(&running).await?.len(), 1, "{place}");
        running.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_at_any_moment_answer_no_number_twice() -> Result<()> {
    const NUMBERS: usize = 200;
    let (smsc, scratch, mut running) = begun("").await?;
    for n in 0..NUMBERS {
        smsc.send(&Message::plain(&format!("336200{n:05}"), SPELLINGS[n % SPELLINGS.len()]));
        if n % 40 == 39 {
            // In the midst of them: some are answered, some are committed, some are neither.
            let some = |ledger: &Ledger| ledger.settled + 10 > n;
            ensure!(smsc.until(PATIENCE, some).await, "nothing goes on");
            running.kill().await?;
            running = scratch.run().await?;
        }
    }
    settled(&smsc).await?;
    assert_eq!(opt_outs(&running).await?.len(), NUMBERS);
    let closed = requests(&running, "channel=sms&status=closed").await?;
    assert_eq!(closed.len(), NUMBERS, "none lost, none doubled");
    // Each has its answer, queued with it; none was sent twice.
    for request in &closed {
        let target = format!("/v1/requests/{}/interactions", request["id"].as_str().context("no id")?);
        let shown = running.rest().get(&target).await?;
        let directions: Vec<&str> = shown["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["direction"].as_str())
            .collect();
        assert_eq!(directions, ["in", "out"]);
    }
    let mut to: BTreeMap<String, usize> = BTreeMap::new();
    smsc.look(|ledger| {
        for submit in &ledger.submits {
            *to.entry(submit.destination.2.clone()).or_default() += 1;
        }
    });
    assert!(to.values().all(|count| *count == 1), "{to:?}");
    running.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_acknowledged_once_and_a_storm_ends() -> Result<()> {
    let (smsc, _scratch, running) = begun("acknowledge = true\nacknowledge_per_hour = 20\n").await?;
    smsc.send(&Message::plain("33644444444", "Un arbre est tombé"));
    settled(&smsc).await?;
    smsc.send(&Message::plain("33644444444", "Il bloque la rue"));
    settled(&smsc).await?;
    let seen = sentinel(&smsc, "33644444444", 1).await?;
    let found = requests(&running, "channel=sms&status=received").await?;
    let reference = found.first().and_then(|request| request["ref"].as_str()).context("no reference")?;
    assert_eq!(
        seen[0].1,
        format!("Mairie de Saint-Exemple : votre demande {reference} est enregistrée. Pour la compléter, répondez à ce message.")
    );
    // The receipts of what was sent are no contacts; and a machine that opens a request with every answer gets six in all.
    for n in 0..20 {
        smsc.send(&Message::plain("33655555555", &format!("VOIRIE réponse automatique {n}")));
    }
    settled(&smsc).await?;
    let seen = sentinel(&smsc, "33644444445", 2 + 6).await?;
    assert_eq!(seen.iter().filter(|(to, _)| to == "33655555555").count(), 6);
    // After a STOP nothing is sent that was not asked for.
    smsc.send(&Message::plain("33666666666", "STOP"));
    settled(&smsc).await?;
    smsc.send(&Message::plain("33666666666", "VOIRIE un trou"));
    settled(&smsc).await?;
    let seen = sentinel(&smsc, "33666666666", 10).await?;
    assert!(seen[9].1.contains("c'est noté"), "{seen:?}");
    // And the account has an end, whoever writes.
    for n in 0..30 {
        smsc.send(&Message::plain(&format!("336770000{n:02}"), "Bonjour"));
    }
    settled(&smsc).await?;
    submits(&smsc, 20).await?;
    running.logged(&["held back by a limit"]).await?;
    let all = requests(&running, "channel=sms&status=received").await?;
    assert_eq!(all.len(), 1 + 20 + 1 + 30, "every text is a request");
    running.stop().await?;
    assert_eq!(smsc.look(|ledger| ledger.submits.len()), 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_rule_has_put_together_a_person_takes_apart() -> Result<()> {
    let (smsc, _scratch, running) = begun("").await?;
    let number = "33677777777";
    for text in ["Un arbre est tombé", "Et quand ouvre la piscine ?"] {
        smsc.send(&Message::plain(number, text));
        settled(&smsc).await?;
    }
    let found = requests(&running, "channel=sms").await?;
    let first = found
        .first()
        .and_then(|request| request["id"].as_str())
        .context("no request")?
        .to_owned();
    assert_eq!(found.len(), 1);
    let contacts = running.rest().get(&format!("/v1/requests/{first}/interactions")).await?;
    let contact = contacts["items"][1]["id"].as_str().context("no second text")?.to_owned();
    let path = format!("/v1/interactions/{contact}/move");
    let mut rest = running.rest();
    let body = json!({"to": null});
    assert_eq!(rest.call("POST", &path, Some(&body)).await?.status, 428);
    assert_eq!(
        rest.call_with("POST", &path, &[("If-Match", "\"1\"")], Some(&body)).await?.status,
        412
    );
    let split = rest.call_with("POST", &path, &[("If-Match", "\"2\"")], Some(&body)).await?;
    assert_eq!((split.status, split.header("etag")), (201, Some("\"1\"")));
    let opened = split.json()?;
    let second = opened["id"].as_str().context("no id")?.to_owned();
    assert!(
        second != first && opened["from"] == "+33677777777" && opened["status"] == "received",
        "{opened}"
    );
    // What comes next goes on with what was spoken of last.
    smsc.send(&Message::plain(number, "Et le samedi ?"));
    settled(&smsc).await?;
    let shown = rest.get(&format!("/v1/requests/{second}/interactions")).await?;
    assert_eq!(shown["items"].as_array().map(Vec::len), Some(2));
    // Both belong together after all: the one that is left empty is merged.
    for (n, contact) in shown["items"].as_array().into_iter().flatten().enumerate() {
        let path = format!("/v1/interactions/{}/move", contact["id"].as_str().context("no id")?);
        let moved = rest
            .call_with("POST", &path, &[("If-Match", "*")], Some(&json!({"to": first})))
            .await?;
        assert_eq!(moved.status, 200, "{n}: {:?}", moved.json());
        assert_eq!(moved.json()?["id"], first.as_str());
    }
    assert_eq!(rest.get(&format!("/v1/requests/{second}")).await?["status"], "merged");
    let shown = rest.get(&format!("/v1/requests/{first}/interactions")).await?;
    let texts: Vec<&str> = shown["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["text"].as_str())
        .collect();
    assert_eq!(texts, ["Un arbre est tombé", "Et quand ouvre la piscine ?", "Et le samedi ?"]);
    let changes = rest.get("/v1/changes?limit=500").await?;
    let count = |kind: &str| {
        let items = changes["items"].as_array().into_iter().flatten();
        items.filter(|event| event["type"] == format!("fr.voxea.request.{kind}")).count()
    };
    assert_eq!((count("created"), count("split"), count("merged")), (2, 1, 1), "{changes}");
    running.stop().await
}

/// Red where no text ends an opt-out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_takes_a_stop_back_and_is_confirmed_once_a_day() -> Result<()> {
    let (smsc, _scratch, running) = begun("").await?;
    let number = "33688888888";
    for text in ["STOP", "« Stârt »", "start svp"] {
        smsc.send(&Message::plain(number, text));
        settled(&smsc).await?;
        assert_eq!(opt_outs(&running).await?.len(), usize::from(text == "STOP"), "{text}");
    }
    let seen = sentinel(&smsc, "33699999999", 2).await?;
    assert_eq!(
        seen[1],
        (
            number.to_owned(),
            "Mairie de Saint-Exemple : c'est noté, vous pouvez de nouveau recevoir nos campagnes par SMS. STOP : ne plus les recevoir."
                .to_owned()
        )
    );
    // In the same words within a minute it would be the first, delivered again.
    smsc.send(&Message::plain(number, "Stop, merci"));
    settled(&smsc).await?;
    assert_eq!(opt_outs(&running).await?.len(), 1);
    // Nobody has to work on any of them.
    assert_eq!(requests(&running, "channel=sms&status=received").await?.len(), 0);
    running.stop().await
}
