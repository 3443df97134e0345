//! Encryption at rest: when a database gets its vault, who may open it, what a row that was tampered with does.

use std::time::Duration;

use futures_util::future::join_all;
use voxea_core::base::error::CoreError;
use voxea_core::base::wake::Wake;
use voxea_core::citizen::{Address, CitizenKind, CitizenStatus, NewCitizen, NewPoint, PointKind};
use voxea_core::contact::Outcome;
use voxea_core::outbox::Outbox;
use voxea_core::request::{ExternalId, Filter, NewExternal};
use voxea_core::vault::{MasterKeys, Vault, new_line};
use voxea_rules::charset::encode_ucs2;

use crate::place::{Mode, NOW, Place, acknowledgement, agent, mail, mailbox, part, sms_account, text, thread};

fn keys(lines: &[&str]) -> MasterKeys {
    MasterKeys::parse(&lines.join("\n")).unwrap()
}

async fn refused(place: &Place, keys: Option<&MasterKeys>) -> String {
    let refusal = Vault::of(&place.store, keys).await.unwrap_err();
    assert!(
        matches!(&refusal, CoreError::Invalid { pointer, .. } if pointer == "/store/master_key_file"),
        "{refusal:?}"
    );
    refusal.to_string()
}

async fn told(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    place.intake.accept(text("Bonjour", NOW)).await.unwrap();
}

pub(crate) async fn a_database_is_sealed_from_the_beginning_or_never(place: &Place) {
    told(place).await;
    let new = new_line().unwrap();
    if place.vault.is_on() {
        let said = refused(place, None).await;
        assert!(said.contains("[store] master_key_file"), "{said}");
        let said = refused(place, Some(&keys(&[&new]))).await;
        let id = new.split(' ').next().unwrap();
        assert!(said.contains(id) && said.contains("add the line of"), "{said}");
    } else {
        let said = refused(place, Some(&keys(&[&new]))).await;
        assert!(said.contains("not encrypted") && said.contains("voxea vault seal"), "{said}");
        assert!(!Vault::of(&place.store, None).await.unwrap().is_on());
    }
    // The doctor says the same, and changes nothing.
    let found = Vault::probe(&place.store, None).await;
    assert_eq!(found.is_ok(), !place.vault.is_on(), "{found:?}");
    assert!(Vault::probe(&place.store, Some(&keys(&[&new]))).await.is_err());
}

pub(crate) async fn a_new_master_key_takes_over(place: &Place) {
    // A vault of its own keys: the story needs to know them.
    place.change("DELETE FROM vault").await;
    let (old, new) = (new_line().unwrap(), new_line().unwrap());
    let found = Vault::probe(&place.store, Some(&keys(&[&old]))).await.unwrap();
    assert!(found.contains("will be encrypted"), "{found}");
    assert_eq!(place.number("SELECT COUNT(*) FROM vault").await, 0);
    let vault = Vault::of(&place.store, Some(&keys(&[&old]))).await.unwrap();
    let index = vault.address("+33612345678");
    for lines in [&[old.as_str()][..], &[&new, &old], &[&new], &[&new, &old]] {
        let vault = Vault::of(&place.store, Some(&keys(lines))).await.unwrap();
        assert_eq!(vault.address("+33612345678"), index, "the root key is the same");
    }
    let said = refused(place, Some(&keys(&[&old]))).await;
    assert!(said.contains(new.split(' ').next().unwrap()), "{said}");
    // Another key under the right name.
    let (name, other) = (new.split(' ').next().unwrap(), new_line().unwrap());
    let forged = format!("{name} {}", other.split(' ').nth(1).unwrap());
    let said = refused(place, Some(&keys(&[&forged]))).await;
    assert!(said.contains("though it has its name"), "{said}");
}

pub(crate) async fn nodes_that_begin_at_once_share_one(place: &Place) {
    place.change("DELETE FROM vault").await;
    let keys = keys(&[&new_line().unwrap()]);
    let vaults = join_all((0..8).map(|_| Vault::of(&place.store, Some(&keys)))).await;
    let indexes: std::collections::BTreeSet<String> = vaults.into_iter().map(|vault| vault.unwrap().address("a@example.fr")).collect();
    assert_eq!(indexes.len(), 1);
    assert_eq!(place.number("SELECT COUNT(*) FROM vault").await, 1);
}

