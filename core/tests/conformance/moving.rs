//! Contacts that a rule has put with the wrong request, and a person moves.
//!
//! Red when the version is not compared, when requests are locked in the order of the call (PostgreSQL), and when the Message-ID
//! stays behind (`answers_follow` taken out).

use voxea_core::base::error::CoreError;
use voxea_core::request::{Moved, Moving, Patch, RequestRow, Status};

use crate::place::{HOUR, NOW, Place, agent, alone, mail, mailbox, sms_account, text, thread};

async fn request(place: &Place, id: &str) -> RequestRow {
    place.desk.get(&agent(), id).await.unwrap()
}

/// Moves it from the version that is there.
async fn moved(place: &Place, interaction_id: &str, to: Option<&str>) -> Result<Moved, CoreError> {
    let moving = Moving {
        interaction_id,
        from: None,
        to,
    };
    let version = place.desk.version_left(&agent(), &moving).await?;
    place.desk.move_interaction(&agent(), &moving, version).await
}

async fn kinds(place: &Place, behind: usize) -> Vec<String> {
    place.events().await.into_iter().skip(behind).map(|event| event.kind).collect()
}

pub(crate) async fn a_contact_becomes_a_request_of_its_own(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let first = place.intake.accept(text("un arbre", NOW)).await.unwrap();
    let second = place.intake.accept(text("et un chat", NOW + HOUR)).await.unwrap();
    assert_eq!(first.request_id, second.request_id);
    let before = place.events().await.len();
    let opened = moved(place, &second.interaction_id, None).await.unwrap();
    assert!(opened.opened && opened.request.id != first.request_id);
    assert_eq!((opened.request.status.as_str(), opened.request.version), ("received", 1));
    assert_eq!(opened.request.from_address, "+33612345678");
    assert_eq!(opened.request.received_at, NOW + HOUR);
    assert_ne!(opened.request.reference, first.reference);
    assert_eq!(kinds(place, before).await, ["request.split", "request.created"]);
    assert_eq!(request(place, &first.request_id).await.version, 3);
    for (id, count) in [(&first.request_id, 1), (&opened.request.id, 1)] {
        assert_eq!(place.interactions.of_request(&agent(), id).await.unwrap().len(), count);
    }
    let history = place.desk.history(&agent(), &first.request_id).await.unwrap();
    let last = history.last().unwrap();
    assert!(last.action == "moved_out" && last.detail.contains(&opened.request.id), "{last:?}");
    assert_eq!(place.desk.history(&agent(), &opened.request.id).await.unwrap()[0].action, "created");
    assert_eq!(
        place
            .number("SELECT COUNT(*) FROM audit WHERE action IN ('moved_out', 'created')")
            .await,
        2
    );
    // What comes next is the conversation of the request that was spoken to last.
    let next = place.intake.accept(text("le chat est descendu", NOW + 2 * HOUR)).await.unwrap();
    assert_eq!(next.request_id, opened.request.id);
    // The only contact of a request is its own.
    let refused = moved(place, &first.interaction_id, None).await;
    assert!(matches!(refused, Err(CoreError::Conflict(_))), "{refused:?}");
}

pub(crate) async fn a_contact_joins_the_request_that_it_belongs_to(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let first = place.intake.accept(alone("un", NOW)).await.unwrap();
    let second = place.intake.accept(alone("deux", NOW + HOUR)).await.unwrap();
    assert_ne!(first.request_id, second.request_id);
    let before = place.events().await.len();
    let joined = moved(place, &second.interaction_id, Some(&first.request_id)).await.unwrap();
    assert_eq!(
        (joined.opened, &joined.request.id, joined.request.version),
        (false, &first.request_id, 2)
    );
    assert_eq!(kinds(place, before).await, ["request.merged", "request.updated"]);
    let left = request(place, &second.request_id).await;
    assert_eq!((left.status.as_str(), left.version), ("merged", 2));
    assert_eq!(place.number("SELECT COUNT(*) FROM transition WHERE to_status = 'merged'").await, 1);
    assert_eq!(
        place.number("SELECT last_contact_at FROM request WHERE status = 'received'").await,
        NOW + HOUR
    );
    // Back again: a request that was merged takes nothing in until it is reopened.
    let refused = moved(place, &second.interaction_id, Some(&second.request_id)).await;
    assert!(matches!(refused, Err(CoreError::Conflict(_))), "{refused:?}");
    let reopen = Patch {
        status: Some(Status::Reopened),
        ..Patch::default()
    };
    place.desk.patch(&agent(), &second.request_id, 2, &reopen).await.unwrap();
    let back = moved(place, &second.interaction_id, Some(&second.request_id)).await.unwrap();
    assert_eq!((back.request.status.as_str(), back.request.version), ("reopened", 4));
    assert_eq!(request(place, &first.request_id).await.status, "received", "it has a contact left");
    // A redelivery finds it where it is.
    assert_eq!(place.number("SELECT COUNT(*) FROM request_interaction").await, 2);
    let refused = moved(place, &second.interaction_id, Some(&second.request_id)).await;
    assert!(matches!(refused, Err(CoreError::Invalid { .. })), "{refused:?}");
    for (id, to) in [("unknown", None), (second.interaction_id.as_str(), Some("unknown"))] {
        assert!(matches!(moved(place, id, to).await, Err(CoreError::NotFound { .. })));
    }
    // From a version that is not there any more nothing is moved.
    let stale = Moving {
        interaction_id: &second.interaction_id,
        from: Some(&second.request_id),
        to: Some(&first.request_id),
    };
    let refused = place.desk.move_interaction(&agent(), &stale, 3).await;
    assert!(matches!(refused, Err(CoreError::Stale { current: 4, .. })), "{refused:?}");
}

