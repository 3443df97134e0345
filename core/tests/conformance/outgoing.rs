//! The way out: queue, lease, settle, receipts; and the desk.

use std::time::Duration;

use voxea_core::base::account::{Account, Channel, Kind};
use voxea_core::base::error::CoreError;
use voxea_core::base::time;
use voxea_core::base::wake::Wake;
use voxea_core::contact::{Contact, Dedup};
use voxea_core::feed::Feed;
use voxea_core::outbox::{NewReply, Outbound, Outbox, ReceiptIn, ReceiptState, Sender, Settlement};
use voxea_core::request::{Desk, Filter, Patch, Status};

use crate::place::{Place, agent};

const HOLD: Duration = Duration::from_secs(60);

/// The doors that the way out needs.
#[derive(Clone)]
pub(crate) struct Core {
    intake: voxea_core::contact::Intake,
    pub(crate) outbox: Outbox,
    desk: Desk,
    feed: Feed,
}

pub(crate) fn open(place: &Place) -> Core {
    let outbox = Outbox::new(
        place.store.clone(),
        place.vault.clone(),
        place.feed.clone(),
        place.catalogue.clone(),
        Wake::new(),
    );
    Core {
        intake: place.intake.clone(),
        outbox,
        desk: place.desk.clone(),
        feed: place.feed.clone(),
    }
}

pub(crate) fn short_number() -> Account {
    Account::new(Kind::Smpp, "short-number")
}

fn mailbox() -> Account {
    Account::new(Kind::Mailbox, "mairie")
}

/// A request by text from a number, and one by mail, with both channels able to answer.
pub(crate) async fn request(core: &Core, channel: Channel, from: &str) -> String {
    core.outbox.register(Sender {
        channel: Channel::Sms,
        account: short_number(),
        from: "36123".to_owned(),
    });
    core.outbox.register(Sender {
        channel: Channel::Email,
        account: mailbox(),
        from: "mairie@example.fr".to_owned(),
    });
    let account = if channel == Channel::Email { mailbox() } else { short_number() };
    let epoch = core.intake.register(&account).await.unwrap();
    let mut contact = Contact::new(
        account,
        epoch,
        channel,
        Dedup::Never,
        from.to_owned(),
        "36123".to_owned(),
        time::now(),
    );
    contact.text = Some("Un nid-de-poule".to_owned());
    contact.subject = Some("Voirie".to_owned());
    if channel == Channel::Email {
        contact.native_id = Some("<one@citizen.example>".to_owned());
    }
    core.intake.accept(contact).await.unwrap().request_id
}

async fn reply(core: &Core, request: &str, text: &str) -> String {
    let new = NewReply {
        channel: None,
        text: text.to_owned(),
        subject: None,
    };
    core.outbox.reply(&agent(), request, &new).await.unwrap().id
}

pub(crate) async fn lease(core: &Core) -> Vec<Outbound> {
    core.outbox.lease(&short_number(), 10, HOLD).await.unwrap()
}

pub(crate) async fn lease_mails(core: &Core) -> Vec<Outbound> {
    core.outbox.lease(&mailbox(), 10, HOLD).await.unwrap()
}

pub(crate) async fn state(core: &Core, id: &str) -> String {
    core.outbox.get(&agent(), id).await.unwrap().state
}

async fn submit(core: &Core, id: &str, native: &str) {
    let submitted = Settlement::Submitted {
        native_id: Some(native.to_owned()),
        last_word: false,
    };
    core.outbox.settle(vec![(id.to_owned(), submitted)]).await.unwrap();
}

async fn receipt(core: &Core, id: &str, state: ReceiptState) {
    let receipt = ReceiptIn {
        from: None,
        ids: vec![id.to_owned()],
        state,
        reason: None,
        at: time::now(),
    };
    core.outbox.receipt(&short_number(), &receipt).await.unwrap();
}

async fn events(core: &Core, request: &str) -> Vec<String> {
    let page = core.feed.select(&voxea_core::feed::Selection::everything(), 0, 500).await.unwrap();
    page.items
        .into_iter()
        .filter(|event| event.subject == request)
        .map(|event| event.kind)
        .collect()
}

