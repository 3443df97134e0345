//! The catalogue: shipped once, changed by one at a time, told by events, and obeyed by what comes in.

use futures_util::future::join_all;
use voxea_core::base::error::CoreError;
use voxea_core::base::time;
use voxea_core::catalogue::{Catalogue, Document, Expected, Kind, Theme};
use voxea_core::contact::{Choice, IntakeError};
use voxea_core::request::{Patch, Status};

use crate::place::{HOUR, NOW, Place, agent, calendar, mail, mailbox, part, patiently, sms_account, text};

fn theme(place: &Place, code: &str) -> Theme {
    place.catalogue.current().theme(code).unwrap().clone()
}

pub(crate) async fn it_is_shipped_once(place: &Place) {
    assert_eq!(place.catalogue.current().document, Document::shipped().unwrap());
    assert_eq!(place.count("theme.changed").await, 0, "nobody is told of what was always there");
    let renamed = Theme {
        label: "Voies".to_owned(),
        ..theme(place, "voirie")
    };
    place.catalogue.put_theme(&agent(), &Expected::Any, renamed).await.unwrap();
    // Another start, another node.
    let again = Catalogue::new(place.store.clone(), place.feed.clone(), calendar());
    again.seed().await.unwrap();
    assert_eq!(again.current().theme("voirie").unwrap().label, "Voies");
    assert_eq!(again.current().document.themes.len(), Document::shipped().unwrap().themes.len());
}

pub(crate) async fn a_change_names_the_version_it_was_made_from(place: &Place) {
    let (actor, door) = (agent(), &place.catalogue);
    let first = door.current().version_of(Kind::Theme, "voirie").unwrap();
    let renamed = Theme {
        label: "Voies".to_owned(),
        ..theme(place, "voirie")
    };
    let after = door
        .put_theme(&actor, &Expected::Versions(vec![first]), renamed.clone())
        .await
        .unwrap();
    let second = after.version_of(Kind::Theme, "voirie").unwrap();
    assert!(second > first && after.version == second);
    assert_eq!(after.version_of(Kind::Theme, "eau"), Some(first), "the others keep theirs");
    // The same again changes nothing; from the old version it is refused.
    let same = door.put_theme(&actor, &Expected::Any, renamed.clone()).await.unwrap();
    assert_eq!(same.version, second);
    let stale = door.put_theme(&actor, &Expected::Versions(vec![first]), renamed.clone()).await;
    assert!(matches!(stale, Err(CoreError::Stale { current, .. }) if current == second));
    assert!(matches!(
        door.put_theme(&actor, &Expected::Absent, renamed.clone()).await,
        Err(CoreError::Conflict(_))
    ));
    let unknown = Theme {
        code: "inconnu".to_owned(),
        keywords: Vec::new(),
        ..renamed.clone()
    };
    assert!(matches!(
        door.put_theme(&actor, &Expected::Any, unknown).await,
        Err(CoreError::NotFound { .. })
    ));
    let wrong = Theme {
        service: "aucun".to_owned(),
        ..renamed
    };
    let refused = door.put_theme(&actor, &Expected::Any, wrong).await;
    assert!(matches!(refused, Err(CoreError::Invalid { pointer, .. }) if pointer == "/service"));
    assert_eq!(door.fresh().await.unwrap().version, second, "what is refused leaves no trace");
    assert_eq!(place.count("theme.changed").await, 1);
    assert_eq!(
        place.number("SELECT COUNT(*) FROM catalogue_change WHERE actor LIKE 'key:%'").await,
        1
    );
}

pub(crate) async fn thirty_two_writers_lose_nothing(place: &Place) {
    // Each over a door of its own, as nodes would be.
    let written = join_all((0..32).map(|number| {
        let door = Catalogue::new(place.store.clone(), place.feed.clone(), calendar());
        let new = Theme {
            code: format!("theme-{number}"),
            keywords: vec![format!("MOT{number}")],
            ..theme(place, "voirie")
        };
        async move {
            let agent = agent();
            patiently(|| door.put_theme(&agent, &Expected::Absent, new.clone()))
                .await
                .map(|_| ())
        }
    }));
    for one in written.await {
        one.unwrap();
    }
    let all = place.catalogue.fresh().await.unwrap();
    for number in 0..32 {
        assert_eq!(all.by_keyword(&format!("mot{number}")), Some(format!("theme-{number}").as_str()));
    }
    assert_eq!(place.count("theme.changed").await, 32);
}

