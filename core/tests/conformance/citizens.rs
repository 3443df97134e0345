//! Citizens: found again by exact addresses, never guessed, and never in the way of what comes in.

use futures_util::future::join_all;
use voxea_core::base::account::Channel;
use voxea_core::base::error::CoreError;
use voxea_core::citizen::{
    Address, Citizen, CitizenKind, CitizenStatus, Filter, NewCitizen, NewPoint, OptOutFilter, Patch, PointKind, PointPatch,
};
use voxea_core::request::{self, RequestRow};

use crate::place::{CITIZEN, NOW, Place, agent, alone, mail, mailbox, sms_account};

fn point(kind: PointKind, raw: &str) -> NewPoint {
    NewPoint {
        kind,
        raw: raw.to_owned(),
        label: None,
        verified_how: None,
    }
}

fn with(points: &[(PointKind, &str)]) -> NewCitizen {
    NewCitizen {
        points: points.iter().map(|(kind, raw)| point(*kind, raw)).collect(),
        ..NewCitizen::new(CitizenKind::Person)
    }
}

pub(crate) async fn citizen(place: &Place, points: &[(PointKind, &str)]) -> Citizen {
    let made = place.citizens.create(&agent(), &with(points), None).await.unwrap();
    assert!(made.made);
    made.citizen
}

/// The request of a text that joins nothing.
async fn texted(place: &Place, from: &str, body: &str) -> RequestRow {
    let mut contact = alone(body, NOW);
    contact.from = from.to_owned();
    let accepted = place.intake.accept(contact).await.unwrap();
    place.desk.get(&agent(), &accepted.request_id).await.unwrap()
}

fn whose(citizen: Option<&str>) -> request::Patch {
    request::Patch {
        citizen: Some(citizen.map(str::to_owned)),
        ..request::Patch::default()
    }
}

fn phone(raw: &str) -> Address {
    Address::read(PointKind::Phone, raw).unwrap()
}

fn is_invalid<T>(outcome: Result<T, CoreError>, at: &str) -> bool {
    matches!(outcome, Err(CoreError::Invalid { pointer, .. }) if pointer == at)
}

pub(crate) async fn a_sender_is_the_one_citizen_who_has_the_address(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    place.intake.register(&mailbox()).await.unwrap();
    let marie = citizen(
        place,
        &[(PointKind::Phone, "06 12 34 56 78"), (PointKind::Email, "Marie@Example.FR")],
    )
    .await;
    assert_eq!(texted(place, CITIZEN, "un").await.citizen_id.as_deref(), Some(marie.id.as_str()));
    let mailed = place.intake.accept(mail("marie@example.fr", "1", NOW)).await.unwrap();
    assert_eq!(
        place.desk.get(&agent(), &mailed.request_id).await.unwrap().citizen_id,
        Some(marie.id.clone())
    );
    for stranger in ["+33698765432", "", "anonymous", "36123", "MAIRIE"] {
        assert_eq!(
            texted(place, stranger, &format!("de {stranger}")).await.citizen_id,
            None,
            "{stranger:?}"
        );
    }
    // The phone of a family is nobody's in particular.
    let paul = citizen(place, &[(PointKind::Phone, "0033612345678")]).await;
    assert_eq!(texted(place, CITIZEN, "deux").await.citizen_id, None);
    let found = place
        .citizens
        .lookup(&agent(), &phone(CITIZEN), CitizenStatus::Active)
        .await
        .unwrap()
        .citizens;
    assert_eq!(found.iter().map(|one| &one.id).collect::<Vec<_>>(), [&marie.id, &paul.id]);
    // Who is restricted is given nothing new.
    let restricted = Patch {
        status: Some(CitizenStatus::Restricted),
        ..Patch::default()
    };
    place.citizens.patch(&agent(), &paul.id, paul.version, &restricted).await.unwrap();
    assert_eq!(texted(place, CITIZEN, "trois").await.citizen_id, Some(marie.id.clone()));
    // An address that was taken away is nobody's.
    let number = &marie.points[0].id;
    let after = place
        .citizens
        .remove_point(&agent(), &marie.id, number, marie.version)
        .await
        .unwrap();
    assert_eq!((after.version, after.points.len()), (marie.version + 1, 1));
    assert_eq!(texted(place, CITIZEN, "quatre").await.citizen_id, None);
}

