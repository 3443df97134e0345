//! Long texts in parts.

use voxea_core::contact::Outcome;
use voxea_core::request::Filter;
use voxea_rules::charset::encode_ucs2;

use crate::place::{HOUR, NOW, Place, SECOND, agent, part, sms_account, text};

pub(crate) async fn every_order_makes_one_text(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let bodies = ["Un ", "deux ", "trois"].map(encode_ucs2);
    let orders = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
    for (n, order) in orders.into_iter().enumerate() {
        let at = NOW + i64::try_from(n).unwrap() * 48 * HOUR;
        let whole = format!("ref {n}");
        for (step, number) in order.into_iter().enumerate() {
            // Each by another link of the account.
            let one = part(&whole, number, 3, &bodies[usize::from(number) - 1], &format!("{n}/{step}"), at);
            let accepted = place.intake.part(one).await.unwrap();
            assert_eq!(accepted.outcome, Outcome::Fresh);
            assert_eq!(accepted.whole.is_some(), step == 2, "{order:?}");
            if let Some(whole) = accepted.whole {
                let shown = place.interaction(&whole).await;
                assert_eq!(shown.row.text.as_deref(), Some("Un deux trois"), "{order:?}");
                assert!(shown.flags.is_empty());
                assert_eq!(shown.row.raw_sha256, Some(voxea_core::artefact::Blobs::hash(&bodies.concat())));
            }
        }
    }
    assert_eq!(place.number("SELECT COUNT(*) FROM interaction").await, 6);
    // All parts in one batch.
    let (one, two) = tokio::join!(
        place.intake.part(part("batch", 2, 2, &bodies[1], "a", NOW)),
        place.intake.part(part("batch", 1, 2, &bodies[0], "b", NOW))
    );
    let whole = one.unwrap().whole.or(two.unwrap().whole).expect("the second makes it whole");
    assert_eq!(place.interaction(&whole).await.row.text.as_deref(), Some("Un deux "));
}

pub(crate) async fn a_reference_that_is_reused_begins_another(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let body = |text: &str| encode_ucs2(text);
    place.intake.part(part("ref", 1, 2, &body("a"), "one", NOW)).await.unwrap();
    // Before the first text is whole, the same place with other words: another text.
    place.intake.part(part("ref", 1, 2, &body("c"), "one", NOW)).await.unwrap();
    let first = place.intake.part(part("ref", 2, 2, &body("b"), "one", NOW)).await.unwrap();
    let second = place.intake.part(part("ref", 2, 2, &body("d"), "one", NOW)).await.unwrap();
    assert_eq!(place.interaction(&first.whole.unwrap()).await.row.text.as_deref(), Some("ab"));
    assert_eq!(place.interaction(&second.whole.unwrap()).await.row.text.as_deref(), Some("cd"));
    // And after both are.
    place.intake.part(part("ref", 2, 2, &body("f"), "one", NOW)).await.unwrap();
    let third = place.intake.part(part("ref", 1, 2, &body("e"), "one", NOW)).await.unwrap();
    assert_eq!(place.interaction(&third.whole.unwrap()).await.row.text.as_deref(), Some("ef"));
    // Another total is another text, too.
    let single = place.intake.part(part("ref", 1, 1, &body("g"), "one", NOW)).await.unwrap();
    assert_eq!(place.interaction(&single.whole.unwrap()).await.row.text.as_deref(), Some("g"));
    let requests = place.number("SELECT COUNT(*) FROM request").await;
    assert_eq!(requests, 1, "they are one conversation");
}

pub(crate) async fn parts_of_a_text_come_again(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let (a, b) = (encode_ucs2("a"), encode_ucs2("b"));
    place.intake.part(part("ref", 1, 2, &a, "one", NOW)).await.unwrap();
    let doubled = place.intake.part(part("ref", 1, 2, &a, "two", NOW + SECOND)).await.unwrap();
    assert_eq!((doubled.outcome, doubled.whole), (Outcome::Known, None));
    // Doubled long after its response has left: still the same place, the same bytes.
    place.flushed(Some(doubled.delivery), NOW + 2 * SECOND).await;
    let late = place.intake.part(part("ref", 1, 2, &a, "two", NOW + HOUR)).await.unwrap();
    assert_eq!((late.outcome, late.whole), (Outcome::Known, None));
    let whole = place
        .intake
        .part(part("ref", 2, 2, &b, "one", NOW + HOUR))
        .await
        .unwrap()
        .whole
        .unwrap();
    // Whole, and then its parts come again: known, and the answer says of what.
    for (number, body) in [(1, &a), (2, &b)] {
        let again = place
            .intake
            .part(part("ref", number, 2, body, "three", NOW + HOUR + SECOND))
            .await
            .unwrap();
        assert_eq!(
            (again.outcome, again.whole.unwrap().interaction_id),
            (Outcome::Known, whole.interaction_id.clone())
        );
    }
    let shown = place.interaction(&whole).await;
    assert_eq!(
        (shown.row.text.as_deref(), shown.flags.as_slice()),
        (Some("ab"), ["redelivered".to_owned()].as_slice())
    );
    assert_eq!(place.number("SELECT COUNT(*) FROM interaction").await, 1);
}

pub(crate) async fn what_came_is_delivered_in_the_end(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    for number in [1, 2, 5] {
        let body = encode_ucs2(&format!("partie {number}"));
        place
            .intake
            .part(part("ref", number, 5, &body, "one", NOW + i64::from(number) * HOUR))
            .await
            .unwrap();
    }
    // The day counts from the first part that came.
    assert_eq!(place.intake.expire_parts(NOW + 25 * HOUR - 1).await.unwrap(), 0);
    assert_eq!(place.intake.expire_parts(NOW + 25 * HOUR).await.unwrap(), 1);
    assert_eq!(place.intake.expire_parts(NOW + 50 * HOUR).await.unwrap(), 0);
    let request = place.desk.list(&agent(), Filter::default(), 2).await.unwrap().items.remove(0);
    let shown = place.interactions.of_request(&agent(), &request.id).await.unwrap();
    assert_eq!(shown[0].row.text.as_deref(), Some("partie 1partie 2 […] partie 5"));
    assert_eq!(
        place.number("SELECT COUNT(*) FROM interaction WHERE flags = '[\"partial\"]'").await,
        1
    );
    // A part that comes after all begins anew, and the next text of the number joins the conversation.
    place
        .intake
        .part(part("ref", 3, 5, &encode_ucs2("tard"), "one", NOW + 51 * HOUR))
        .await
        .unwrap();
    place.intake.accept(text("suite", NOW + 26 * HOUR)).await.unwrap();
    assert_eq!(place.number("SELECT COUNT(*) FROM request").await, 1);
}

pub(crate) async fn a_pair_split_over_two_parts_is_read(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let whole = encode_ucs2("Merci 😀 à vous");
    // Within the surrogate pair, and even within a unit of 16 bits.
    for (n, cut) in [14, 13].into_iter().enumerate() {
        let reference = format!("pair {n}");
        place.intake.part(part(&reference, 1, 2, &whole[..cut], "one", NOW)).await.unwrap();
        let accepted = place
            .intake
            .part(part(&reference, 2, 2, &whole[cut..], "one", NOW))
            .await
            .unwrap()
            .whole
            .unwrap();
        let shown = place.interaction(&accepted).await;
        assert_eq!(shown.row.text.as_deref(), Some("Merci 😀 à vous"));
        assert!(shown.flags.is_empty());
    }
}
