//! Who reaches what: what a grant does not name is not there.

use std::sync::Arc;

use serde_json::json;
use voxea_core::base::actor::{Actor, Agent};
use voxea_core::base::error::CoreError;
use voxea_core::base::wake::Wake;
use voxea_core::contact::{Contact, Recordings};
use voxea_core::feed::Selection;
use voxea_core::outbox::{NewReply, Outbox};
use voxea_core::request::{Filter, Patch};

use crate::place::{NOW, Place, agent, alone, mail, mailbox, sms_account};

/// An agent with these grants.
fn with(grants: serde_json::Value) -> Actor {
    Actor::Agent(Arc::new(Agent {
        id: "a".to_owned(),
        login: "a".to_owned(),
        name: "A".to_owned(),
        grants: serde_json::from_value(grants).unwrap(),
    }))
}

fn themed(mut contact: Contact, theme: Option<&str>) -> Contact {
    contact.theme = theme.map(str::to_owned);
    contact
}

/// A text and a mail of each of these themes; the requests' ids with their channel and theme.
async fn town(place: &Place) -> Vec<(String, &'static str, Option<&'static str>)> {
    place.intake.register(&sms_account()).await.unwrap();
    place.intake.register(&mailbox()).await.unwrap();
    let mut requests = Vec::new();
    for theme in [Some("voirie"), Some("cantine-inscription"), Some("salubrite"), Some("aides"), None] {
        let text = place.intake.accept(themed(alone(&format!("Bonjour {theme:?}"), NOW), theme));
        requests.push((text.await.unwrap().request_id, "sms", theme));
        let key = format!("mail-{}", theme.unwrap_or("none"));
        let mail = place.intake.accept(themed(mail("a@example.fr", &key, NOW), theme));
        requests.push((mail.await.unwrap().request_id, "email", theme));
    }
    requests
}

/// Grants, and which channels and themes they reach.
type Case = (serde_json::Value, &'static [&'static str], &'static [Option<&'static str>]);

fn cases() -> Vec<Case> {
    const BOTH: &[&str] = &["sms", "email"];
    vec![
        (
            json!([{"operations": ["read"]}]),
            BOTH,
            &[Some("voirie"), Some("cantine-inscription"), None],
        ),
        (
            json!([{"operations": ["read"], "confidentiality": "secret"}]),
            BOTH,
            &[Some("voirie"), Some("cantine-inscription"), Some("salubrite"), Some("aides"), None],
        ),
        (
            json!([{"operations": ["read"], "services": ["service-technique", "ccas"], "channels": ["sms"]}]),
            &["sms"],
            &[Some("voirie")],
        ),
        (
            json!([{"operations": ["admin"], "themes": ["aides"], "unthemed": true, "confidentiality": "secret"}]),
            BOTH,
            &[Some("aides"), None],
        ),
        (json!([{"operations": ["reply", "intake"]}]), BOTH, &[]),
        (json!([]), BOTH, &[]),
    ]
}

pub(crate) async fn what_is_not_reached_is_not_there(place: &Place) {
    let requests = town(place).await;
    for (grants, channels, themes) in cases() {
        let actor = with(grants.clone());
        let reaches = |channel: &str, theme: Option<&str>| channels.contains(&channel) && themes.contains(&theme);
        let listed = place.desk.list(&actor, Filter::default(), 500).await.unwrap().items;
        let expected: Vec<&str> = requests
            .iter()
            .filter(|(_, channel, theme)| reaches(channel, *theme))
            .map(|(id, ..)| id.as_str())
            .collect();
        assert_eq!(listed.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), expected, "{grants}");
        for (id, channel, theme) in &requests {
            let there = reaches(channel, *theme);
            assert_eq!(place.desk.get(&actor, id).await.is_ok(), there, "{grants} {channel} {theme:?}");
            assert_eq!(place.desk.history(&actor, id).await.is_ok(), there);
            let shown = place.interactions.of_request(&actor, id).await;
            assert_eq!(shown.is_ok(), there);
            let evidence = place.interactions.of_request(&agent(), id).await.unwrap()[0].row.id.clone();
            assert_eq!(place.interactions.get(&actor, &evidence).await.is_ok(), there);
        }
        let told: Vec<String> = place
            .feed
            .select(
                &Selection::within(place.catalogue.reach(&actor, voxea_core::base::grant::Operation::Read)),
                0,
                500,
            )
            .await
            .unwrap()
            .items
            .into_iter()
            .filter(|event| event.kind == "request.created")
            .map(|event| event.subject)
            .collect();
        assert_eq!(told, expected, "{grants}");
    }
}