pub(crate) async fn a_batch_of_known_and_unknown_senders_is_linked_right(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let mut owners = Vec::new();
    for number in 0..8 {
        owners.push(citizen(place, &[(PointKind::Phone, &format!("060000000{number}"))]).await.id);
    }
    // Two citizens for number 7: it is nobody's.
    citizen(place, &[(PointKind::Phone, "0600000007")]).await;
    let accepted = join_all((0..64).map(|number: usize| {
        let mut contact = alone(&number.to_string(), NOW);
        contact.from = format!("+3360000000{}", number % 10);
        place.intake.accept(contact)
    }))
    .await;
    for (number, accepted) in accepted.into_iter().enumerate() {
        let row = place.desk.get(&agent(), &accepted.unwrap().request_id).await.unwrap();
        let expected = owners.get(number % 10).filter(|_| number % 10 < 7);
        assert_eq!(row.citizen_id.as_ref(), expected, "{number}");
    }
    let filter = request::Filter {
        citizen: Some(owners[0].clone()),
        ..request::Filter::default()
    };
    let mine = place.desk.list(&agent(), filter, 100).await.unwrap().items;
    assert_eq!(mine.len(), 7);
    assert!(mine.windows(2).all(|pair| pair[0].position < pair[1].position));
}

pub(crate) async fn one_key_makes_one_citizen(place: &Place) {
    let (new, actor) = (with(&[(PointKind::Phone, CITIZEN)]), agent());
    let made = join_all((0..16).map(|_| place.citizens.create(&actor, &new, Some("key:a/1")))).await;
    let made: Vec<_> = made.into_iter().map(|made| made.unwrap()).collect();
    assert_eq!(made.iter().filter(|one| one.made).count(), 1);
    assert!(made.iter().all(|one| one.citizen == made[0].citizen));
    assert_eq!(place.number("SELECT COUNT(*) FROM citizen").await, 1);
    assert_eq!(place.number("SELECT COUNT(*) FROM contact_point").await, 1);
    assert_eq!(
        place.number("SELECT COUNT(*) FROM citizen_change WHERE action = 'created'").await,
        1
    );
    assert!(place.citizens.create(&agent(), &new, Some("key:a/2")).await.unwrap().made);
}

pub(crate) async fn an_address_is_once_with_a_citizen_and_often_among_them(place: &Place) {
    // One that comes twice is taken once.
    let marie = citizen(place, &[(PointKind::Email, "a@b.fr"), (PointKind::Email, "A@B.FR")]).await;
    assert_eq!(marie.points.len(), 1);
    let (new, actor) = (point(PointKind::Phone, "06 12 34 56 78"), agent());
    let added = join_all((0..16).map(|_| place.citizens.add_point(&actor, &marie.id, &new))).await;
    let added: Vec<_> = added.into_iter().map(|added| added.unwrap()).collect();
    assert_eq!(added.iter().filter(|one| one.made).count(), 1);
    let now = place.citizens.get(&actor, &marie.id).await.unwrap();
    assert_eq!((now.points.len(), now.version), (2, marie.version + 1));
    assert_eq!(
        (now.points[1].raw.as_str(), now.points[1].normalised.as_str()),
        ("06 12 34 56 78", CITIZEN)
    );
    // Thirty-two relatives at once.
    let family = join_all((0..32).map(|_| async {
        let id = citizen(place, &[]).await.id;
        place.citizens.add_point(&agent(), &id, &new).await.unwrap().made
    }));
    assert!(family.await.into_iter().all(|made| made));
    let found = place
        .citizens
        .lookup(&actor, &phone(CITIZEN), CitizenStatus::Active)
        .await
        .unwrap()
        .citizens;
    assert_eq!(found.len(), 33);
    // There is an end.
    for number in 2..50 {
        let other = point(PointKind::Other, &format!("compte {number}"));
        assert!(place.citizens.add_point(&actor, &marie.id, &other).await.unwrap().made);
    }
    let one_more = place.citizens.add_point(&actor, &marie.id, &point(PointKind::Other, "x")).await;
    assert!(matches!(one_more, Err(CoreError::Conflict(_))), "{one_more:?}");
    assert!(!place.citizens.add_point(&actor, &marie.id, &new).await.unwrap().made);
    let withheld = place
        .citizens
        .add_point(&actor, &marie.id, &point(PointKind::Phone, "anonymous"))
        .await;
    assert!(is_invalid(withheld, "/value"));
    let nobody = place.citizens.add_point(&actor, "x", &new).await;
    assert!(matches!(nobody, Err(CoreError::NotFound { .. })));
}