pub(crate) async fn one_word_cannot_choose_two(place: &Place) {
    // Both at once, each of which is right alone.
    let claim = |code: &str| {
        let door = Catalogue::new(place.store.clone(), place.feed.clone(), calendar());
        let new = Theme {
            keywords: vec!["PISCINE".to_owned()],
            ..theme(place, code)
        };
        async move { door.put_theme(&agent(), &Expected::Any, new).await.map(|_| ()) }
    };
    let (one, other) = tokio::join!(claim("voirie"), claim("archives"));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
}

pub(crate) async fn a_service_tells_of_its_themes(place: &Place) {
    let mut service = place.catalogue.current().service("service-technique").unwrap().clone();
    service.phone = Some("01 23 45 67 89".to_owned());
    place.catalogue.put_service(&agent(), &Expected::Any, service).await.unwrap();
    let subjects: Vec<String> = place.events().await.into_iter().map(|event| event.subject).collect();
    assert_eq!(subjects, ["eau", "eclairage", "espaces-verts", "voirie"]);
}

pub(crate) async fn an_import_switches_off_what_it_lacks(place: &Place) {
    let mut document = Document::shipped().unwrap();
    document.themes.retain(|theme| theme.code != "archives");
    document.services.retain(|service| service.code != "accueil");
    document.themes.retain(|theme| theme.service != "accueil");
    document.themes[0].label = "Naissances".to_owned();
    let after = place.catalogue.import(&agent(), document).await.unwrap();
    assert!(!after.theme("archives").unwrap().enabled && !after.theme("renseignement").unwrap().enabled);
    assert!(after.service("accueil").is_some());
    assert_eq!(after.theme("etat-civil").unwrap().label, "Naissances");
    assert_eq!(after.by_keyword("archives"), None);
}

pub(crate) async fn what_comes_in_has_its_theme(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    place.intake.register(&mailbox()).await.unwrap();
    let of = async |id: &str| place.desk.get(&agent(), id).await.unwrap().theme;
    let said = async |number: &str, words: &str| {
        let mut contact = text(words, NOW);
        contact.from = number.to_owned();
        contact.default_theme = Some("renseignement".to_owned());
        place.intake.accept(contact).await.unwrap().request_id
    };
    assert_eq!(
        of(&said("+33600000001", "Éclairage rue Foch").await).await.as_deref(),
        Some("eclairage")
    );
    assert_eq!(of(&said("+33600000002", "Bonjour").await).await.as_deref(), Some("renseignement"));
    // A new word counts from its commit on, also for the part of a long text.
    let piscine = Theme {
        code: "piscine".to_owned(),
        keywords: vec!["PISCINE".to_owned()],
        aliases: vec!["piscine@example.fr".to_owned()],
        ..theme(place, "voirie")
    };
    place.catalogue.put_theme(&agent(), &Expected::Absent, piscine).await.unwrap();
    for (number, bytes) in [(1, &b"\0P\0i\0s\0c"[..]), (2, &b"\0i\0n\0e"[..])] {
        place
            .intake
            .part(part("w", number, 2, bytes, &format!("p{number}"), NOW))
            .await
            .unwrap();
    }
    let sql = "SELECT COUNT(*) FROM request WHERE theme = 'piscine'";
    assert_eq!(place.number(sql).await, 1);
    let mut written = mail("a@example.fr", "1", NOW);
    written.to = "Piscine@example.fr".to_owned();
    let accepted = place.intake.accept(written).await.unwrap();
    assert_eq!(of(&accepted.request_id).await.as_deref(), Some("piscine"));
}

pub(crate) async fn a_request_takes_only_a_theme_in_use(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let accepted = place.intake.accept(text("Bonjour", NOW)).await.unwrap();
    let to = |code: &str| Patch {
        theme: Some(Some(code.to_owned())),
        ..Patch::default()
    };
    let patch = async |version, code: &str| place.desk.patch(&agent(), &accepted.request_id, version, &to(code)).await;
    assert!(matches!(patch(1, "inconnu").await, Err(CoreError::Invalid { pointer, .. }) if pointer == "/theme"));
    assert_eq!(patch(1, "voirie").await.unwrap().theme.as_deref(), Some("voirie"));
    let off = Theme {
        enabled: false,
        ..theme(place, "eau")
    };
    place.catalogue.put_theme(&agent(), &Expected::Any, off).await.unwrap();
    assert!(matches!(patch(2, "eau").await, Err(CoreError::Invalid { .. })));
}

