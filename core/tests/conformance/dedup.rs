//! What comes twice is taken in once.

use bytes::Bytes;
use voxea_core::artefact::{Blobs, StoredBlob};
use voxea_core::contact::{Dedup, Flag, NewAttachment, NewCall, NewRecording, Outcome, RAW_INLINE_BYTES, Raw, RawRow};

use crate::place::{NOW, Place, agent, mail, mailbox};

pub(crate) async fn a_contact_keeps_all_it_brought(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let blob = StoredBlob {
        sha256: "ab".repeat(32),
        size: 7,
    };
    let large = Bytes::from(vec![0xff; RAW_INLINE_BYTES]);
    let mut contact = mail("Zoé@example.fr", "1", NOW);
    contact.from_name = Some("Zoé".to_owned());
    contact.text_stripped = Some("Bonjour".to_owned());
    contact.native_id = Some("<1@example.fr>".to_owned());
    contact.occurred_at = NOW - 5;
    contact.flags = vec![Flag::Automatic];
    contact.authenticity = Some("{\"by\":\"mx.example\"}".to_owned());
    contact.theme = Some("voirie".to_owned());
    contact.raw = Some(Raw::Inline {
        media_type: "message/rfc822",
        bytes: large.clone(),
    });
    contact.attachments = vec![
        NewAttachment {
            name: "b.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            blob: blob.clone(),
            inline: false,
            content_id: None,
        },
        NewAttachment {
            name: "a.png".to_owned(),
            media_type: "image/png".to_owned(),
            blob: blob.clone(),
            inline: true,
            content_id: Some("plan@x".to_owned()),
        },
    ];
    contact.call = Some(NewCall {
        dialled: "3000".to_owned(),
        diverted_from: vec!["100".to_owned(), "200".to_owned()],
        signalling: None,
    });
    contact.recording = Some(NewRecording {
        id: "r1".to_owned(),
        path: "recordings/r1".to_owned(),
        codec: "pcma".to_owned(),
        rate: 8000,
        key: None,
        keep_days: 90,
    });
    let accepted = place.intake.accept(contact).await.unwrap();
    assert_eq!(accepted.outcome, Outcome::Fresh);

    let request = place.desk.get(&agent(), &accepted.request_id).await.unwrap();
    assert_eq!(request.reference, accepted.reference);
    assert!(request.reference.starts_with("2026-0000001-") && voxea_rules::reference::parse(&request.reference).is_ok());
    assert_eq!(
        (request.channel.as_str(), request.status.as_str(), request.version),
        ("email", "received", 1)
    );
    assert_eq!(
        (request.theme.as_deref(), request.from_name.as_deref()),
        (Some("voirie"), Some("Zoé"))
    );
    let history = place.desk.history(&agent(), &accepted.request_id).await.unwrap();
    assert_eq!(
        (history[0].actor.as_str(), history[0].action.as_str()),
        ("channel:mailbox/mairie", "created")
    );

    let shown = place.interactions.of_request(&agent(), &accepted.request_id).await.unwrap();
    assert_eq!(shown.len(), 1);
    let shown = &shown[0];
    assert_eq!(shown.row.id, accepted.interaction_id);
    assert_eq!(
        (shown.row.direction.as_str(), shown.row.deliveries, shown.row.occurred_at),
        ("in", 1, NOW - 5)
    );
    assert_eq!(shown.flags, ["automatic"]);
    assert_eq!(shown.row.authenticity.as_deref(), Some("{\"by\":\"mx.example\"}"));
    let inline: Vec<_> = shown
        .attachments
        .iter()
        .map(|one| (one.inline(), one.content_id.as_deref()))
        .collect();
    assert_eq!(inline, [(false, None), (true, Some("plan@x"))]);
    assert_eq!(shown.request_ids, std::slice::from_ref(&accepted.request_id));
    let names: Vec<&str> = shown.attachments.iter().map(|attachment| attachment.name.as_str()).collect();
    assert_eq!(names, ["b.pdf", "a.png"], "in the order in which they came");
    assert_eq!(shown.call.as_ref().unwrap().diversions(), ["100", "200"]);
    assert_eq!(shown.recording.as_ref().unwrap().state, "recording");
    assert_eq!(shown.row.raw_sha256, Some(Blobs::hash(&large)));
    let folder = tempfile::tempdir().unwrap();
    let raw = place
        .interactions
        .raw(
            &agent(),
            &accepted.interaction_id,
            &Blobs::open(folder.path().to_owned(), place.vault.clone()).unwrap(),
        )
        .await
        .unwrap();
    let RawRow::Inline { media_type, bytes } = raw else {
        panic!("{raw:?} is no inline artefact")
    };
    assert_eq!((media_type.as_str(), bytes), ("message/rfc822", large.to_vec()));
    let kinds: Vec<String> = place.events().await.into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["request.created", "interaction.received"]);
}

