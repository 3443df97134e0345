//! Texts have no id on the way in: the rule of redelivery, on times that the story gives.

use voxea_core::contact::Outcome;

use crate::place::{HOUR, NOW, Place, SECOND, agent, sms_account, text, text_by};

pub(crate) async fn unflushed_is_the_same(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let first = place.intake.accept(text("oui", NOW)).await.unwrap();
    let again = place.intake.accept(text_by("two", 60, "oui", NOW + 23 * HOUR)).await.unwrap();
    assert_eq!((again.outcome, &again.interaction_id), (Outcome::Known, &first.interaction_id));
    let shown = place.interaction(&first).await;
    assert_eq!((shown.row.deliveries, shown.flags), (2, vec!["redelivered".to_owned()]));
    let kinds: Vec<String> = place.events().await.into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["request.created", "interaction.received", "interaction.delivery"]);
    // After a day nobody redelivers; it is another.
    let late = place.intake.accept(text_by("three", 60, "oui", NOW + 24 * HOUR)).await.unwrap();
    assert_eq!(late.outcome, Outcome::Fresh);
}

pub(crate) async fn flushed_is_a_twin_after_the_window(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let first = place.intake.accept(text("oui", NOW)).await.unwrap();
    place.flushed(first.delivery.clone(), NOW + SECOND).await;
    let near = place.intake.accept(text("oui", NOW + 60 * SECOND)).await.unwrap();
    assert_eq!(near.outcome, Outcome::Known);
    place.flushed(near.delivery, NOW + 60 * SECOND).await;
    let twin = place.intake.accept(text("oui", NOW + 120 * SECOND)).await.unwrap();
    assert_eq!(twin.outcome, Outcome::Fresh);
    assert_eq!(
        twin.request_id, first.request_id,
        "a twin is another interaction of the same conversation"
    );
    assert_eq!(place.number("SELECT COUNT(*) FROM interaction").await, 2);
}

pub(crate) async fn the_end_of_a_link_casts_doubt(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    for (window, doubtful, sure) in [(0, 59, 60), (10, 9, 10)] {
        for (gap, expected) in [(doubtful, Outcome::Known), (sure, Outcome::Fresh)] {
            let (body, link) = (format!("{window}/{gap}"), format!("link {window}/{gap}"));
            let first = place.intake.accept(text_by(&link, window, &body, NOW)).await.unwrap();
            place.intake.flushed(vec![first.delivery.unwrap()], NOW + SECOND);
            place.intake.link_ended(&sms_account(), &link, NOW + SECOND + gap * SECOND);
            place.intake.settled().await;
            let again = place.intake.accept(text_by("next", window, &body, NOW + HOUR)).await.unwrap();
            assert_eq!(again.outcome, expected, "window {window}, link ended {gap} s after the response");
        }
    }
}

pub(crate) async fn a_restart_casts_doubt(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let first = place.intake.accept(text_by("one", 0, "flushed just before", NOW)).await.unwrap();
    place.flushed(first.delivery, NOW + SECOND).await;
    let lost = place.intake.accept(text_by("one", 0, "never flushed", NOW)).await.unwrap();
    // The process dies: nobody notes the end of its link.
    let next = place.intake_again();
    next.register(&sms_account()).await.unwrap();
    for body in ["flushed just before", "never flushed"] {
        assert_eq!(
            next.accept(text_by("two", 0, body, NOW + HOUR)).await.unwrap().outcome,
            Outcome::Known,
            "{body}"
        );
    }
    // On a link that lives, the same words are another text.
    let twin = next.accept(text_by("two", 0, "never flushed", NOW + HOUR)).await.unwrap();
    assert_eq!(twin.outcome, Outcome::Fresh);
    assert_ne!(twin.interaction_id, lost.interaction_id);
}

pub(crate) async fn twins_of_one_batch(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    // With a window of 0, two on one link are two, however they share a batch.
    let (one, two) = tokio::join!(
        place.intake.accept(text_by("one", 0, "oui", NOW)),
        place.intake.accept(text_by("one", 0, "oui", NOW))
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.outcome, two.outcome), (Outcome::Fresh, Outcome::Fresh));
    // Both come again on another link: each is known, and each is its own.
    let (again, other) = tokio::join!(
        place.intake.accept(text_by("two", 0, "oui", NOW)),
        place.intake.accept(text_by("two", 0, "oui", NOW))
    );
    let (again, other) = (again.unwrap(), other.unwrap());
    assert_eq!((again.outcome, other.outcome), (Outcome::Known, Outcome::Known));
    assert_eq!(
        [again.interaction_id, other.interaction_id],
        [one.interaction_id, two.interaction_id]
    );
    // With a window they are one, in one batch too.
    let (one, two) = tokio::join!(place.intake.accept(text("non", NOW)), place.intake.accept(text("non", NOW)));
    assert_eq!((one.unwrap().outcome, two.unwrap().outcome), (Outcome::Fresh, Outcome::Known));
    assert_eq!(place.number("SELECT COUNT(*) FROM interaction").await, 3);
    assert_eq!(place.number("SELECT deliveries FROM interaction WHERE text = 'non'").await, 2);
}

pub(crate) async fn a_repetition_of_a_repetition(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let first = place.intake.accept(text_by("one", 0, "oui", NOW)).await.unwrap();
    place.intake.flushed(vec![first.delivery.unwrap()], NOW + SECOND);
    place.intake.link_ended(&sms_account(), "one", NOW + 2 * SECOND);
    place.intake.settled().await;
    // Its second response is lost as well: link two dies before it leaves.
    let second = place.intake.accept(text_by("two", 0, "oui", NOW + HOUR)).await.unwrap();
    place.intake.link_ended(&sms_account(), "two", NOW + HOUR + SECOND);
    let third = place.intake.accept(text_by("three", 0, "oui", NOW + 2 * HOUR)).await.unwrap();
    assert_eq!((second.outcome, third.outcome), (Outcome::Known, Outcome::Known));
    assert_eq!(third.interaction_id, first.interaction_id);
    let shown = place.interactions.get(&agent(), &third.interaction_id).await.unwrap();
    assert_eq!((shown.row.deliveries, shown.flags.len()), (3, 1));
}

pub(crate) async fn what_has_served_is_forgotten(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    place.intake.accept(text("vieux", NOW)).await.unwrap();
    place.intake.accept(text("neuf", NOW + 40 * HOUR)).await.unwrap();
    place.intake.link_ended(&sms_account(), "one", NOW);
    place.intake.settled().await;
    assert_eq!(place.intake.forget(NOW + 49 * HOUR).await.unwrap(), 2);
    assert_eq!(place.number("SELECT COUNT(*) FROM delivery").await, 1);
    assert_eq!(place.number("SELECT COUNT(*) FROM interaction").await, 2, "evidence stays");
}