pub(crate) async fn a_row_that_was_tampered_with_hides_no_other(place: &Place) {
    if !place.vault.is_on() {
        return;
    }
    place.intake.register(&mailbox()).await.unwrap();
    let mut requests = Vec::new();
    for n in ["1", "2", "3"] {
        let mut contact = mail(&format!("c{n}@example.fr"), n, NOW);
        contact.acknowledgement = Some(acknowledgement(&contact.from));
        requests.push(place.intake.accept(contact).await.unwrap());
    }
    // The second takes the values of the first, as somebody with the database alone would do it.
    let (one, two) = (&requests[0], &requests[1]);
    let swap = |table: &str, column: &str, key: &str, from: &str, to: &str| {
        format!("UPDATE {table} SET {column} = (SELECT {column} FROM {table} WHERE {key} = '{from}') WHERE {key} = '{to}'")
    };
    place
        .change(&swap("request", "subject", "id", &one.request_id, &two.request_id))
        .await;
    place
        .change(&swap("interaction", "text", "id", &one.interaction_id, &two.interaction_id))
        .await;
    place
        .change(&swap("reply", "recipient", "request_id", &one.request_id, &two.request_id))
        .await;

    let listed = place.desk.list(&agent(), Filter::default(), 10).await.unwrap();
    let subjects: Vec<&str> = listed.items.iter().map(|row| row.subject.as_deref().unwrap()).collect();
    assert_eq!(subjects, ["Lampadaire", "\u{fffd}", "Lampadaire"]);
    let wrong = place.desk.get(&agent(), &two.request_id).await.unwrap_err();
    assert!(
        matches!(
            wrong,
            CoreError::Sealed {
                place: "request.subject",
                ..
            }
        ),
        "{wrong:?}"
    );
    assert!(wrong.to_string().contains(&two.request_id) && !wrong.to_string().contains("Lampadaire"));
    let shown = place.interactions.of_request(&agent(), &two.request_id).await.unwrap();
    assert_eq!(shown[0].row.text.as_deref(), Some("\u{fffd}"));
    assert!(matches!(
        place.interactions.get(&agent(), &two.interaction_id).await,
        Err(CoreError::Sealed {
            place: "interaction.text",
            ..
        })
    ));

    // Two are sent, and the one that nobody can address does not stand in their way.
    let outbox = Outbox::new(
        place.store.clone(),
        place.vault.clone(),
        place.feed.clone(),
        place.catalogue.clone(),
        Wake::new(),
    );
    let leased = outbox.lease(&mailbox(), 10, Duration::from_secs(60)).await.unwrap();
    let to: Vec<&str> = leased.iter().map(|reply| reply.to.as_str()).collect();
    assert_eq!(to, ["c1@example.fr", "c3@example.fr"]);
    let rejected = "SELECT COUNT(*) FROM reply WHERE state = 'rejected' AND reason IS NOT NULL";
    assert_eq!(place.number(rejected).await, 1);
}

pub(crate) async fn nothing_personal_is_plain_in_any_column(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    place.intake.register(&mailbox()).await.unwrap();
    let texted = place.intake.accept(text("Bonjour", NOW)).await.unwrap();
    let mut contact = mail("zoe@example.fr", "1", NOW);
    contact.from_name = Some("Zoé".to_owned());
    contact.native_id = Some("<1@example.fr>".to_owned());
    contact.acknowledgement = Some(acknowledgement("zoe@example.fr"));
    place.intake.accept(contact).await.unwrap();
    let mut citizen = NewCitizen::new(CitizenKind::Person);
    citizen.family_name = Some("Durand".to_owned());
    citizen.note = Some("Sonner deux fois".to_owned());
    citizen.points = vec![NewPoint {
        kind: PointKind::Email,
        raw: "Zoe@example.fr".to_owned(),
        label: Some("maison".to_owned()),
        verified_how: None,
    }];
    place.citizens.create(&agent(), &citizen, Some("key")).await.unwrap();
    let address = Address::read(PointKind::Phone, "06 12 34 56 78").unwrap();
    place.opt_outs.put(&agent(), &address, Some("STOP")).await.unwrap();
    reference(place, &texted.request_id).await;
    let (values, keys) = plain(place).await;
    assert_eq!(values == 0, place.vault.is_on(), "{values} values are plain");
    assert_eq!(keys == 0, place.vault.is_on(), "{keys} keys are plain");
}