pub(crate) async fn one_known_key_makes_it_known(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    let with = |keys: &[&str]| {
        let mut contact = mail("a@example.fr", keys[0], NOW);
        contact.dedup = Dedup::Keys(keys.iter().map(|key| (*key).to_owned()).collect());
        contact
    };
    let first = place.intake.accept(with(&["uid:1", "sha:x"])).await.unwrap();
    let moved = place.intake.accept(with(&["uid:2", "sha:x"])).await.unwrap();
    assert_eq!(
        (moved.outcome, &moved.interaction_id, &moved.request_id),
        (Outcome::Known, &first.interaction_id, &first.request_id)
    );
    assert_eq!(moved.reference, first.reference);
    // All keys of a known contact lead to it from then on.
    let again = place.intake.accept(with(&["uid:2", "sha:other"])).await.unwrap();
    assert_eq!(again.outcome, Outcome::Known);
    let other = place.intake.accept(with(&["uid:3", "sha:y"])).await.unwrap();
    assert_eq!(other.outcome, Outcome::Fresh);
    assert_eq!(place.number("SELECT COUNT(*) FROM interaction").await, 2);
    assert_eq!(place.count("interaction.received").await, 2);
}

pub(crate) async fn sixty_four_at_once_make_one(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    at_once(place, std::slice::from_ref(&place.intake)).await;
}

pub(crate) async fn two_nodes_at_once_make_one(place: &Place) {
    place.intake.register(&mailbox()).await.unwrap();
    at_once(place, &[place.intake.clone(), place.intake_again()]).await;
}

/// Sixty-four tasks bring the same contact, another sixty-four one of their own each.
async fn at_once(place: &Place, intakes: &[voxea_core::contact::Intake]) {
    let tasks: Vec<_> = (0..128)
        .map(|n| {
            let intake = intakes[n % intakes.len()].clone();
            let key = if n < 64 { "same".to_owned() } else { format!("own-{n}") };
            tokio::spawn(async move { (n, intake.accept(mail("a@example.fr", &key, NOW)).await.unwrap()) })
        })
        .collect();
    let (mut fresh, mut interactions) = (0, std::collections::BTreeSet::new());
    for task in tasks {
        let (n, accepted) = task.await.unwrap();
        if n < 64 {
            fresh += usize::from(accepted.outcome == Outcome::Fresh);
            interactions.insert(accepted.interaction_id);
        } else {
            assert_eq!(accepted.outcome, Outcome::Fresh);
        }
    }
    assert_eq!(
        (fresh, interactions.len()),
        (1, 1),
        "exactly one of sixty-four is new, and all are told the same"
    );
    assert_eq!(place.number("SELECT COUNT(*) FROM interaction").await, 65);
    assert_eq!(place.number("SELECT COUNT(DISTINCT ref) FROM request").await, 65);
    assert_eq!(place.count("request.created").await, 65);
}