pub(crate) async fn who_may_not_change_changes_nothing(place: &Place) {
    let requests = town(place).await;
    let outbox = Outbox::new(
        place.store.clone(),
        place.vault.clone(),
        place.feed.clone(),
        place.catalogue.clone(),
        Wake::new(),
    );
    let actor = with(json!([
        {"operations": ["read"]},
        {"operations": ["reply"], "themes": ["voirie"], "channels": ["sms"]},
    ]));
    let events = place.events().await.len();
    let patch = Patch {
        subject: Some(Some("Vu".to_owned())),
        ..Patch::default()
    };
    let reply = NewReply {
        channel: None,
        text: "Bonjour".to_owned(),
        subject: None,
    };
    for (id, channel, theme) in &requests {
        let own = (*channel, *theme) == ("sms", Some("voirie"));
        let patched = place.desk.patch(&actor, id, 1, &patch).await;
        let replied = outbox.reply(&actor, id, &reply).await;
        if own {
            assert_eq!(patched.unwrap().version, 2);
            // Nobody sends here, which is said only to who may answer.
            assert!(matches!(replied, Err(CoreError::Conflict(_))));
        } else {
            assert!(
                matches!(patched, Err(CoreError::NotFound { what: "request" })),
                "{channel} {theme:?}"
            );
            assert!(
                matches!(replied, Err(CoreError::NotFound { what: "request" })),
                "{channel} {theme:?}"
            );
            assert_eq!(place.desk.get(&agent(), id).await.unwrap().version, 1);
        }
    }
    assert_eq!(place.events().await.len(), events + 1, "one change was made");
}

pub(crate) async fn a_reader_of_little_moves_on(place: &Place) {
    let requests = town(place).await;
    let actor = with(json!([{"operations": ["read"], "themes": ["voirie"]}]));
    let reach = place.catalogue.reach(&actor, voxea_core::base::grant::Operation::Read);
    let head = place.feed.head().await.unwrap();
    let selection = Selection::within(reach);
    let page = place.feed.select(&selection, 0, 500).await.unwrap();
    assert_eq!((page.next, page.has_more), (head, false), "it need not look through the rest again");
    let short = place.feed.select(&selection, 0, 1).await.unwrap();
    assert_eq!((short.next, short.has_more), (short.items[0].position, true));
    // A request that comes within reach is told of by its change.
    let (foreign, ..) = requests.iter().find(|(_, _, theme)| theme.is_none()).unwrap();
    let patch = Patch {
        theme: Some(Some("voirie".to_owned())),
        ..Patch::default()
    };
    place.desk.patch(&agent(), foreign, 1, &patch).await.unwrap();
    let more = place.feed.select(&selection, page.next, 500).await.unwrap();
    assert_eq!(more.items.iter().map(|event| &event.subject).collect::<Vec<_>>(), [foreign]);
}

pub(crate) async fn evidence_of_two_requests_names_those_that_are_reached(place: &Place) {
    let requests = town(place).await;
    let id_of = |wanted: Option<&str>| {
        requests
            .iter()
            .find(|(_, channel, theme)| *channel == "sms" && *theme == wanted)
            .unwrap()
            .0
            .clone()
    };
    let (own, foreign) = (id_of(Some("voirie")), id_of(Some("aides")));
    let evidence = place.interactions.of_request(&agent(), &foreign).await.unwrap()[0].row.id.clone();
    place
        .change(&format!(
            "INSERT INTO request_interaction (request_id, interaction_id, position) VALUES ('{own}', '{evidence}', 1000)"
        ))
        .await;
    let actor = with(json!([{"operations": ["read"], "themes": ["voirie"]}]));
    let shown = place.interactions.get(&actor, &evidence).await.unwrap();
    assert_eq!(shown.request_ids, [own]);
    let whole = place.interactions.get(&agent(), &evidence).await.unwrap();
    assert_eq!(whole.request_ids.len(), 2);
    let recordings = Recordings::new(
        place.store.clone(),
        place.vault.clone(),
        place.feed.clone(),
        place.catalogue.clone(),
    );
    assert!(matches!(recordings.get(&actor, "none").await, Err(CoreError::NotFound { .. })));
}