pub(crate) async fn earlier_requests_are_given_once_it_is_clear_whose_they_are(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let one = texted(place, CITIZEN, "un").await;
    let two = texted(place, CITIZEN, "deux").await;
    let other = texted(place, "+33698765432", "autre").await;
    // A person said that this one is nobody's.
    let stranger = citizen(place, &[]).await;
    let refused = texted(place, CITIZEN, "trois").await;
    let linked = place
        .desk
        .patch(&agent(), &refused.id, refused.version, &whose(Some(&stranger.id)))
        .await
        .unwrap();
    let unlinked = place.desk.patch(&agent(), &refused.id, linked.version, &whose(None)).await.unwrap();
    assert_eq!(unlinked.citizen_id, None);
    let before = place.count("request.updated").await;
    let marie = citizen(place, &[(PointKind::Phone, "06 12 34 56 78")]).await;
    for row in [&one, &two] {
        let now = place.desk.get(&agent(), &row.id).await.unwrap();
        assert_eq!((now.citizen_id.as_deref(), now.version), (Some(marie.id.as_str()), row.version + 1));
        let history = place.desk.history(&agent(), &row.id).await.unwrap();
        assert!(
            history
                .iter()
                .any(|entry| entry.action == "linked" && entry.detail.contains(&marie.id)),
            "{history:?}"
        );
    }
    assert_eq!(place.desk.get(&agent(), &other.id).await.unwrap().citizen_id, None);
    assert_eq!(place.desk.get(&agent(), &refused.id).await.unwrap(), unlinked);
    assert_eq!(place.count("request.updated").await, before + 2);
    // A second one with the address: what is somebody's stays theirs, and what comes now is nobody's until one is left.
    let paul = citizen(place, &[(PointKind::Phone, CITIZEN)]).await;
    let unclear = texted(place, CITIZEN, "quatre").await;
    assert_eq!(unclear.citizen_id, None);
    assert_eq!(
        place.desk.get(&agent(), &one.id).await.unwrap().citizen_id.as_deref(),
        Some(marie.id.as_str())
    );
    place
        .citizens
        .remove_point(&agent(), &marie.id, &marie.points[0].id, marie.version)
        .await
        .unwrap();
    let paul = place
        .citizens
        .remove_point(&agent(), &paul.id, &paul.points[0].id, paul.version)
        .await
        .unwrap();
    place
        .citizens
        .add_point(&agent(), &paul.id, &point(PointKind::Phone, CITIZEN))
        .await
        .unwrap();
    assert_eq!(place.desk.get(&agent(), &unclear.id).await.unwrap().citizen_id, Some(paul.id));
}

pub(crate) async fn no_request_is_missed_while_an_address_is_added(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let second = place.intake_again();
    for round in 0..5 {
        let number = format!("+3360000001{round}");
        let (citizen, new) = (citizen(place, &[]).await, point(PointKind::Phone, &number));
        let arriving = join_all((0..24).map(|index| {
            let mut contact = alone(&format!("{round}/{index}"), NOW);
            contact.from.clone_from(&number);
            let intake = if index % 2 == 0 { &place.intake } else { &second };
            intake.accept(contact)
        }));
        let actor = agent();
        let (arrived, added) = tokio::join!(arriving, place.citizens.add_point(&actor, &citizen.id, &new));
        assert!(added.unwrap().made);
        for accepted in arrived {
            let row = place.desk.get(&agent(), &accepted.unwrap().request_id).await.unwrap();
            assert_eq!(row.citizen_id.as_ref(), Some(&citizen.id));
        }
    }
}

pub(crate) async fn a_person_decides_whose_a_request_is(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let marie = citizen(place, &[]).await;
    let row = texted(place, CITIZEN, "un").await;
    let linked = place
        .desk
        .patch(&agent(), &row.id, row.version, &whose(Some(&marie.id)))
        .await
        .unwrap();
    assert_eq!(
        (linked.citizen_id.as_deref(), linked.version),
        (Some(marie.id.as_str()), row.version + 1)
    );
    let again = place
        .desk
        .patch(&agent(), &row.id, linked.version, &whose(Some(&marie.id)))
        .await
        .unwrap();
    assert_eq!(again, linked, "the same again changes nothing");
    for nobody in ["x", "", "00000000-0000-7000-8000-000000000000"] {
        let refused = place.desk.patch(&agent(), &row.id, linked.version, &whose(Some(nobody))).await;
        assert!(is_invalid(refused, "/citizen"), "{nobody}");
    }
    assert_eq!(place.desk.get(&agent(), &row.id).await.unwrap(), linked);
    // What a person decided, an address does not change.
    let other = citizen(place, &[(PointKind::Phone, CITIZEN)]).await;
    assert_eq!(place.desk.get(&agent(), &row.id).await.unwrap(), linked);
    assert_eq!(texted(place, CITIZEN, "deux").await.citizen_id, Some(other.id));
    let history = place.desk.history(&agent(), &row.id).await.unwrap();
    assert!(
        history
            .iter()
            .any(|entry| entry.action == "patched" && entry.detail.contains(&marie.id))
    );
}