pub(crate) async fn a_text_goes_out_and_its_receipt_settles_it(place: &Place) {
    let core = open(place);
    let request = request(&core, Channel::Sms, "+33612345678").await;
    let id = reply(&core, &request, "Merci, c'est noté.").await;
    assert_eq!(state(&core, &id).await, "queued");
    let leased = lease(&core).await;
    assert_eq!((leased.len(), leased[0].to.as_str(), leased[0].attempts), (1, "+33612345678", 1));
    assert!(lease(&core).await.is_empty(), "a leased reply is nobody else's");
    submit(&core, &id, "00A1").await;
    assert_eq!(state(&core, &id).await, "submitted");
    receipt(&core, "a1", ReceiptState::Delivered).await;
    receipt(&core, "a1", ReceiptState::Delivered).await;
    assert_eq!(state(&core, &id).await, "delivered");
    let expected = [
        "request.created",
        "interaction.received",
        "reply.queued",
        "interaction.sent",
        "interaction.delivery",
        "reply.settled",
    ];
    assert_eq!(events(&core, &request).await, expected);
    let history = core.desk.history(&agent(), &request).await.unwrap();
    let actions: Vec<(&str, &str)> = history.iter().map(|row| (row.actor.as_str(), row.action.as_str())).collect();
    assert!(
        actions.contains(&("key:agent", "replied")) && actions.contains(&("channel:smpp/short-number", "settled")),
        "{actions:?}"
    );
}

pub(crate) async fn a_receipt_may_come_before_its_response(place: &Place) {
    let core = open(place);
    let request = request(&core, Channel::Sms, "+33612345678").await;
    let id = reply(&core, &request, "Oui").await;
    lease(&core).await;
    let early = ReceiptIn {
        from: None,
        ids: vec!["161".to_owned(), "a1".to_owned()],
        state: ReceiptState::Rejected,
        reason: Some("UNDELIV".to_owned()),
        at: time::now(),
    };
    core.outbox.receipt(&short_number(), &early).await.unwrap();
    submit(&core, &id, "A1").await;
    let row = core.outbox.get(&agent(), &id).await.unwrap();
    assert_eq!((row.state.as_str(), row.reason.as_deref()), ("rejected", Some("UNDELIV")));
    receipt(&core, "a1", ReceiptState::Delivered).await;
    assert_eq!(state(&core, &id).await, "rejected", "the first word stands");
}

pub(crate) async fn many_leasers_share_without_overlap(place: &Place) {
    let core = open(place);
    let mut wanted = Vec::new();
    for number in 0..40 {
        let request = request(&core, Channel::Sms, &format!("+336000000{number:02}")).await;
        wanted.push(reply(&core, &request, "Bonjour").await);
    }
    let takers = (0..8).map(|_| {
        let core = core.clone();
        tokio::spawn(async move {
            let mut mine = Vec::new();
            loop {
                let leased = core.outbox.lease(&short_number(), 3, HOLD).await.unwrap();
                if leased.is_empty() {
                    return mine;
                }
                mine.extend(leased.into_iter().map(|outbound| outbound.reply_id));
            }
        })
    });
    let mut taken = Vec::new();
    for taker in takers.collect::<Vec<_>>() {
        taken.extend(taker.await.unwrap());
    }
    // With SKIP LOCKED a taker may leave while another still holds rows; what is left is due at once.
    taken.extend(
        core.outbox
            .lease(&short_number(), 100, HOLD)
            .await
            .unwrap()
            .into_iter()
            .map(|outbound| outbound.reply_id),
    );
    taken.sort();
    wanted.sort();
    assert_eq!(taken, wanted);
}

pub(crate) async fn each_connection_holds_its_own_leases(place: &Place) {
    let core = open(place);
    let mut texts = Vec::new();
    for number in ["+33612345671", "+33612345672", "+33612345673"] {
        let request = request(&core, Channel::Sms, number).await;
        texts.push(reply(&core, &request, "Oui").await);
    }
    let lease_one = async |holder| {
        let mut leased = core.outbox.lease_for(&short_number(), holder, 1, HOLD).await.unwrap();
        assert_eq!(leased.len(), 1);
        leased.remove(0).reply_id
    };
    assert_eq!((lease_one("1").await, lease_one("2").await), (texts[0].clone(), texts[1].clone()));
    // The first connection is made anew: what it held may have been sent, what the second holds is under way.
    core.outbox.take_over_from(&short_number(), "1").await.unwrap();
    assert_eq!(
        (state(&core, &texts[0]).await, state(&core, &texts[1]).await),
        ("unknown".to_owned(), "queued".to_owned())
    );
    assert_eq!(lease_one("1").await, texts[2], "and is nobody else's");
    submit(&core, &texts[1], "7").await;
    assert_eq!(state(&core, &texts[1]).await, "submitted");
    // The account is taken over as a whole: nobody of before is left.
    core.outbox.take_over(&short_number()).await.unwrap();
    assert_eq!(state(&core, &texts[2]).await, "unknown");
}

