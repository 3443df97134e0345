//! Who is acknowledged, and who is not.

use crate::place::{HOUR, NOW, Place, acknowledgement, agent, mail, mailbox, thread};

pub(crate) async fn only_what_opens_a_request_is_acknowledged(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let mut opens = mail("a@example.fr", "1", NOW);
    opens.acknowledgement = Some(acknowledgement("a@example.fr"));
    let opened = place.intake.accept(opens.clone()).await.unwrap();
    place.intake.accept(opens).await.unwrap();
    let mut joins = mail("a@example.fr", "2", NOW);
    joins.joining = thread(&["<1@example.fr>"]);
    joins.acknowledgement = Some(acknowledgement("a@example.fr"));
    let joined = place.intake.accept(joins).await.unwrap();
    assert_eq!(joined.request_id, opened.request_id);
    assert_eq!(place.number("SELECT COUNT(*) FROM reply").await, 1);

    let shown = place.interactions.of_request(&agent(), &opened.request_id).await.unwrap();
    let directions: Vec<&str> = shown.iter().map(|shown| shown.row.direction.as_str()).collect();
    assert_eq!(directions, ["in", "out", "in"]);
    assert_eq!(
        shown[1].row.text.as_deref(),
        Some(format!("Elle porte le numéro {}.", opened.reference).as_str())
    );
    assert_eq!(
        shown[1].row.subject.as_deref(),
        Some(format!("Votre demande {}", opened.reference).as_str())
    );
    let kinds: Vec<String> = place.events().await.into_iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [
            "request.created",
            "interaction.received",
            "reply.queued",
            "interaction.received",
            "request.updated"
        ]
    );

    // An answer to the acknowledgement finds the request too.
    let mut answer = mail("a@example.fr", "3", NOW);
    answer.joining = thread(&[shown[1].row.native_id.as_deref().unwrap()]);
    assert_eq!(place.intake.accept(answer).await.unwrap().request_id, opened.request_id);
}

pub(crate) async fn the_breakers_hold_and_last(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let send = async |intake: &voxea_core::contact::Intake, n: i64, at| {
        let mut contact = mail("loop@example.fr", &format!("{n}-{at}"), at);
        contact.acknowledgement = Some(acknowledgement("loop@example.fr"));
        intake.accept(contact).await.unwrap();
    };
    for n in 0..5 {
        send(&place.intake, n, NOW).await;
    }
    // A restart does not open the breaker.
    let again = place.intake_again();
    for n in 5..10 {
        send(&again, n, NOW).await;
    }
    assert_eq!(place.number("SELECT COUNT(*) FROM request").await, 10, "every mail is a request");
    assert_eq!(place.number("SELECT COUNT(*) FROM reply").await, 6, "but a sender gets six an hour");
    send(&again, 10, NOW + HOUR).await;
    assert_eq!(place.number("SELECT COUNT(*) FROM reply").await, 7);
}