pub(crate) async fn a_change_names_its_version(place: &Place) {
    let (actor, door) = (agent(), &place.citizens);
    let marie = citizen(place, &[(PointKind::Phone, CITIZEN)]).await;
    let named = |name: &str| Patch {
        family_name: Some(Some(name.to_owned())),
        ..Patch::default()
    };
    let patched = join_all((0..8).map(|number| {
        let patch = named(&number.to_string());
        let (actor, marie) = (&actor, &marie);
        async move { door.patch(actor, &marie.id, marie.version, &patch).await }
    }))
    .await;
    assert_eq!(
        patched.iter().filter(|one| one.is_ok()).count(),
        1,
        "of many from one version one wins"
    );
    let lost = patched
        .iter()
        .filter(|one| matches!(one, Err(CoreError::Stale { current, .. }) if *current == marie.version + 1));
    assert_eq!(lost.count(), 7);
    let now = door.get(&actor, &marie.id).await.unwrap();
    let same = door
        .patch(&actor, &marie.id, now.version, &named(now.family_name.as_deref().unwrap()))
        .await
        .unwrap();
    assert_eq!(same, now);
    let organisation = Patch {
        kind: Some(CitizenKind::Organisation),
        ..Patch::default()
    };
    assert!(is_invalid(
        door.patch(&actor, &marie.id, now.version, &organisation).await,
        "/organisation"
    ));
    let verified = PointPatch {
        label: Some(Some("mobile".to_owned())),
        verified_how: Some(Some("code by text".to_owned())),
        deliverable: false,
    };
    let id = &marie.points[0].id;
    let stale = door.patch_point(&actor, &marie.id, id, marie.version, &verified).await;
    assert!(matches!(stale, Err(CoreError::Stale { .. })));
    let after = door.patch_point(&actor, &marie.id, id, now.version, &verified).await.unwrap();
    let shown = &after.points[0];
    assert_eq!((shown.label.as_deref(), after.version), (Some("mobile"), now.version + 1));
    assert_eq!(shown.verified.as_ref().map(|verified| verified.how.as_str()), Some("code by text"));
    let foreign = citizen(place, &[]).await;
    for outcome in [
        door.patch_point(&actor, &foreign.id, id, foreign.version, &verified).await,
        door.remove_point(&actor, &foreign.id, id, foreign.version).await,
    ] {
        assert!(matches!(outcome, Err(CoreError::NotFound { what: "contact point" })));
    }
    let stale = door.remove_point(&actor, &marie.id, id, now.version).await;
    assert!(matches!(stale, Err(CoreError::Stale { .. })));
    assert_eq!(door.get(&actor, &marie.id).await.unwrap(), after);
    assert_eq!(
        place
            .number("SELECT COUNT(*) FROM citizen_change WHERE action = 'contact_point_changed'")
            .await,
        1
    );
}