pub(crate) async fn a_phone_that_is_back_is_tried_at_once(place: &Place) {
    let core = open(place);
    let mut texts = Vec::new();
    for number in ["+33612345671", "+33612345672"] {
        let request = request(&core, Channel::Sms, number).await;
        texts.push(reply(&core, &request, "Oui").await);
    }
    let leased = lease(&core).await;
    let later = time::now() + 3_600_000;
    let retry = |outbound: &Outbound| {
        let reason = "ESME_RSYSERR".to_owned();
        (outbound.reply_id.clone(), Settlement::Retry { at: later, reason })
    };
    core.outbox.settle(leased.iter().map(retry).collect()).await.unwrap();
    assert!(lease(&core).await.is_empty());
    core.outbox.hasten(&short_number(), "+33612345672").await.unwrap();
    let due: Vec<String> = lease(&core).await.into_iter().map(|outbound| outbound.reply_id).collect();
    assert_eq!(due, texts[1..], "and nobody else");
}

pub(crate) async fn a_text_whose_channel_died_is_unknown_and_a_mail_is_due_again(place: &Place) {
    let core = open(place);
    let by_text = request(&core, Channel::Sms, "+33612345678").await;
    let by_mail = request(&core, Channel::Email, "citoyen@example.org").await;
    let text = reply(&core, &by_text, "Oui").await;
    let mail = reply(&core, &by_mail, "Oui").await;
    assert_eq!(lease(&core).await.len(), 1);
    let first = core.outbox.lease(&mailbox(), 10, HOLD).await.unwrap().remove(0);
    core.outbox.take_over(&short_number()).await.unwrap();
    core.outbox.take_over(&mailbox()).await.unwrap();
    assert_eq!(state(&core, &text).await, "unknown");
    assert!(lease(&core).await.is_empty());
    let second = core.outbox.lease(&mailbox(), 10, HOLD).await.unwrap().remove(0);
    assert_eq!((first.reply_id.as_str(), second.attempts), (mail.as_str(), 2));
    assert_eq!(first.message_id, second.message_id, "the Message-ID is the same on every try");
    assert_eq!(second.in_reply_to.as_deref(), Some("<one@citizen.example>"));
    let late = Settlement::Submitted {
        native_id: Some("7".to_owned()),
        last_word: false,
    };
    core.outbox.settle(vec![(text.clone(), late)]).await.unwrap();
    assert_eq!(state(&core, &text).await, "submitted", "a late response settles what was unknown");
}

pub(crate) async fn nobody_overtakes_an_earlier_text_to_the_same_number(place: &Place) {
    let core = open(place);
    let request_id = request(&core, Channel::Sms, "+33612345678").await;
    let first = reply(&core, &request_id, "Un").await;
    let second = reply(&core, &request_id, "Deux").await;
    let other = request(&core, Channel::Sms, "+33699999999").await;
    let third = reply(&core, &other, "Trois").await;
    let order: Vec<String> = lease(&core).await.into_iter().map(|outbound| outbound.reply_id).collect();
    assert_eq!(order, [first.clone(), second.clone(), third.clone()]);
    let later = Settlement::Retry {
        at: time::now() + 3_600_000,
        reason: "throttled".to_owned(),
    };
    core.outbox
        .settle(vec![
            (first.clone(), later),
            (second.clone(), Settlement::Return),
            (third.clone(), Settlement::Return),
        ])
        .await
        .unwrap();
    let order: Vec<String> = lease(&core).await.into_iter().map(|outbound| outbound.reply_id).collect();
    assert_eq!(order, [third], "the second waits behind the first");
    core.outbox
        .settle(vec![(first.clone(), Settlement::Rejected { reason: "no".to_owned() })])
        .await
        .unwrap();
    assert_eq!(lease(&core).await.remove(0).reply_id, second);
}