pub(crate) async fn answers_follow_a_mail_that_was_moved(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let first = place.intake.accept(mail("a@example.fr", "1", NOW)).await.unwrap();
    let mut answer = mail("a@example.fr", "2", NOW + HOUR);
    answer.joining = thread(&["<1@example.fr>"]);
    answer.native_id = Some("<2@example.fr>".to_owned());
    let second = place.intake.accept(answer).await.unwrap();
    assert_eq!(second.request_id, first.request_id);
    let opened = moved(place, &second.interaction_id, None).await.unwrap().request;
    assert_eq!(opened.subject.as_deref(), Some("Lampadaire"));
    let answer = |key: &str, to: &str| {
        let mut answer = mail("b@example.fr", key, NOW + 2 * HOUR);
        answer.joining = thread(&[to]);
        answer
    };
    let third = place.intake.accept(answer("3", "<2@example.fr>")).await.unwrap();
    assert_eq!(third.request_id, opened.id);
    let fourth = place.intake.accept(answer("4", "<1@example.fr>")).await.unwrap();
    assert_eq!(fourth.request_id, first.request_id);
}

pub(crate) async fn of_many_moves_from_one_version_one_is_made(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let first = place.intake.accept(text("un", NOW)).await.unwrap();
    let second = place.intake.accept(text("deux", NOW + 1)).await.unwrap();
    let moving = Moving {
        interaction_id: &second.interaction_id,
        from: Some(&first.request_id),
        to: None,
    };
    let actor = agent();
    let tries = (0..8).map(|_| place.desk.move_interaction(&actor, &moving, 2));
    let done = futures_util::future::join_all(tries).await;
    assert_eq!(done.iter().filter(|one| one.is_ok()).count(), 1, "{done:?}");
    assert_eq!(place.number("SELECT COUNT(*) FROM request").await, 2);
    assert_eq!(place.number("SELECT COUNT(*) FROM request_interaction").await, 2);
    // Two requests that exchange contacts do not wait for each other. Each keeps one, so that none is merged.
    let mut sides = Vec::new();
    for n in 0..2 {
        let opened = place.intake.accept(alone(&format!("stays {n}"), NOW + 10 + n)).await.unwrap();
        let travels = place.intake.accept(text(&format!("travels {n}"), NOW + 20 + n)).await.unwrap();
        sides.push((opened.request_id, travels));
    }
    let [(here, one), (there, other)] = &sides[..] else {
        panic!("two sides")
    };
    for contact in [one, other] {
        let _ = moved(place, &contact.interaction_id, Some(here)).await;
    }
    moved(place, &other.interaction_id, Some(there)).await.unwrap();
    let mut exchanged = 0;
    for n in 0..40 {
        let (left, right) = if n % 2 == 0 { (here, there) } else { (there, here) };
        let (a, b) = tokio::join!(
            moved(place, &one.interaction_id, Some(right)),
            moved(place, &other.interaction_id, Some(left)),
        );
        for done in [&a, &b] {
            assert!(matches!(done, Ok(_) | Err(CoreError::Stale { .. })), "{done:?}");
        }
        exchanged += usize::from(a.is_ok()) + usize::from(b.is_ok());
        // Who lost the race goes alone.
        for (done, contact, to) in [(a, one, right), (b, other, left)] {
            if done.is_err() {
                moved(place, &contact.interaction_id, Some(to)).await.unwrap();
            }
        }
    }
    assert!(exchanged >= 40, "{exchanged}");
}