/// By what another system knows a request.
async fn reference(place: &Place, request: &str) {
    let told = NewExternal::new(external(), Some("En cours".to_owned())).unwrap();
    place.desk.tell_external(&agent(), request, &mailbox(), &told, None).await.unwrap();
}

fn external() -> ExternalId {
    ExternalId::new("ged", "Dossier Durand").unwrap()
}

/// How many values and how many keys stand plain.
async fn plain(place: &Place) -> (i64, i64) {
    let sql = "SELECT COUNT(*) FROM (SELECT subject AS v FROM request WHERE subject IS NOT NULL \
               UNION ALL SELECT from_address FROM request UNION ALL SELECT from_name FROM request WHERE from_name IS NOT NULL \
               UNION ALL SELECT native_id FROM interaction WHERE native_id IS NOT NULL UNION ALL SELECT from_address FROM interaction \
               UNION ALL SELECT to_address FROM interaction UNION ALL SELECT text FROM interaction \
               UNION ALL SELECT recipient FROM reply UNION ALL SELECT text FROM reply UNION ALL SELECT detail FROM history \
               UNION ALL SELECT family_name FROM citizen UNION ALL SELECT note FROM citizen UNION ALL SELECT raw FROM contact_point \
               UNION ALL SELECT normalised FROM contact_point UNION ALL SELECT label FROM contact_point \
               UNION ALL SELECT detail FROM citizen_change UNION ALL SELECT address FROM opt_out UNION ALL SELECT how FROM opt_out \
               UNION ALL SELECT external_id FROM external_reference UNION ALL SELECT status FROM external_reference WHERE status IS NOT NULL \
               UNION ALL SELECT raw_sha256 FROM interaction WHERE raw_sha256 IS NOT NULL) AS all_of_it WHERE v NOT LIKE 'v1:%'";
    let keyed = "SELECT COUNT(*) FROM (SELECT from_key AS v FROM request UNION ALL SELECT recipient_key FROM reply \
                 UNION ALL SELECT message_id FROM message_id UNION ALL SELECT key FROM dedup UNION ALL SELECT fingerprint FROM delivery \
                 UNION ALL SELECT match_key FROM contact_point UNION ALL SELECT match_key FROM opt_out UNION ALL SELECT sender_key FROM receipt_parked \
                 UNION ALL SELECT origin_key FROM citizen UNION ALL SELECT external_key FROM external_reference \
                 UNION ALL SELECT scope FROM breaker WHERE scope <> '') AS all_of_it WHERE length(v) <> 32";
    (place.number(sql).await, place.number(keyed).await)
}