pub(crate) async fn what_cannot_be_sent_is_refused_with_the_reason(place: &Place) {
    let core = open(place);
    let request_id = request(&core, Channel::Sms, "+33612345678").await;
    let long = NewReply {
        channel: Some(Channel::Sms),
        text: "ç".repeat(71),
        subject: None,
    };
    match core.outbox.reply(&agent(), &request_id, &long).await {
        Err(CoreError::TextTooLong(preview)) => assert_eq!((preview.units, preview.limit), (71, 70)),
        other => panic!("{other:?}"),
    }
    let by_mail = NewReply {
        channel: Some(Channel::Email),
        text: "Oui".to_owned(),
        subject: None,
    };
    assert!(matches!(
        core.outbox.reply(&agent(), &request_id, &by_mail).await,
        Err(CoreError::Invalid { .. })
    ));
    let by_letter = NewReply {
        channel: Some(Channel::Letter),
        text: "Oui".to_owned(),
        subject: None,
    };
    assert!(core.outbox.reply(&agent(), &request_id, &by_letter).await.is_err());
    let empty = NewReply {
        channel: None,
        text: "  ".to_owned(),
        subject: None,
    };
    assert!(matches!(
        core.outbox.reply(&agent(), &request_id, &empty).await,
        Err(CoreError::Invalid { .. })
    ));
    let fine = NewReply {
        channel: None,
        text: "Oui".to_owned(),
        subject: None,
    };
    assert!(matches!(
        core.outbox.reply(&agent(), "nobody", &fine).await,
        Err(CoreError::NotFound { .. })
    ));
}

pub(crate) async fn a_patch_needs_the_version_it_was_made_from(place: &Place) {
    let core = open(place);
    let id = request(&core, Channel::Sms, "+33612345678").await;
    let patch = |status| Patch {
        status: Some(status),
        ..Patch::default()
    };
    let row = core.desk.patch(&agent(), &id, 1, &patch(Status::Open)).await.unwrap();
    assert_eq!((row.version, row.status.as_str()), (2, "open"));
    assert!(matches!(
        core.desk.patch(&agent(), &id, 1, &patch(Status::Closed)).await,
        Err(CoreError::Stale { current: 2, .. })
    ));
    let same = core.desk.patch(&agent(), &id, 2, &patch(Status::Open)).await.unwrap();
    assert_eq!(same.version, 2, "a patch that changes nothing changes nothing");
    let closed = core.desk.patch(&agent(), &id, 2, &patch(Status::Closed)).await.unwrap();
    assert!(matches!(
        core.desk.patch(&agent(), &id, closed.version, &patch(Status::InProgress)).await,
        Err(CoreError::Conflict(_))
    ));
    assert!(matches!(
        core.desk.patch(&agent(), "nobody", 1, &patch(Status::Open)).await,
        Err(CoreError::NotFound { .. })
    ));
}

pub(crate) async fn of_many_patches_from_one_version_one_wins(place: &Place) {
    let core = open(place);
    let id = request(&core, Channel::Sms, "+33612345678").await;
    let patches = (0..16).map(|number| {
        let (core, id) = (core.clone(), id.clone());
        tokio::spawn(async move {
            let patch = Patch {
                assignee: Some(Some(format!("agent {number}"))),
                ..Patch::default()
            };
            core.desk.patch(&agent(), &id, 1, &patch).await.is_ok()
        })
    });
    let mut won = 0;
    for patch in patches.collect::<Vec<_>>() {
        won += u32::from(patch.await.unwrap());
    }
    assert_eq!(won, 1);
    assert_eq!(core.desk.get(&agent(), &id).await.unwrap().version, 2);
}

pub(crate) async fn a_list_pages_in_commit_order(place: &Place) {
    let core = open(place);
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(request(&core, Channel::Sms, &format!("+3360000000{number}")).await);
    }
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let filter = Filter {
            channel: Some(Channel::Sms),
            status: Some(Status::Received),
            after,
            ..Filter::default()
        };
        let page = core.desk.list(&agent(), filter, 3).await.unwrap();
        seen.extend(page.items.into_iter().map(|row| row.id));
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen, made);
    let none = Filter {
        channel: Some(Channel::Fax),
        ..Filter::default()
    };
    assert!(core.desk.list(&agent(), none, 3).await.unwrap().items.is_empty());
}