pub(crate) async fn a_stop_counts_for_an_address_of_nobody(place: &Place) {
    let (actor, door, number) = (agent(), &place.opt_outs, phone("06 12 34 56 78"));
    assert!(!door.opted_out(&actor, &number).await.unwrap());
    let put = join_all((0..8).map(|_| door.put(&actor, &number, Some("STOP")))).await;
    let put: Vec<_> = put.into_iter().map(|put| put.unwrap()).collect();
    assert_eq!(put.iter().filter(|(_, made)| *made).count(), 1);
    let opt_out = &put[0].0;
    assert!(put.iter().all(|(one, _)| one == opt_out));
    assert_eq!((opt_out.channel.as_str(), opt_out.address.as_str()), ("sms", CITIZEN));
    assert!(door.opted_out(&actor, &phone("+33612345678")).await.unwrap());
    assert!(!door.opted_out(&actor, &phone("36123")).await.unwrap());
    // Whoever turns out to have it has it opted out.
    let marie = citizen(place, &[(PointKind::Phone, CITIZEN), (PointKind::Email, "a@b.fr")]).await;
    let how = marie.points[0].opted_out.as_ref().and_then(|out| out.how.as_deref());
    assert_eq!((how, marie.points[1].opted_out.as_ref()), (Some("STOP"), None));
    let mails = Address::read(PointKind::Email, "A@b.fr").unwrap();
    door.put(&actor, &mails, None).await.unwrap();
    let listed = |channel, address| OptOutFilter {
        channel,
        address,
        after: 0,
    };
    let all = door.list(&actor, &listed(None, None), 1).await.unwrap();
    assert_eq!((all.items.len(), all.next), (1, Some(opt_out.position)));
    let by_mail = door.list(&actor, &listed(Some(Channel::Email), None), 10).await.unwrap().items;
    assert_eq!(by_mail.iter().map(|one| one.address.as_str()).collect::<Vec<_>>(), ["a@b.fr"]);
    assert_eq!(
        door.list(&actor, &listed(None, Some(number.clone())), 10).await.unwrap().items,
        std::slice::from_ref(opt_out)
    );
    door.clear(&actor, &opt_out.id).await.unwrap();
    assert!(matches!(door.clear(&actor, &opt_out.id).await, Err(CoreError::NotFound { .. })));
    assert!(!door.opted_out(&actor, &number).await.unwrap());
    let (second, made) = door.put(&actor, &number, None).await.unwrap();
    assert!(made && second.id != opt_out.id, "what was ended stays known");
    assert_eq!(place.number("SELECT COUNT(*) FROM opt_out").await, 3);
    let postal = Address::read(PointKind::Postal, "12 rue Foch").unwrap();
    assert!(is_invalid(door.put(&actor, &postal, None).await, "/address"));
}

pub(crate) async fn one_that_was_merged_is_left_alone(place: &Place) {
    place.intake.register(&sms_account()).await.unwrap();
    let (actor, door) = (agent(), &place.citizens);
    let old = citizen(place, &[(PointKind::Phone, CITIZEN)]).await;
    let new = citizen(place, &[(PointKind::Phone, CITIZEN)]).await;
    let row = texted(place, CITIZEN, "un").await;
    place
        .change(&format!(
            "UPDATE citizen SET status = 'merged', merged_into = '{}' WHERE id = '{}'",
            new.id, old.id
        ))
        .await;
    assert_eq!(texted(place, CITIZEN, "deux").await.citizen_id, Some(new.id.clone()));
    let shown = door.get(&actor, &old.id).await.unwrap();
    assert_eq!((shown.status, shown.merged_into.as_ref()), (CitizenStatus::Merged, Some(&new.id)));
    let refused = door.patch(&actor, &old.id, old.version, &Patch::default()).await;
    assert!(matches!(refused, Err(CoreError::Conflict(_))));
    let refused = door.add_point(&actor, &old.id, &point(PointKind::Email, "a@b.fr")).await;
    assert!(matches!(refused, Err(CoreError::Conflict(_))));
    assert!(is_invalid(
        place.desk.patch(&actor, &row.id, row.version, &whose(Some(&old.id))).await,
        "/citizen"
    ));
    let ids = async |status| {
        let found = door.lookup(&actor, &phone(CITIZEN), status).await.unwrap().citizens;
        found.into_iter().map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(CitizenStatus::Active).await, [new.id]);
    assert_eq!(ids(CitizenStatus::Merged).await, [old.id]);
}

pub(crate) async fn citizens_are_listed_in_commit_order(place: &Place) {
    let made = join_all((0..20).map(|_| citizen(place, &[(PointKind::Phone, CITIZEN)]))).await;
    let mut made: Vec<_> = made.into_iter().map(|one| (one.position, one.id)).collect();
    made.sort();
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let filter = Filter {
            status: CitizenStatus::Active,
            after,
        };
        let page = place.citizens.list(&agent(), filter, 7).await.unwrap();
        assert!(page.items.iter().all(|one| one.points.len() == 1));
        seen.extend(page.items.into_iter().map(|one| (one.position, one.id)));
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen, made);
    let none = Filter {
        status: CitizenStatus::Anonymised,
        after: 0,
    };
    assert!(place.citizens.list(&agent(), none, 7).await.unwrap().items.is_empty());
}