pub(crate) async fn a_move_says_how_long_the_state_lasted(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    // The services of this theme are open round the clock, so that the story needs no certain hour.
    let mut service = place.catalogue.current().service("service-technique").unwrap().clone();
    service.hours = Some("mo-su 00:00-24:00".to_owned());
    place.catalogue.put_service(&agent(), &Expected::Any, service).await.unwrap();
    let received = time::now() - 400 * 24 * HOUR;
    let accepted = place.intake.accept(text("Voirie : un trou", received)).await.unwrap();
    let to = |status| Patch {
        status: Some(status),
        ..Patch::default()
    };
    let id = accepted.request_id;
    let open = place.desk.patch(&agent(), &id, 1, &to(Status::Open)).await.unwrap();
    let worked = place.desk.patch(&agent(), &id, 2, &to(Status::InProgress)).await.unwrap();
    let rows: Vec<(String, String, i64, i64)> = place
        .rows("SELECT from_status, to_status, elapsed_ms, working_ms FROM transition ORDER BY version")
        .await;
    let states: Vec<(&str, &str)> = rows.iter().map(|(from, to, ..)| (from.as_str(), to.as_str())).collect();
    assert_eq!(states, [("received", "open"), ("open", "in_progress")]);
    assert_eq!(rows[0].2, open.updated_at - received);
    assert_eq!(
        rows[1].2,
        worked.updated_at - open.updated_at,
        "the second begins where the first ended"
    );
    // Eleven or twelve holidays of 400 days are not worked.
    let closed = (rows[0].2 - rows[0].3) / (24 * HOUR);
    assert!((11..=14).contains(&closed), "{closed}");
    // A change that is no move counts nothing.
    let renamed = Patch {
        subject: Some(Some("Trou".to_owned())),
        ..Patch::default()
    };
    place.desk.patch(&agent(), &id, 3, &renamed).await.unwrap();
    assert_eq!(place.number("SELECT COUNT(*) FROM transition").await, 2);
    let history = place.desk.history(&agent(), &id).await.unwrap();
    let moved = history.iter().filter(|entry| entry.detail.contains("working_ms"));
    assert_eq!(moved.count(), 2);
}

pub(crate) async fn a_caller_chooses_a_theme(place: &Place) {
    let epoch = place.intake.register(&sms_account()).await.unwrap();
    let mut call = text("Bonjour", NOW);
    call.default_theme = Some("eau".to_owned());
    let accepted = place.intake.accept(call).await.unwrap();
    let choice = |theme: &str, epoch| Choice {
        account: sms_account(),
        epoch,
        request_id: accepted.request_id.clone(),
        given: Some("eau".to_owned()),
        theme: theme.to_owned(),
    };
    let request = async || place.desk.get(&agent(), &accepted.request_id).await.unwrap();
    let before = place.count("request.updated").await;
    assert_eq!(
        place.intake.choose_theme(&choice("voirie", epoch + 1)).await,
        Err(IntakeError::Fenced)
    );
    assert!(matches!(
        place.intake.choose_theme(&choice("inconnu", epoch)).await,
        Err(IntakeError::Invalid(_))
    ));
    let nowhere = Choice {
        request_id: "0".to_owned(),
        ..choice("voirie", epoch)
    };
    assert!(matches!(place.intake.choose_theme(&nowhere).await, Err(IntakeError::Invalid(_))));
    assert_eq!((request().await.theme.as_deref(), request().await.version), (Some("eau"), 1));
    // Said twice, since the first answer may have been lost: done once.
    for _ in 0..2 {
        assert_eq!(place.intake.choose_theme(&choice("voirie", epoch)).await, Ok(true));
    }
    assert_eq!((request().await.theme.as_deref(), request().await.version), (Some("voirie"), 2));
    assert_eq!(place.count("request.updated").await, before + 1);
    let history = place.desk.history(&agent(), &accepted.request_id).await.unwrap();
    let last = history.last().unwrap();
    assert_eq!(
        (last.action.as_str(), last.actor.as_str()),
        ("patched", "channel:smpp/short-number")
    );
    assert!(
        last.detail.contains("\"from\":\"eau\"") && last.detail.contains("\"to\":\"voirie\""),
        "{}",
        last.detail
    );
    // What a person said is not changed by a key that was pressed meanwhile.
    let by_hand = Patch {
        theme: Some(Some("archives".to_owned())),
        ..Patch::default()
    };
    place.desk.patch(&agent(), &accepted.request_id, 2, &by_hand).await.unwrap();
    assert_eq!(place.intake.choose_theme(&choice("voirie", epoch)).await, Ok(false));
    assert_eq!((request().await.theme.as_deref(), request().await.version), (Some("archives"), 3));
}