pub(crate) async fn a_plain_database_is_sealed_and_goes_on(place: &Place) {
    if !place.vault.is_on() {
        return;
    }
    let plain_place = if place.is_postgres() {
        Place::postgres(Mode::Plain).await
    } else {
        Place::sqlite(Mode::Plain).await
    };
    let before = &plain_place;
    before.intake.register(&sms_account()).await.unwrap();
    before.intake.register(&mailbox()).await.unwrap();
    let first = before.intake.accept(text("Bonjour", NOW)).await.unwrap();
    let mut citizen = NewCitizen::new(CitizenKind::Person);
    citizen.family_name = Some("Durand".to_owned());
    citizen.points = vec![NewPoint {
        kind: PointKind::Phone,
        raw: "06 12 34 56 78".to_owned(),
        label: None,
        verified_how: None,
    }];
    let citizen = before.citizens.create(&agent(), &citizen, Some("key")).await.unwrap().citizen;
    let address = Address::read(PointKind::Phone, "06 12 34 56 78").unwrap();
    before.opt_outs.put(&agent(), &address, Some("STOP")).await.unwrap();
    reference(before, &first.request_id).await;
    before
        .intake
        .part(part("long", 1, 2, &encode_ucs2("Un "), "one", NOW))
        .await
        .unwrap();
    // More than are read at once.
    let citizens: Vec<String> = (0..1201).map(|n| format!("c{n}@example.fr")).collect();
    let mails = citizens.iter().map(|citizen| {
        let mut contact = mail(citizen, citizen, NOW);
        contact.acknowledgement = Some(acknowledgement(citizen));
        before.intake.accept(contact)
    });
    let mails: Vec<_> = join_all(mails).await.into_iter().map(Result::unwrap).collect();
    assert!(plain(before).await.0 > 0);

    let keys = keys(&[&new_line().unwrap()]);
    assert!(Vault::made(&before.store, &keys).await.unwrap().is_none());
    let (_, unfinished) = Vault::convert(&before.store, &keys).await.unwrap();
    drop(unfinished);
    assert!(Vault::made(&before.store, &keys).await.unwrap().is_none(), "all or nothing");
    let (vault, conversion) = Vault::convert(&before.store, &keys).await.unwrap();
    conversion.commit().await.unwrap();
    assert!(
        Vault::is_unscrubbed(&before.store).await.unwrap(),
        "what was interrupted here is ended at the next start"
    );
    before.store.scrub().await.unwrap();
    Vault::scrubbed(&before.store).await.unwrap();
    assert!(!Vault::is_unscrubbed(&before.store).await.unwrap());
    assert!(Vault::made(&before.store, &keys).await.unwrap().unwrap().is_on());

    let after = before.under(vault);
    assert_eq!(plain(&after).await, (0, 0));
    let listed = after.desk.list(&agent(), Filter::default(), 2000).await.unwrap().items;
    assert_eq!(listed.len(), 1202);
    let referred = after.desk.by_external(&agent(), &external()).await.unwrap();
    assert_eq!(
        (&referred.id, referred.external[0].status.as_deref()),
        (&first.request_id, Some("En cours"))
    );
    assert!(listed[1..].iter().all(|row| row.subject.as_deref() == Some("Lampadaire")));
    let found = after.citizens.lookup(&agent(), &address, CitizenStatus::Active).await.unwrap();
    assert_eq!((found.citizens.len(), found.opted_out), (1, true));
    assert_eq!(found.citizens[0].family_name.as_deref(), Some("Durand"));
    assert_eq!(
        after.desk.get(&agent(), &first.request_id).await.unwrap().citizen_id,
        Some(citizen.id.clone())
    );
    assert_eq!(after.citizens.history(&agent(), &citizen.id).await.unwrap()[0].action, "created");
    // Every rule still compares what it compared: redelivery, conversation, parts, keys, threads, the limit of the hour.
    let again = after.intake.accept(text("Bonjour", NOW + 1)).await.unwrap();
    assert_eq!((again.outcome, again.interaction_id), (Outcome::Known, first.interaction_id));
    assert_eq!(
        after.intake.accept(text("Suite", NOW + 2)).await.unwrap().request_id,
        first.request_id
    );
    let whole = after
        .intake
        .part(part("long", 2, 2, &encode_ucs2("deux"), "two", NOW + 3))
        .await
        .unwrap();
    assert_eq!(after.interaction(&whole.whole.unwrap()).await.row.text.as_deref(), Some("Un deux"));
    let doubled = after
        .intake
        .part(part("long", 1, 2, &encode_ucs2("Un "), "two", NOW + 4))
        .await
        .unwrap();
    assert_eq!(doubled.outcome, Outcome::Known, "the part that was there names its delivery");
    for (citizen, known) in citizens.iter().zip(&mails) {
        let again = after.intake.accept(mail(citizen, citizen, NOW)).await.unwrap();
        assert_eq!((again.outcome, &again.request_id), (Outcome::Known, &known.request_id));
    }
    let mut answer = mail("neighbour@example.fr", "answer", NOW);
    answer.joining = thread(&["<c700@example.fr@example.fr>"]);
    assert_eq!(after.intake.accept(answer).await.unwrap().request_id, mails[700].request_id);
    for n in 0..10 {
        let mut contact = mail(&citizens[3], &format!("loop {n}"), NOW);
        contact.acknowledgement = Some(acknowledgement(&citizens[3]));
        after.intake.accept(contact).await.unwrap();
    }
    assert_eq!(
        after.number("SELECT COUNT(*) FROM reply").await,
        1201 + 5,
        "a sender gets six an hour"
    );
    let outbox = Outbox::new(
        after.store.clone(),
        after.vault.clone(),
        after.feed.clone(),
        after.catalogue.clone(),
        Wake::new(),
    );
    let leased = outbox.lease(&mailbox(), 2000, Duration::from_secs(60)).await.unwrap();
    assert_eq!(leased.len(), 1206);
    assert!(leased.iter().all(|reply| reply.to.ends_with("@example.fr")));
}
