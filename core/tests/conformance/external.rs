//! By what other systems know a request.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::actor::{Actor, Agent};
use voxea_core::base::error::CoreError;
use voxea_core::contact::{Contact, Dedup, Intake, Outcome};
use voxea_core::request::{ExternalId, ExternalReference, NewExternal};

use crate::place::{NOW, Place, agent, mail, mailbox};

fn account() -> Account {
    Account::new(Kind::Api, "api")
}

fn named(id: &str) -> ExternalId {
    ExternalId::new("ged", id).unwrap()
}

fn told(id: &str, status: Option<&str>) -> NewExternal {
    NewExternal::new(named(id), status.map(str::to_owned)).unwrap()
}

/// What the system `ged` brings under an id.
fn brought(id: &str) -> Contact {
    let dedup = Dedup::Key(named(id).dedup_key());
    let to = "teleservice".to_owned();
    let mut contact = Contact::new(account(), 1, Channel::Teleservice, dedup, "zoe@example.fr".to_owned(), to, NOW);
    contact.text = Some("Une place en crèche".to_owned());
    contact.external = Some(told(id, Some("déposé")));
    contact
}

fn said(references: &[ExternalReference]) -> Vec<(&str, &str, Option<&str>)> {
    references
        .iter()
        .map(|one| (one.system.as_str(), one.external_id.as_str(), one.status.as_deref()))
        .collect()
}

pub(crate) async fn an_id_makes_one_request_however_often_it_comes(place: &Place) {
    place.intake.register(&account()).await.unwrap();
    let missing = place.desk.by_external(&agent(), &named("Dossier Zoé 1")).await;
    assert!(matches!(missing, Err(CoreError::NotFound { what: "request" })));
    let first = place.intake.accept(brought("Dossier Zoé 1")).await.unwrap();
    let again = place.intake.accept(brought("Dossier Zoé 1")).await.unwrap();
    assert_eq!((first.outcome, again.outcome), (Outcome::Fresh, Outcome::Known));
    assert_eq!(first.request_id, again.request_id);
    let other = place.intake.accept(brought("Dossier Zoé 2")).await.unwrap();
    assert_ne!(first.request_id, other.request_id);
    let found = place.desk.by_external(&agent(), &named("Dossier Zoé 1")).await.unwrap();
    assert_eq!((&found.id, found.version), (&first.request_id, 1));
    assert_eq!(said(&found.external), [("ged", "Dossier Zoé 1", Some("déposé"))]);
    // A list shows them as one does.
    let listed = place.desk.list(&agent(), voxea_core::request::Filter::default(), 10).await.unwrap();
    assert_eq!(listed.items.iter().map(|row| row.external.len()).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(place.count("request.created").await, 2);
    // Words long enough that no sealed value spells one by chance: SQLite compares without regard to case.
    let plain =
        "SELECT COUNT(*) FROM external_reference WHERE external_id LIKE '%Dossier%' OR status LIKE 'd%' OR external_key LIKE '%Dossier%'";
    assert_eq!(place.number(plain).await, if place.vault.is_on() { 0 } else { 2 });
}

pub(crate) async fn of_many_nodes_at_once_one_makes_it(place: &Place) {
    place.intake.register(&account()).await.unwrap();
    place.intake.register(&mailbox()).await.unwrap();
    let there = place.intake.accept(mail("a@example.fr", "1", NOW)).await.unwrap().request_id;
    let intakes = [place.intake.clone(), place.intake_again()];
    // Sixteen ids, each brought eight times by two nodes, while an agent attaches each of them to a request that is there.
    let tasks = (0..128).map(|n: usize| {
        let (intake, desk, there) = (intakes[n % 2].clone(), place.desk.clone(), there.clone());
        tokio::spawn(async move {
            let id = format!("{}", n / 8);
            if n % 8 == 3 {
                let attached = desk.tell_external(&agent(), &there, &account(), &told(&id, None), None).await;
                return (id, attached.ok().map(|told| told.request.id));
            }
            let request = take(&intake, &id).await;
            (id, Some(request))
        })
    });
    let mut answers = BTreeSet::new();
    for task in tasks.collect::<Vec<_>>() {
        let (id, request) = task.await.unwrap();
        answers.extend(request.map(|request| (id, request)));
    }
    assert_eq!(answers.len(), 16, "whoever asked for an id got the same request: {answers:?}");
    assert_eq!(place.number("SELECT COUNT(*) FROM external_reference").await, 16);
    for (id, request) in &answers {
        assert_eq!(&place.desk.by_external(&agent(), &named(id)).await.unwrap().id, request);
    }
    // A request has one id in a system, so at most one was attached, and each of the others opened one.
    let opened: BTreeSet<&String> = answers.iter().map(|(_, request)| request).collect();
    assert_eq!(opened.len(), 16);
    let requests = place.number("SELECT COUNT(*) FROM request").await;
    assert!((16..=17).contains(&requests), "{requests}");
}

async fn take(intake: &Intake, id: &str) -> String {
    loop {
        match intake.accept(brought(id)).await {
            Ok(accepted) => return accepted.request_id,
            Err(voxea_core::contact::IntakeError::Unavailable(_)) => (),
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) async fn both_sides_tell_where_it_stands(place: &Place) {
    place.intake.register(&account()).await.unwrap();
    let id = place.intake.accept(brought("1")).await.unwrap().request_id;
    let tell = async |status: Option<&str>, expected: Option<&[i64]>| {
        let told = told("1", status);
        place.desk.tell_external(&agent(), &id, &account(), &told, expected).await
    };
    let same = tell(Some("déposé"), None).await.unwrap();
    assert_eq!((same.made, same.request.version), (false, 1), "what is known changes nothing");
    let events = place.events().await.len();
    let moved = tell(Some("instruit"), Some(&[1])).await.unwrap();
    assert_eq!((moved.made, moved.request.version), (false, 2));
    assert_eq!(said(&moved.request.external), [("ged", "1", Some("instruit"))]);
    let new = place.events().await.split_off(events);
    assert_eq!(new.len(), 1);
    assert_eq!((new[0].kind.as_str(), new[0].subject.as_str()), ("request.updated", id.as_str()));
    assert!(!format!("{:?}", new[0]).contains("instruit"), "ids alone");
    let stale = tell(Some("clos"), Some(&[1])).await.unwrap_err();
    assert!(matches!(stale, CoreError::Stale { current: 2, .. }), "{stale:?}");
    assert_eq!(tell(None, Some(&[1, 2])).await.unwrap().request.external[0].status, None);
    let history = place.desk.history(&agent(), &id).await.unwrap();
    assert_eq!(history.iter().filter(|entry| entry.action == "external_told").count(), 2);
    assert!(history[1].detail.contains("instruit"));
    let trail = place
        .rows("SELECT action, detail, seq, seq FROM audit WHERE action = 'external_told'")
        .await;
    assert!(
        trail.len() == 2 && trail.iter().all(|(_, detail, ..)| !detail.contains("instruit")),
        "{trail:?}"
    );
}

pub(crate) async fn an_id_and_a_request_belong_together_for_good(place: &Place) {
    place.intake.register(&account()).await.unwrap();
    let one = place.intake.accept(brought("1")).await.unwrap().request_id;
    let two = place.intake.accept(brought("2")).await.unwrap().request_id;
    let tell = async |request: &str, told: NewExternal| place.desk.tell_external(&agent(), request, &account(), &told, None).await;
    let taken = tell(&two, told("1", None)).await.unwrap_err();
    assert!(
        matches!(&taken, CoreError::Conflict(detail) if detail.contains("another request's")),
        "{taken:?}"
    );
    let second = tell(&one, told("3", None)).await.unwrap_err();
    assert!(
        matches!(&second, CoreError::Conflict(detail) if detail.contains("another id")),
        "{second:?}"
    );
    // What was refused claimed nothing.
    let three = place.intake.accept(brought("3")).await.unwrap();
    assert_eq!(three.outcome, Outcome::Fresh);
    // Another system is another matter.
    let elsewhere = NewExternal::new(ExternalId::new("sig", "1").unwrap(), None).unwrap();
    let told = tell(&one, elsewhere).await.unwrap();
    assert!(told.made);
    assert_eq!(said(&told.request.external), [("ged", "1", Some("déposé")), ("sig", "1", None)]);
    let nowhere = tell("unknown", self::told("9", None)).await.unwrap_err();
    assert!(matches!(nowhere, CoreError::NotFound { .. }));
}

pub(crate) async fn an_id_that_was_attached_brings_nothing_in(place: &Place) {
    place.intake.register(&account()).await.unwrap();
    place.intake.register(&mailbox()).await.unwrap();
    let there = place.intake.accept(mail("a@example.fr", "1", NOW)).await.unwrap().request_id;
    let attached = place
        .desk
        .tell_external(&agent(), &there, &account(), &told("7", Some("reçu")), None)
        .await
        .unwrap();
    assert!(attached.made && attached.request.version == 2);
    let late = place.intake.accept(brought("7")).await.unwrap();
    assert_eq!((late.outcome, late.request_id.as_str()), (Outcome::Known, there.as_str()));
    assert_eq!(place.number("SELECT COUNT(*) FROM request").await, 1);
    assert_eq!(place.desk.by_external(&agent(), &named("7")).await.unwrap().id, there);
}

pub(crate) async fn who_does_not_reach_it_tells_nothing(place: &Place) {
    place.intake.register(&account()).await.unwrap();
    let mut contact = brought("1");
    contact.theme = Some("voirie".to_owned());
    let id = place.intake.accept(contact).await.unwrap().request_id;
    let with = |grants: serde_json::Value| {
        Actor::Agent(Arc::new(Agent {
            id: "a".to_owned(),
            login: "a".to_owned(),
            name: "A".to_owned(),
            grants: serde_json::from_value(grants).unwrap(),
        }))
    };
    for grant in [
        json!([{"operations": ["read"]}]),
        json!([{"operations": ["read", "reply"], "themes": ["aides"]}]),
        json!([{"operations": ["read", "reply"], "channels": ["email"]}]),
    ] {
        let refused = place
            .desk
            .tell_external(&with(grant.clone()), &id, &account(), &told("1", Some("clos")), None)
            .await;
        assert!(matches!(refused, Err(CoreError::NotFound { what: "request" })), "{grant}");
    }
    let blind = with(json!([{"operations": ["read"], "themes": ["aides"]}]));
    assert!(place.desk.by_external(&blind, &named("1")).await.is_err());
    assert_eq!(place.desk.by_external(&agent(), &named("1")).await.unwrap().version, 1);
    let right = with(json!([{"operations": ["reply"], "themes": ["voirie"]}]));
    let done = place
        .desk
        .tell_external(&right, &id, &account(), &told("1", Some("clos")), None)
        .await;
    assert_eq!(done.unwrap().request.version, 2);
}
